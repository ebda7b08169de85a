"""The undo log of one run: every change is registered before its call, so that no crash can hide one.

Pure decisions, no Temporal. A call that never reported may have had its effect, so it is undone like a finished one,
and first of all, because nothing is known to have come after it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from outlast.contracts import (
    SUMMARY_LENGTH,
    Change,
    Changes,
    ChangeState,
    Checkpoint,
    Effect,
    Extent,
    RollbackPolicy,
    ToolCard,
)

REMEMBERED = 1500
"""Changes of one run that are remembered: they go along whenever the run continues as new, and must fit into a message."""
ARGUMENTS_SHOWN = 100
ONCE_OR_MORE = "it happened at least once; nothing takes it back"
PERHAPS = "it may have happened; nothing takes it back"

OPEN = (ChangeState.REGISTERED, ChangeState.DONE)


class UndoLog:
    """What one run has changed, by the number of each change, and its checkpoints."""

    def __init__(self) -> None:
        self.changes: dict[int, Change] = {}
        self._points: dict[str, Checkpoint] = {}
        self._keys: set[str] = set()
        self._seq = 0
        self._ended = 0
        self._forgotten = 0

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The points that a rollback can go back to, oldest first."""
        return tuple(self._points.values())

    def register(self, step: str, agent: str, card: ToolCard, arguments: str, key: str) -> Change:
        """Announce a call that is about to change something; a key that is used already gets a number."""
        self._seq += 1
        change = Change(
            seq=self._seq,
            step=step,
            agent=agent,
            tool=card.name,
            arguments=arguments[:ARGUMENTS_SHOWN],
            effect=card.effect,
            key=f"{key}/{self._seq}" if key in self._keys else key,
            undo_tool=card.undo if card.effect is Effect.WRITE else "",
            timeout=card.timeout,
        )
        self.changes[change.seq] = change
        self._keys.add(change.key)
        if len(self.changes) > REMEMBERED:
            self._keys.discard(self.changes.pop(next(iter(self.changes))).key)
            self._forgotten += 1
        return change

    def made_again(self, seq: int, agent: str) -> Change:
        """Announce that a call of which it is not known whether it happened is made again, under the same key."""
        again = {"agent": agent, "state": ChangeState.REGISTERED, "order": 0, "at": None, "note": ""}
        self.changes[seq] = self.changes[seq].model_copy(update=again)
        return self.changes[seq]

    def done(self, seq: int, undo: Mapping[str, Any], at: datetime | None = None) -> None:
        """Record that a call had its effect; `undo` are the arguments of its undo."""
        self._end(seq, at, state=ChangeState.DONE, undo=undo)

    def not_happened(self, seq: int, why: str, at: datetime | None = None) -> None:
        """Record that a call had no effect."""
        self._end(seq, at, state=ChangeState.NOT_HAPPENED, note=why[:SUMMARY_LENGTH])

    def unknown(self, seq: int, why: str, at: datetime | None = None) -> None:
        """Record that a call ended without saying whether it had its effect."""
        self._end(seq, at, note=why[:SUMMARY_LENGTH])

    def mark(self, name: str, at: datetime | None = None) -> None:
        """Set a checkpoint; an earlier one of that name moves here."""
        self._points.pop(name, None)
        self._points[name] = Checkpoint(name=name, order=self._ended, at=at)

    def to_undo(self, policy: RollbackPolicy) -> list[int]:
        """List what a rollback undoes, in its order: the calls that never ended, then the last one that did.

        A checkpoint that was never reached means all of them.
        """
        if policy.extent is Extent.KEEP:
            return []
        point = self._points.get(policy.checkpoint)
        since = point.order if point is not None else 0
        wanted = [
            change
            for change in self.changes.values()
            if change.state in OPEN and (change.order == 0 or change.order > since)
        ]
        wanted.sort(key=lambda change: (change.order or self._ended + 1, change.seq), reverse=True)
        return [change.seq for change in wanted]

    def settle(self, seq: int, state: ChangeState, note: str) -> None:
        """Record what became of a change in a rollback; only the first word counts."""
        change = self.changes.get(seq)
        if change is not None and change.state in OPEN:
            self.changes[seq] = change.model_copy(update={"state": state, "note": note[:SUMMARY_LENGTH]})

    def settle_for_good(self, seq: int) -> None:
        """Record that nothing takes a change back."""
        done = self.changes[seq].state is ChangeState.DONE
        self.settle(seq, ChangeState.NOT_UNDOABLE, ONCE_OR_MORE if done else PERHAPS)

    def adopt(self, before: Changes, workflow_id: str) -> None:
        """Take over what an earlier part of the same run has changed; another run's changes are none of ours."""
        ours: Iterable[Change] = [each for each in before.changes if each.key.startswith(f"{workflow_id}/")]
        self.changes = {change.seq: change for change in ours}
        self._keys = {change.key for change in self.changes.values()}
        if self.changes or not before.changes:  # else they are another run's, like the changes
            self._points = {point.name: point for point in before.checkpoints}
            self._forgotten = before.forgotten
        self._seq = max(self.changes, default=0)
        self._ended = max((each.order for each in self.changes.values()), default=0)

    def take_over(self, changes: Iterable[Change], step: str) -> list[int]:
        """Add what an agent changed that this step asked, in a run of its own that has ended; returns the numbers here.

        What is known already stays as it is, so that a change is undone once however often its run reports. Several may have
        been at work side by side, so each change takes its place by when it ended.
        """
        added: list[int] = []
        line: list[Change | Checkpoint] = [each for each in self.changes.values() if each.order]
        # A checkpoint comes behind the change of the same number.
        line = sorted((*line, *self.checkpoints), key=lambda each: (each.order, isinstance(each, Checkpoint)))
        for change in sorted(changes, key=lambda each: (not each.order, each.order)):
            if change.key in self._keys:
                continue
            self._seq += 1
            self.changes[self._seq] = change.model_copy(update={"seq": self._seq, "step": step})
            self._keys.add(change.key)
            added.append(self._seq)
            if change.order:
                line.insert(_place(line, change), self.changes[self._seq])
        if added:
            self._number(line)
        while len(self.changes) > REMEMBERED:
            self._keys.discard(self.changes.pop(next(iter(self.changes))).key)
            self._forgotten += 1
        return added

    def reopen(self) -> None:
        """Take the undos that failed as not tried yet, so that the next rollback tries them.

        Only a call that reported left the arguments of its undo; of any other it is not known whether it happened.
        """
        for seq, change in self.changes.items():
            if change.state is ChangeState.UNDO_FAILED:
                before = ChangeState.DONE if change.undo else ChangeState.REGISTERED
                self.changes[seq] = change.model_copy(update={"state": before, "note": ""})

    def all(self, reason: str = "") -> Changes:
        """Return everything, in the order of the calls."""
        return Changes(
            changes=tuple(self.changes.values()),
            checkpoints=self.checkpoints,
            reason=reason[:SUMMARY_LENGTH],
            forgotten=self._forgotten,
        )

    def _number(self, line: Iterable[Change | Checkpoint]) -> None:
        """Number the changes that have ended anew, in this order, and the checkpoints among them."""
        self._ended = 0
        for each in line:
            self._ended += isinstance(each, Change)
            if each.order == self._ended:
                continue
            if isinstance(each, Change):
                self.changes[each.seq] = each.model_copy(update={"order": self._ended})
            else:
                self._points[each.name] = each.model_copy(update={"order": self._ended})

    def _end(self, seq: int, at: datetime | None, **fields: Any) -> None:
        change = self.changes.get(seq)
        if change is None or change.state is not ChangeState.REGISTERED or change.order:
            return
        self._ended += 1
        self.changes[seq] = change.model_copy(update={"order": self._ended, "at": at, **fields})


def _place(line: list[Change | Checkpoint], change: Change) -> int:
    """Return where a change belongs among what has ended: before all that is known to have ended later."""
    place = len(line)
    while change.at and place and (at := line[place - 1].at) and at > change.at:
        place -= 1
    return place
