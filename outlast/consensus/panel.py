"""A panel of voters asked at once: `outcome = await vote(self.agents, "May we terminate?", material=[contract])`.

Counting stops when no vote that is missing could change anything; who is still at work then is cancelled, and what that cost
is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.consensus.findings import shared_parts
from outlast.consensus.verdicts import JUDGE_ANGLE, cast, judge_text, not_cast, verdict_schema, voter_text
from outlast.consensus.votes import ConsensusRequest, Rule, Vote, Voter, VoteState
from outlast.consensus.voting import Count, options_of, problems, seated
from outlast.contracts import Part, Spend, StepRow, StepState
from outlast.dag import Outcome
from outlast.documents.digest import part_characters
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.gather import gather
from outlast.workflow.keeping import part_of

JUDGE = "tie · judge"
ReadVote = Callable[[Voter, Answer, Spend], Vote]


@dataclass
class Panel:
    """One question to the voters of a count; `text` is the question in full, `question` the part that they are given."""

    agents: Agents
    count: Count
    text: str
    question: Part
    material: Sequence[Part] = ()
    votes: dict[str, Vote] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def ballots(self) -> dict[str, str | None]:
        """What was chosen, and None where a voter failed; who was cancelled is left out."""
        asked = {name: vote for name, vote in self.votes.items() if vote.state is not VoteState.CANCELLED}
        return {name: vote.verdict or None for name, vote in asked.items()}

    @property
    def full(self) -> list[Part]:
        """The full answer of each voter, as material for others."""
        return [Part.of(vote.full, label=f"vote: {vote.voter}") for vote in self.votes.values() if vote.full]

    async def vote(self) -> None:
        """Ask all voters at once, until no further vote can change the outcome."""
        voters = {voter.name: voter for voter in self.count.voters}
        for voter in voters.values():
            self.agents.run.state.add(StepRow(step=step_of(voter), agent=voter.agent, input=voter.angle[:200]))
        ended = await gather(
            {name: partial(self._ask, voter) for name, voter in voters.items()},
            enough=lambda outcomes: self.count.settled(_ballots(outcomes)) is not None,
        )
        self.read(ended)
        if left := [name for name, vote in self.votes.items() if vote.state is VoteState.CANCELLED]:
            done = len(self.votes) - len(left)
            self.notes.append(
                f"stopped after {done} of {len(self.votes)} votes: no other vote could change the outcome"
            )

    def read(self, ended: Mapping[str, Outcome[Answer]], read: ReadVote = cast) -> None:
        """Read how each voter ended; one that is not there never started."""
        for voter in self.count.voters:
            self.votes[voter.name] = self._vote_of(voter, ended.get(voter.name), read)

    async def judge(self, agent: str) -> Vote:
        """Have a judge decide, who sees all votes; one that failed has cast none."""
        judge = Voter(agent=agent, name="judge")
        text = judge_text(self.count.options, self.count.standing(self.ballots))
        try:
            answer = await self.agents.ask(
                agent,
                [*self.full, *self.material, Part(text=text), self.question],
                step=JUDGE,
                schema=verdict_schema(self.text, JUDGE_ANGLE, self.count.options),
                context_characters=part_characters(self.agents.catalog),
            )
            if answer.data is None:
                raise non_retryable(ErrorKind.OUTPUT_INVALID, f"{agent} gave no verdict")
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            self.notes.append(f"the judge failed, so nobody decided: {text_of(error)}"[:500])
            return not_cast(judge, VoteState.FAILED, text_of(error), self.agents.run.trace.spent(JUDGE))
        self._note(judge.name, answer)
        return cast(judge, answer, self.agents.run.trace.spent(JUDGE))

    async def _ask(self, voter: Voter) -> Answer:
        text = voter_text(voter, self.count.options, material=bool(self.material))
        answer = await self.agents.ask(
            voter.agent,
            [*self.material, Part(text=text), self.question],
            step=step_of(voter),
            schema=verdict_schema(self.text, voter.angle, self.count.options),
            context_characters=part_characters(self.agents.catalog),
            wait_for_cost=True,
            shared_parts=shared_parts(self.agents, self.material, voter.agent, self.count.voters),
        )
        if answer.data is None:
            raise non_retryable(ErrorKind.OUTPUT_INVALID, f"{voter.agent} gave no verdict")
        return answer

    def _vote_of(self, voter: Voter, outcome: Outcome[Answer] | None, read: ReadVote) -> Vote:
        step = step_of(voter)
        spend = self.agents.run.trace.spent(step)
        if outcome is None or outcome.cancelled:
            note = f"{'cancelled' if outcome else 'not asked'}, because the outcome was settled"
            self.agents.run.state.end(step, StepState.SKIPPED, note=note)
            return not_cast(voter, VoteState.CANCELLED, note, spend)
        if outcome.value is None:
            error = text_of(outcome.error) if outcome.error else "ended without an answer"
            return not_cast(voter, VoteState.FAILED, error, spend)
        self._note(voter.name, outcome.value)
        return read(voter, outcome.value, spend)

    def _note(self, name: str, answer: Answer) -> None:
        self.notes += [f"{name}: {note}" for note in answer.notes]
        if answer.left_out_characters:
            self.notes.append(
                f"{name} read only a part: {answer.left_out_characters} characters of the material were cut"
            )


@dataclass(frozen=True)
class Verdict:
    """What a panel came to: an option, or "" where the votes decide nothing; and every vote."""

    verdict: str
    votes: tuple[Vote, ...]
    dissent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


async def vote(
    agents: Agents,
    question: str,
    *,
    voters: Sequence[str | Voter] = (),
    options: Sequence[str] = ("yes", "no", "unclear"),
    rule: Rule | None = None,
    material: Sequence[Part] = (),
) -> Verdict:
    """Have several agents choose one of the options, and count their votes.

    Args:
        agents: The agents of the run, `self.agents`.
        question: What they decide.
        voters: Agents, or voters with an angle and a weight; by default a panel of three.
        options: What they choose from.
        rule: How votes become a verdict; by default more than half of all voters.
        material: What they judge by.

    Returns:
        The `verdict`, empty where the votes decide nothing; every one of the `votes`; who dissents (`dissent`); and `notes`.

    Raises:
        ApplicationError: InputInvalid where the request cannot be voted on, NothingSucceeded where every voter failed.

    Example:
        ```python
        outcome = await vote(self.agents, "Is this a breach?", voters=("analyst", "sceptic", "legal-analyst"))
        ```
    """
    named = tuple(Voter(agent=voter) if isinstance(voter, str) else voter for voter in voters)
    request = ConsensusRequest(question=question, voters=named, options=tuple(options), rule=rule or Rule())
    if wrong := problems(request):
        raise non_retryable(ErrorKind.INPUT_INVALID, "; ".join(wrong))
    await agents.ready()
    count = Count(request.rule, seated(request.voters), options_of(request))
    panel = Panel(agents, count, question, await part_of(question, "keep the question"), tuple(material))
    await panel.vote()
    outcome = count.outcome(panel.ballots)
    if outcome.empty:
        causes = "; ".join(f"{one.voter}: {one.error}" for one in panel.votes.values())
        raise non_retryable(ErrorKind.NOTHING_SUCCEEDED, f"every voter failed ({causes})")
    dissent = count.dissent(panel.ballots, outcome.verdict)
    return Verdict(outcome.verdict, tuple(panel.votes.values()), dissent, tuple(panel.notes))


def step_of(voter: Voter) -> str:
    """Name the step of a voter."""
    return f"vote · {voter.name}"


def _ballots(outcomes: Mapping[str, Outcome[Answer]]) -> dict[str, str | None]:
    """Read the choices out of the answers as they come in."""
    return {
        name: str(outcome.value.data["verdict"]) if outcome.value and outcome.value.data else None
        for name, outcome in outcomes.items()
        if not outcome.cancelled
    }
