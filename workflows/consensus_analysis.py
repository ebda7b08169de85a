"""Consensus: several analysts judge the same material at once, a rule that is data makes one verdict of theirs.

Without options they analyse freely, and the result is what they agree on, what they dispute, and what only one of them saw. In a
vote, counting stops when no vote that is missing could change anything; who is still at work then is cancelled, and what that
cost is counted. A panel that agrees on nothing still has to end, so a judge, a person or a flag comes after the votes.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.approvals.choices import choose
from outlast.consensus.contracts import AgreementSummary
from outlast.consensus.findings import (
    FreeAnalyses,
)
from outlast.consensus.panel import (
    Panel,
    step_of,
)
from outlast.consensus.verdicts import (
    analysed,
    not_cast,
    voting_alone,
)
from outlast.consensus.votes import ConsensusKind, ConsensusRequest, ConsensusResult, OnTie, Vote, Voter, VoteState
from outlast.consensus.voting import Count, options_of, problems, seated
from outlast.contracts import Content, Part, RunState, Spend, StepRow, StepState
from outlast.documents.digest import read_document
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.keeping import part_of

EXTRACT, PERSON = "extract", "tie · person"
NOBODY, CONSENSUS = "nobody", "consensus"


@workflow.defn
class ConsensusAnalysisWorkflow(AgentWorkflow[ConsensusRequest, ConsensusResult]):
    """Asks analysts for verdicts and counts them; fails only if every one of them failed."""

    continues = True

    pattern = "consensus"

    @workflow.init
    def __init__(self, request: ConsensusRequest) -> None:
        super().__init__(request)
        self._count = Count(request.rule, seated(request.voters), options_of(request))
        self._panel = Panel(self.agents, self._count, request.question, Part(text=request.question))
        self._ruling: Vote | None = None

    @workflow.run
    async def run(self, request: ConsensusRequest) -> ConsensusResult:
        """Let all vote, count, and have the tie broken where the votes decide nothing."""
        await self._prepare()
        await self._read_material()
        if request.kind is ConsensusKind.FINDINGS:
            return await self._agree()
        await self._panel.vote()
        outcome = self._count.outcome(self._panel.ballots)
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
        needs_judge = self.request.on_tie is OnTie.JUDGE or self.request.result_schema is not None
        judges = [self.request.judge] if needs_judge else []
        if self.request.kind is ConsensusKind.FINDINGS:
            judges = [self.request.consensus_agent]
        voting = [voter.agent for voter in self._count.voters]
        catalog = await self.agents.read(list(dict.fromkeys([*voting, *judges])))
        cards = tuple(voting_alone(card) if card.name in voting else card for card in catalog.agents)
        self.agents.catalog = catalog.model_copy(update={"agents": cards})
        self._panel.question = await part_of(self.request.question, "keep the question")

    async def _read_material(self) -> None:
        """Turn the document into text; what is longer than a voter's window is cut for each call."""
        material: list[Part] = []
        if self.request.material is not None:
            given = self.request.material
            material.append(given.model_copy(update={"label": given.label or "material"}))
        if self.request.document is not None:
            material += await read_document(self.agents, EXTRACT, self.request.document)
        self._panel.material = material

    async def _agree(self) -> ConsensusResult:
        """Let all analyse freely, and find what they agree on; whoever failed is named in the result."""
        analysts = self._count.voters
        free = FreeAnalyses(self.agents, analysts, self._panel.question, self._panel.material)
        outcomes = await free.ask({voter.name: step_of(voter) for voter in analysts})
        self._panel.read(outcomes, analysed)
        answers = {name: done for name in self._panel.votes if (done := outcomes[name].value) is not None}
        if not answers:
            raise await self._failed()
        summary = await free.agree(answers, self.request.consensus_agent)
        if len(answers) == 1:
            self._panel.notes.append(f"only {next(iter(answers))} answered, so there is nothing to agree on")
        self._panel.notes += free.notes
        return await self._result("", CONSENSUS, findings=summary)

    async def _break_tie(self) -> None:
        """Have a judge or a person decide; nobody where the request says so, or where they do not."""
        self._panel.notes.append(f"the votes decide nothing: {self._count.standing(self._panel.ballots)}")
        if self.request.on_tie is OnTie.JUDGE:
            self._ruling = await self._panel.judge(self.request.judge)
        elif self.request.on_tie is OnTie.PERSON:
            await self._ask_person()

    async def _ask_person(self) -> None:
        options, seconds = self._count.options, self.request.deadline
        self.state.add(StepRow(step=PERSON, agent=OnTie.PERSON))
        self.state.begin(PERSON)
        text = f"The votes are divided: {self.request.question}"
        chosen, why = await choose(self.gates, self.state, text, options, name="tie", seconds=seconds)
        person = Voter(agent=OnTie.PERSON, name=OnTie.PERSON)
        if chosen is None:
            error = f"{why}, so nobody decided"
            self.state.end(PERSON, StepState.FAILED, note=error)
            self._panel.notes.append(error)
            self._ruling = not_cast(person, VoteState.FAILED, error, Spend())
            return
        self.state.end(PERSON, StepState.DONE, output=Content(text=chosen, size=len(chosen.encode())))
        self._ruling = Vote(voter=person.name, agent=person.agent, state=VoteState.CAST, verdict=chosen)

    async def _failed(self) -> Exception:
        causes = "; ".join(f"{vote.voter}: {vote.error}" for vote in self._panel.votes.values())
        result = await self._result("", NOBODY, RunState.FAILED)
        return non_retryable(ErrorKind.NOTHING_SUCCEEDED, f"every voter failed ({causes})", result)

    async def _result(
        self, verdict: str, decided_by: str, state: RunState | None = None, findings: AgreementSummary | None = None
    ) -> ConsensusResult:
        votes = [*self._panel.votes.values(), *([self._ruling] if self._ruling else [])]
        data, problem = (None, None) if state else await self._data(verdict, findings)
        if problem is not None:
            state = RunState.FAILED
        failed = any(vote.state is VoteState.FAILED for vote in votes) or (
            findings is not None and not findings.grouped
        )
        self.state.close(state or (RunState.PARTIAL if failed else RunState.COMPLETED))
        dissent = self._count.dissent(self._panel.ballots, verdict) if findings is None else ()
        result = ConsensusResult(
            state=self.state.phase,
            verdict=verdict,
            decided_by=decided_by,
            agreed=bool(verdict) and not dissent,
            votes=tuple(self._panel.votes.values()),
            dissent=dissent,
            ruling=self._ruling,
            findings=findings,
            stopped_early=any(vote.state is VoteState.CANCELLED for vote in votes),
            spend=self.state.spend,
            notes=tuple(self._panel.notes),
            report=await self.keep_report(),
            data=data,
        )
        if problem is not None:
            why = f"the result could not be put into result_schema: {text_of(problem)}"
            raise non_retryable(kind_of(problem), why, result)
        return result

    async def _data(
        self, verdict: str, findings: AgreementSummary | None
    ) -> tuple[Content | None, ActivityError | ApplicationError | None]:
        """Put the outcome into the schema that the request gave, or say why that failed."""
        if self.request.result_schema is None:
            return None, None
        if findings is not None:
            agent, material = self.request.consensus_agent, [Part.of(findings.full, label="findings")]
        else:
            agent, material = self.request.judge, [*self._panel.full, Part(text=verdict or NOBODY, label="verdict")]
        try:
            return await self.agents.fill_in(self.request.result_schema, agent, [*material, self._panel.question]), None
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            return None, error
