"""What a run changed in the world, and what became of each change when it was rolled back."""

from collections.abc import Mapping
from datetime import datetime
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
    """One call of a tool that changes something."""

    seq: int
    """Number of the call among the changing calls of the run, in the order in which they were announced."""
    step: str
    """Step of the run that made the call."""
    agent: str
    """Name of the agent that made the call."""
    tool: str
    """Name of the tool."""
    arguments: Summary = ""
    """Beginning of the arguments as JSON, at most 200 characters, for people to read."""
    effect: Effect = Effect.WRITE
    """What the call does to the world."""
    key: str
    """Idempotency key: the same in every attempt and in every run of the workflow id."""
    undo_tool: str = ""
    """Name of the tool that undoes the call; empty: nothing undoes it."""
    undo: Mapping[str, Any] = Field(default_factory=dict)
    """Arguments of `undo_tool`, known once the call is done; without them the undo finds the call by its key."""
    timeout: float = 60.0
    """Time-out of the call, in seconds."""
    state: ChangeState = ChangeState.REGISTERED
    """What became of the change."""
    order: int = 0
    """Place among the changing calls of the run, and of those below it, as they ended, from 1 on; 0: this one has not ended."""
    at: datetime | None = None
    """When it ended, in workflow time (UTC); None: it has not, or nobody wrote it down then."""
    note: Summary = ""
    """What the undo reported, or why it failed or cannot be done; at most 200 characters."""

    @property
    def undoable(self) -> bool:
        """Whether a tool undoes it."""
        return bool(self.undo_tool)


class Checkpoint(Contract):
    """A point that a run can be rolled back to."""

    name: str
    """Name of the point: that of the step or stage that was done."""
    order: int
    """Changes with a greater `order`, and those that have not ended, came after this point."""
    at: datetime | None = None
    """When it was reached, in workflow time (UTC); None: nobody wrote it down then."""


class Extent(StrEnum):
    """How far a rollback goes."""

    KEEP = "keep"
    ALL = "all"
    TO_CHECKPOINT = "to_checkpoint"


class RollbackPolicy(Contract):
    """How far to roll back. A plain text (`all`, `keep`) is accepted as well."""

    extent: Extent = Extent.KEEP
    """How far: not at all, everything, or to a checkpoint."""
    checkpoint: str = ""
    """Name of the point for `to_checkpoint`; empty with any other extent."""

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
    """Every change of a run, and why it was rolled back."""

    changes: tuple[Change, ...] = ()
    """The changes in the order of their calls."""
    checkpoints: tuple[Checkpoint, ...] = ()
    """The points that the run can be rolled back to, oldest first."""
    reason: Summary = ""
    """Why the changes were rolled back, at most 200 characters; empty: they were not."""
    forgotten: int = 0
    """Count of the oldest changes where there were more than a run remembers; they are kept as they are."""

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
    """The answer to a rollback request."""

    accepted: bool
    """Whether the rollback is carried out."""
    reason: str = ""
    """Why it is not; empty where it is."""
