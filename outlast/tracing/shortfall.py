"""Which tools the agents of a run name and lack: such a run is not complete, and says so wherever its result is shown."""

from collections.abc import Sequence
from typing import TypeVar

from temporalio.exceptions import ApplicationError

from outlast.contracts import SUMMARY_LENGTH, RunResult, RunState
from outlast.errors import kind_of, non_retryable, root_of, text_of

Result = TypeVar("Result")


class Shortfall:
    """What agents lack, with the reason; and which of their tools are otherwise than the servers have them."""

    def __init__(self) -> None:
        self._lacking: dict[tuple[str, str], str] = {}
        self._changed: dict[str, None] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The tools that agents name and lack."""
        return tuple(self._lacking.values())

    @property
    def changed(self) -> tuple[str, ...]:
        """What is otherwise about the tools that are there."""
        return tuple(self._changed)

    @property
    def carried(self) -> tuple[tuple[str, str, str], ...]:
        """What agents lack, for the next part of the run."""
        return tuple((agent, tool, why) for (agent, tool), why in self._lacking.items())

    def restore(self, lacking: Sequence[tuple[str, str, str]], changed: Sequence[str]) -> None:
        """Take over what agents lacked in the part before."""
        self._lacking = {(agent, tool): why for agent, tool, why in lacking}
        self._changed = dict.fromkeys(changed)

    def lacks(self, agent: str, missing: Sequence[str], changed: Sequence[str] = ()) -> None:
        """Record what an agent lacks; `missing` begins with the name of each tool."""
        for name in missing:
            self._lacking[agent, name.partition(" ")[0]] = f"{agent}: {name}"[:SUMMARY_LENGTH]
        self._changed |= {f"{agent}: {reason}"[:SUMMARY_LENGTH]: None for reason in changed}

    def regains(self, agent: str, tool: str) -> None:
        """Record that a tool answers again."""
        self._lacking.pop((agent, tool), None)

    def judged(self, state: RunState) -> RunState:
        """Return how a run ends that would end so if nothing were missing."""
        return RunState.PARTIAL if state is RunState.COMPLETED and self._lacking else state

    def in_result(self, result: Result) -> Result:
        """Note in the result of a run what was missing: such a run is not complete."""
        if not self._lacking or not isinstance(result, RunResult):
            return result
        return result.model_copy(update={"tools_missing": self.missing, "state": self.judged(result.state)})

    def in_error(self, error: BaseException) -> BaseException:
        """Note in the result that a failed run leaves in its error what was missing."""
        root = root_of(error)
        details = root.details if isinstance(root, ApplicationError) else ()
        shown = tuple(map(self.in_result, details))
        if all(one is other for one, other in zip(shown, details, strict=True)):
            return error
        return non_retryable(kind_of(error), text_of(error), *shown)
