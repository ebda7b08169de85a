"""What a run changed in the world, and what became of each change when it was rolled back."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from outlast.contracts.actions import Effect
from outlast.contracts.base import Contract, Summary


class ChangeState(StrEnum):
    """Where a change is."""

    REGISTERED = "registered"
    """Announced before the call, and never reported: it may or may not have happened. Only its key can tell."""
    DONE = "done"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"
    NOT_UNDOABLE = "not_undoable"
    """It happened at least once, or may have, and nothing takes it back."""
    NOT_HAPPENED = "not_happened"


class Change(Contract):
    """One call of a tool that changes something.

    `key` is the same in every attempt and in every run of the workflow id. `undo` are the arguments of `undo_tool`, known once
    the call is done; without them the undo finds them by the key. `timeout` in seconds is that of the call. `order` counts
    the calls of the run as they ended (0: this one has not).
    """

    seq: int
    step: str
    agent: str
    tool: str
    arguments: Summary = ""
    effect: Effect = Effect.WRITE
    key: str
    undo_tool: str = ""
    undo: Mapping[str, Any] = Field(default_factory=dict)
    timeout: float = 60.0
    state: ChangeState = ChangeState.REGISTERED
    order: int = 0
    note: Summary = ""

    @property
    def undoable(self) -> bool:
        """Whether a tool undoes it."""
        return bool(self.undo_tool)


class Checkpoint(Contract):
    """A point to roll back to: changes with a greater `order`, or none yet, came after it."""

    name: str
    order: int


class Extent(StrEnum):
    """How far a rollback goes."""

    KEEP = "keep"
    ALL = "all"
    TO_CHECKPOINT = "to_checkpoint"


class RollbackPolicy(Contract):
    """How far to roll back; `checkpoint` names the point for `to_checkpoint`. A plain text (`all`, `keep`) is taken as well."""

    extent: Extent = Extent.KEEP
    checkpoint: str = ""

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return {"extent": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_whole(self) -> "RollbackPolicy":
        if (self.extent is Extent.TO_CHECKPOINT) != bool(self.checkpoint):
            raise ValueError("checkpoint: give a name with extent to_checkpoint, and only with it")
        return self


KEEP = RollbackPolicy()
ROLL_BACK_ALL = RollbackPolicy(extent=Extent.ALL)


class OnFallback(StrEnum):
    """What happens to the changes of an agent that failed at a step, before its fallback or the same agent tries again."""

    TELL = "tell"
    """They stay; the next attempt is given the list, with their results."""
    ROLL_BACK = "roll_back"
    """They are undone first; the next attempt is given what could not be undone."""


class Changes(Contract):
    """Every change of a run in the order of its calls, and why it was rolled back (empty: it was not).

    `forgotten` counts the oldest changes where there were more than a run remembers; they are kept as they are.
    """

    changes: tuple[Change, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    reason: Summary = ""
    forgotten: int = 0

    def having(self, *states: ChangeState) -> tuple[Change, ...]:
        """Return the changes that are in one of these states."""
        return tuple(change for change in self.changes if change.state in states)

    @property
    def summary(self) -> str:
        """Count the changes by what became of them, in words; empty where nothing was changed."""
        counted = [(len(self.having(state)), words) for state, words in _WORDS.items()]
        counted.append((self.forgotten, "too long ago to undo"))
        return ", ".join(f"{count} {words}" for count, words in counted if count)


_WORDS = {
    ChangeState.UNDONE: "undone",
    ChangeState.UNDO_FAILED: "could not be undone",
    ChangeState.NOT_UNDOABLE: "cannot be undone",
    ChangeState.NOT_HAPPENED: "never happened",
    ChangeState.DONE: "kept",
    ChangeState.REGISTERED: "unknown",
}


class StuckDecision(StrEnum):
    """What to do with a compensation that keeps failing."""

    RETRY = "retry"
    GIVE_UP = "give_up"


class RollbackAnswer(Contract):
    """The answer to a rollback request: whether it is carried out, and why not."""

    accepted: bool
    reason: str = ""
