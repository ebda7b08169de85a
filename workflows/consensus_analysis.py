"""Consensus: several analysts judge the same material at once, a rule that is data makes one verdict of theirs.

Without options they analyse freely, and the result is what they agree on, what they dispute, and what only one of them saw. In a
vote, counting stops when no vote that is missing could change anything; who is still at work then is cancelled, and what that
cost is counted. A panel that agrees on nothing still has to end, so a judge, a person or a flag comes after the votes.
"""

from collections.abc import Callable, Mapping
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.answers import Answer
from outlast.consensus.choosing import break_tie
from outlast.consensus.contracts import AgreementSummary
from outlast.consensus.findings import (
    FreeAnalyses,
    shared_parts,
)
from outlast.consensus.verdicts import (
    JUDGE_ANGLE,
    analysed,
    cast,
    judge_text,
    not_cast,
    verdict_schema,
    voter_text,
    voting_alone,
)
from outlast.consensus.votes import ConsensusKind, ConsensusRequest, ConsensusResult, OnTie, Vote, Voter, VoteState
from outlast.consensus.voting import Count, options_of, problems, seated
from outlast.contracts import Content, Part, RunState, Spend, StepRow, StepState
from outlast.dag import Outcome
from outlast.documents.digest import part_characters, read_document
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.gather import gather
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.keeping import part_of

EXTRACT, JUDGE, PERSON = "extract", "tie · judge", "tie · person"
NOBODY, CONSENSUS = "nobody", "consensus"

ReadVote = Callable[[Voter, Answer, Spend], Vote]


@workflow.defn
class ConsensusAnalysisWorkflow(AgentWorkflow[ConsensusRequest, ConsensusResult]):
    """Asks analysts for verdicts and counts them; fails only if every one of them failed."""

    pattern = "consensus"

    @workflow.init
    def __init__(self, request: ConsensusRequest) -> None:
        super().__init__(request)
        self._count = Count(request.rule, seated(request.voters), options_of(request))
        self._question = Part(text=request.question)
        self._material: list[Part] = []
        self._votes: dict[str, Vote] = {}
        self._ruling: Vote | None = None
        self._notes: list[str] = []

    @workflow.run
    async def run(self, request: ConsensusRequest) -> ConsensusResult:
        """Let all vote, count, and have the tie broken where the votes decide nothing."""
        await self._prepare()
        await self._read_material()
        if request.kind is ConsensusKind.FINDINGS:
            return await self._agree()
        await self._vote()
        outcome = self._count.outcome(self._ballots())
        if outcome.empty:
            raise await self._failed()
        if outcome.verdict:
            return await self._result(outcome.verdict, request.rule.kind)
        await self._break_tie()
        if self._ruling is not None and self._ruling.verdict:
            return await self._result(self._ruling.verdict, request.on_tie)
        return await self._result("", NOBODY)

    async def _prepare(self) -> None:
        """Refuse what cannot be voted on, read the agents, and keep a long question in the content store."""
        wrong = problems(self.request)
        if self.request.kind is ConsensusKind.FINDINGS and not (self.request.document or self.request.material):
            wrong.append("document: free analyses need one; name a document, or give material")
        if wrong:
            raise non_retryable(ErrorKind.INPUT_INVALID, "; ".join(wrong))
        judges = [self.request.judge] if self.request.on_tie is OnTie.JUDGE else []
        if self.request.kind is ConsensusKind.FINDINGS:
            judges = [self.request.consensus_agent]
        voting = [voter.agent for voter in self._count.voters]
        catalog = await self.agents.read(list(dict.fromkeys([*voting, *judges])))
        cards = tuple(voting_alone(card) if card.name in voting else card for card in catalog.agents)
        self.agents.catalog = catalog.model_copy(update={"agents": cards})
        self._question = await part_of(self.request.question, "keep the question")

    async def _read_material(self) -> None:
        """Turn the document into text; what is longer than a voter's window is cut for each call."""
        if self.request.material is not None:
            given = self.request.material
            self._material.append(given.model_copy(update={"label": given.label or "material"}))
        if self.request.document is not None:
            self._material += await read_document(self.agents, EXTRACT, self.request.document)

    async def _agree(self) -> ConsensusResult:
        """Let all analyse freely, and find what they agree on; whoever failed is named in the result."""
        analysts = self._count.voters
        free = FreeAnalyses(self.agents, analysts, self._question, self._material)
        outcomes = await free.ask({voter.name: _step(voter) for voter in analysts})
        self._votes = {voter.name: self._vote_of(voter, outcomes.get(voter.name), analysed) for voter in analysts}
        answers = {name: done for name in self._votes if (done := outcomes[name].value) is not None}
        if not answers:
            raise await self._failed()
        summary = await free.agree(answers, self.request.consensus_agent)
        if len(answers) == 1:
            self._notes.append(f"only {next(iter(answers))} answered, so there is nothing to agree on")
        self._notes += free.notes
        return await self._result("", CONSENSUS, findings=summary)

    async def _vote(self) -> None:
        """Ask all voters at once, until no further vote can change the outcome."""
        voters = {voter.name: voter for voter in self._count.voters}
        for voter in voters.values():
            self.state.add(StepRow(step=_step(voter), agent=voter.agent, input=voter.angle[:200]))
        ended = await gather(
            {name: partial(self._ask_voter, voter) for name, voter in voters.items()},
            enough=lambda outcomes: self._count.settled(_ballots(outcomes)) is not None,
        )
        for name, voter in voters.items():
            self._votes[name] = self._vote_of(voter, ended.get(name))
        if left := [name for name, vote in self._votes.items() if vote.state is VoteState.CANCELLED]:
            done = len(self._votes) - len(left)
            self._notes.append(
                f"stopped after {done} of {len(self._votes)} votes: no other vote could change the outcome"
            )

    async def _ask_voter(self, voter: Voter) -> Answer:
        text = voter_text(voter, self._count.options, material=bool(self._material))
        answer = await self.agents.ask(
            voter.agent,
            [*self._material, Part(text=text), self._question],
            step=_step(voter),
            schema=verdict_schema(self.request.question, voter.angle, self._count.options),
            context_characters=part_characters(self.agents.catalog),
            counts_cancelled=True,
            shared_parts=shared_parts(self.agents, self._material, voter.agent, self._count.voters),
        )
        if answer.data is None:
            raise non_retryable(ErrorKind.OUTPUT_INVALID, f"{voter.agent} gave no verdict")
        return answer

    def _vote_of(self, voter: Voter, outcome: Outcome[Answer] | None, read: ReadVote = cast) -> Vote:
        """Read how a voter ended; nothing at all means that it never started."""
        spend = self.trace.spent(_step(voter))
        if outcome is None or outcome.cancelled:
            note = f"{'cancelled' if outcome else 'not asked'}, because the outcome was settled"
            self.state.end(_step(voter), StepState.SKIPPED, note=note)
            return not_cast(voter, VoteState.CANCELLED, note, spend)
        if outcome.value is None:
            error = text_of(outcome.error) if outcome.error else "ended without an answer"
            return not_cast(voter, VoteState.FAILED, error, spend)
        self._note(voter.name, outcome.value)
        return read(voter, outcome.value, spend)

    async def _break_tie(self) -> None:
        """Have a judge or a person decide; nobody where the request says so, or where they do not."""
        self._notes.append(f"the votes decide nothing: {self._count.standing(self._ballots())}")
        if self.request.on_tie is OnTie.JUDGE:
            await self._ask_judge()
        elif self.request.on_tie is OnTie.PERSON:
            await self._ask_person()

    async def _ask_judge(self) -> None:
        judge = Voter(agent=self.request.judge, name="judge")
        votes = [Part.of(vote.full, label=f"vote: {vote.voter}") for vote in self._votes.values() if vote.full]
        text = judge_text(self._count.options, self._count.standing(self._ballots()))
        try:
            answer = await self.agents.ask(
                judge.agent,
                [*votes, *self._material, Part(text=text), self._question],
                step=JUDGE,
                schema=verdict_schema(self.request.question, JUDGE_ANGLE, self._count.options),
                context_characters=part_characters(self.agents.catalog),
            )
            if answer.data is None:
                raise non_retryable(ErrorKind.OUTPUT_INVALID, f"{judge.agent} gave no verdict")
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            self._notes.append(f"the judge failed, so nobody decided: {text_of(error)}"[:500])
            self._ruling = not_cast(judge, VoteState.FAILED, text_of(error), self.trace.spent(JUDGE))
            return
        self._note(judge.name, answer)
        self._ruling = cast(judge, answer, self.trace.spent(JUDGE))

    async def _ask_person(self) -> None:
        options, seconds = self._count.options, self.request.deadline
        self.state.add(StepRow(step=PERSON, agent=OnTie.PERSON))
        self.state.begin(PERSON)
        text = f"The votes are divided: {self.request.question}"
        said, why = await break_tie(self.gates, self.people, self.state, text, options, seconds=seconds)
        person = Voter(agent=OnTie.PERSON, name=OnTie.PERSON)
        if said is None:
            error = f"{why}, so nobody decided"
            self.state.end(PERSON, StepState.FAILED, note=error)
            self._notes.append(error)
            self._ruling = not_cast(person, VoteState.FAILED, error, Spend())
            return
        self.state.end(PERSON, StepState.DONE, output=Content(text=said, size=len(said.encode())))
        self._ruling = Vote(voter=person.name, agent=person.agent, state=VoteState.CAST, verdict=said)

    def _ballots(self) -> dict[str, str | None]:
        """Return what was chosen, and None where a voter failed; who was cancelled is left out."""
        asked = {name: vote for name, vote in self._votes.items() if vote.state is not VoteState.CANCELLED}
        return {name: vote.verdict or None for name, vote in asked.items()}

    def _note(self, name: str, answer: Answer) -> None:
        self._notes += [f"{name}: {note}" for note in answer.notes]
        if answer.left_out_characters:
            self._notes.append(
                f"{name} read only a part: {answer.left_out_characters} characters of the material were cut"
            )

    async def _failed(self) -> Exception:
        causes = "; ".join(f"{vote.voter}: {vote.error}" for vote in self._votes.values())
        result = await self._result("", NOBODY, RunState.FAILED)
        return non_retryable(ErrorKind.NOTHING_SUCCEEDED, f"every voter failed ({causes})", result)

    async def _result(
        self, verdict: str, decided_by: str, state: RunState | None = None, findings: AgreementSummary | None = None
    ) -> ConsensusResult:
        votes = [*self._votes.values(), *([self._ruling] if self._ruling else [])]
        failed = any(vote.state is VoteState.FAILED for vote in votes) or (
            findings is not None and not findings.grouped
        )
        self.state.close(state or (RunState.PARTIAL if failed else RunState.COMPLETED))
        dissent = self._count.dissent(self._ballots(), verdict) if findings is None else ()
        return ConsensusResult(
            state=self.state.phase,
            verdict=verdict,
            decided_by=decided_by,
            agreed=bool(verdict) and not dissent,
            votes=tuple(self._votes.values()),
            dissent=dissent,
            ruling=self._ruling,
            findings=findings,
            stopped_early=any(vote.state is VoteState.CANCELLED for vote in votes),
            spend=self.state.spend,
            notes=tuple(self._notes),
            report=await self.keep_report(),
        )


def _step(voter: Voter) -> str:
    return f"vote · {voter.name}"


def _ballots(outcomes: Mapping[str, Outcome[Answer]]) -> dict[str, str | None]:
    """Read the choices out of the answers as they come in."""
    return {
        name: str(outcome.value.data["verdict"]) if outcome.value and outcome.value.data else None
        for name, outcome in outcomes.items()
        if not outcome.cancelled
    }
