"""What the steps of a run came to, and what a forked run takes over of the run before it instead of doing it again.

A step takes an outcome over only where it is asked the same: an edited step, or one that is given another answer than then, is
done anew. A step whose tools changed something in the earlier run is never done again by that: the change stands, and is the
earlier run's to undo.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.agents.answers import Answer
from outlast.contracts import TAKEN_NOTE, Content, Fork, Part, StepOutcome, StepOutcomes, hashed
from outlast.errors import ErrorKind, non_retryable
from outlast.storage.outcome_activities import OutcomeActivities
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_local_anew
from outlast.workflow.journal import breathe

DIGEST = 16
"""Characters of a digest: enough to tell the few questions that one step may be asked."""
ANSWER_BYTES = 100_000
"""About how much one answer of the query holds, and one list that a fork reads: far below the limit of a message."""
PART = {name: field.default for name, field in Part.model_fields.items()}
BREATH = 200
"""Steps that are taken over within one workflow task."""


class Outcomes:
    """The outcomes of one run's steps, its own and those that it takes over."""

    def __init__(self, fork: Fork | None = None) -> None:
        self._fork = fork
        self._ended: list[tuple[str, str, Answer | dict[str, Any]]] = []
        """Step, digest of what it was asked, and what it gave; a message is made of them only where somebody asks."""
        self._again: Counter[tuple[str, str]] = Counter()
        """Of what was kept in earlier parts of the run: what this part has not come to again yet."""
        self._took = 0
        self._there: dict[tuple[str, str], list[StepOutcome]] = {}

    @property
    def agents(self) -> Sequence[str]:
        """Agents that do steps in place of others, some of them as `AGENT@MODEL`."""
        return tuple(self._fork.agents.values()) if self._fork else ()

    @property
    def ended(self) -> tuple[StepOutcome, ...]:
        """What the steps came to so far, all parts of the run together."""
        return tuple(self._outcome(*each) for each in self._ended)

    def restore(self, ended: Sequence[StepOutcome]) -> None:
        """Go on from what the steps of earlier parts came to; the run, which begins anew, does not come to all of it again."""
        self._ended = [(one.step, one.asked, answer_of(one) if one.agent else one.data or {}) for one in ended]
        self._again = Counter((one.step, one.asked) for one in ended)

    async def read(self) -> None:
        """Read what is taken over, once, before the first step."""
        for ref in self._fork.outcomes if self._fork else ():
            read = await run_local_anew(
                OutcomeActivities.read_outcomes, Content(ref=ref), **policies.local_call("read what is taken over")
            )
            for outcome in read.outcomes:
                self._there.setdefault((outcome.step, outcome.asked), []).append(outcome)

    def agent_for(self, step: str, agent: str) -> str:
        """Return who does a step: the agent, unless the fork names another one for it."""
        return self._fork.agents.get(step, agent) if self._fork else agent

    def has(self, step: str, asked: str) -> bool:
        """Whether a step that is asked this is done already."""
        return bool(self._there.get((step, asked)))

    async def take(self, step: str, asked: str) -> Answer | None:
        """Return the answer that a step had when it was asked the same, None where it must be asked.

        Raises InputInvalid for a step that must not be done again, because its tools changed something that still stands.
        """
        taken = self._taken(step, asked)
        if taken is None or self._fork is None:
            return None
        self._took += 1
        if self._took % BREATH == 0:
            await breathe()
        return answer_of(taken, _note(self._fork))

    def take_data(self, step: str, asked: str) -> dict[str, Any] | None:
        """Return what a step gave that asks no agent, as data; None where it must be done. Raises as `take`."""
        taken = self._taken(step, asked)
        return taken.data if taken else None

    def keep(self, step: str, asked: str, answer: Answer) -> None:
        """Remember what a step came to."""
        self._keep(step, asked, answer)

    def keep_data(self, step: str, asked: str, data: dict[str, Any]) -> None:
        """Remember what a step gave that asks no agent."""
        self._keep(step, asked, data)

    def page(self, arguments: Sequence[Any], earlier: tuple[str, ...] = ()) -> StepOutcomes:
        """Answer the `outcomes` query: as many as fit into a message, from the one of this number on.

        Those of steps of earlier parts of the run are in the lists of these keys.
        """
        first = arguments[0] if arguments and isinstance(arguments[0], int) else 0
        page: list[StepOutcome] = []
        size = 0
        for each in self._ended[first:]:
            outcome = self._outcome(*each)
            size += len(outcome.model_dump_json())
            if page and size > ANSWER_BYTES:
                break
            page.append(outcome)
        return StepOutcomes(outcomes=tuple(page), total=len(self._ended), earlier=earlier)

    def _keep(self, step: str, asked: str, given: Answer | dict[str, Any]) -> None:
        if self._again[step, asked] > 0:
            self._again[step, asked] -= 1
        else:
            self._ended.append((step, asked, given))

    def _outcome(self, step: str, asked: str, given: Answer | dict[str, Any]) -> StepOutcome:
        if not isinstance(given, Answer):
            return StepOutcome(step=step, asked=asked, data=given)
        return StepOutcome(
            step=step,
            asked=asked,
            agent=given.agent,
            content=given.content,
            data=given.data,
            notes=tuple(note for note in given.notes if self._fork is None or note != _note(self._fork)),
            findings=given.findings,
            wrong=given.wrong,
            left_out_characters=given.left_out_characters,
        )

    def _taken(self, step: str, asked: str) -> StepOutcome | None:
        waiting = self._there.get((step, asked))
        if waiting:
            return waiting.pop(0)
        if self._fork is not None and step in self._fork.changed:
            raise non_retryable(
                ErrorKind.INPUT_INVALID,
                f"in run {self._fork.run} this step changed something that still stands, and it is asked something else now; "
                "it is not done again, so that the change is not made twice. Roll that run back first, or fork with "
                "--repeat-effects",
            )
        return None


def digest_of_ask(agent: str, parts: Sequence[Part], schema: Mapping[str, Any] | None = None) -> str:
    """Name what an agent is asked: the same for the same agent, texts and schema."""
    # As `model_dump` gives it, in a third of the time.
    asked = [{name: value for name, value in vars(part).items() if value != PART[name]} for part in parts]
    return hashed({"agent": agent, "parts": asked, "schema": schema})[:DIGEST]


def forked_in_words(fork: Fork) -> str:
    """Say from which run a fork comes, and from where on it is done again."""
    return f"{fork.run}, from {fork.start} on" if fork.start else f"{fork.run}, which had not ended well"


def _note(fork: Fork) -> str:
    return f"{TAKEN_NOTE} {fork.run}"


def answer_of(outcome: StepOutcome, *notes: str) -> Answer:
    """Return the answer that a step gave, with more notes."""
    return Answer(
        outcome.content,
        outcome.agent,
        outcome.data,
        (*outcome.notes, *notes),
        outcome.wrong,
        outcome.findings,
        outcome.left_out_characters,
    )
