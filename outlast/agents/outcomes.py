"""What the steps of a run came to, and what a forked run takes over of the run before it instead of doing it again.

A step takes an outcome over only where it is asked the same: an edited step, or one that is given another answer than then, is
done anew. A step whose tools changed something in the earlier run is never done again by that: the change stands, and is the
earlier run's to undo.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import workflow

from outlast.agents.answers import Answer
from outlast.contracts import TAKEN_NOTE, Content, Fork, Part, StepOutcome, StepOutcomes, hashed
from outlast.errors import ErrorKind, non_retryable
from outlast.storage.outcome_activities import OutcomeActivities
from outlast.workflow import policies
from outlast.workflow.journal import breathe

DIGEST = 16
"""Characters of a digest: enough to tell the few questions that one step may be asked."""
ANSWER_BYTES = 100_000
"""About how much one answer of the query holds, and one list that a fork reads: far below the limit of a message."""
BREATH = 200
"""Steps that are taken over within one workflow task."""


class Outcomes:
    """The outcomes of one run's steps, its own and those that it takes over."""

    def __init__(self, fork: Fork | None = None) -> None:
        self._fork = fork
        self._ended: list[StepOutcome] = []
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
        return tuple(self._ended)

    def restore(self, ended: Sequence[StepOutcome]) -> None:
        """Go on from what the steps of earlier parts came to; the run, which begins anew, does not come to all of it again."""
        self._ended = list(ended)
        self._again = Counter((one.step, one.asked) for one in ended)

    async def read(self) -> None:
        """Read what is taken over, once, before the first step."""
        for ref in self._fork.outcomes if self._fork else ():
            read = await workflow.execute_local_activity_method(
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
        return Answer(
            taken.content,
            taken.agent,
            taken.data,
            (*taken.notes, _note(self._fork)),
            taken.wrong,
            taken.findings,
            taken.left_out_characters,
        )

    def take_data(self, step: str, asked: str) -> dict[str, Any] | None:
        """Return what a step gave that asks no agent, as data; None where it must be done. Raises as `take`."""
        taken = self._taken(step, asked)
        return taken.data if taken else None

    def keep(self, step: str, asked: str, answer: Answer) -> None:
        """Remember what a step came to."""
        notes = tuple(note for note in answer.notes if self._fork is None or note != _note(self._fork))
        self._keep(
            StepOutcome(
                step=step,
                asked=asked,
                agent=answer.agent,
                content=answer.content,
                data=answer.data,
                notes=notes,
                findings=answer.findings,
                wrong=answer.wrong,
                left_out_characters=answer.left_out_characters,
            )
        )

    def keep_data(self, step: str, asked: str, data: dict[str, Any]) -> None:
        """Remember what a step gave that asks no agent."""
        self._keep(StepOutcome(step=step, asked=asked, data=data))

    def page(self, arguments: Sequence[Any]) -> StepOutcomes:
        """Answer the `outcomes` query: as many as fit into a message, from the one of this number on."""
        first = arguments[0] if arguments and isinstance(arguments[0], int) else 0
        page: list[StepOutcome] = []
        size = 0
        for outcome in self._ended[first:]:
            size += len(outcome.model_dump_json())
            if page and size > ANSWER_BYTES:
                break
            page.append(outcome)
        return StepOutcomes(outcomes=tuple(page), total=len(self._ended))

    def _keep(self, outcome: StepOutcome) -> None:
        known = (outcome.step, outcome.asked)
        if self._again[known] > 0:
            self._again[known] -= 1
        else:
            self._ended.append(outcome)

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
    asked = [part.model_dump() for part in parts]
    return hashed({"agent": agent, "parts": asked, "schema": schema})[:DIGEST]


def forked_in_words(fork: Fork) -> str:
    """Say from which run a fork comes, and from where on it is done again."""
    return f"{fork.run}, from {fork.start} on" if fork.start else f"{fork.run}, which had not ended well"


def _note(fork: Fork) -> str:
    return f"{TAKEN_NOTE} {fork.run}"
