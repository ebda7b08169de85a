"""The undo log: whatever happens in whatever order, each change is taken back once, last in first out, or listed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError

from outlast.contracts import (
    KEEP,
    ROLL_BACK_ALL,
    Change,
    Changes,
    ChangeState,
    Effect,
    Extent,
    RollbackPolicy,
    ToolCard,
)
from outlast.undo import log as undo_log
from outlast.undo.log import OPEN, UndoLog

WRITE = ToolCard(name="write", effect=Effect.WRITE, undo="restore")
MAIL = ToolCard(name="mail", effect=Effect.IRREVERSIBLE)
SETTLED = [state for state in ChangeState if state not in OPEN]


def to(checkpoint: str) -> RollbackPolicy:
    return RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint=checkpoint)


def registered(log: UndoLog, card: ToolCard = WRITE) -> int:
    return log.register("s", "a", card, "x=1", f"run/s/{len(log.changes)}").seq


def undo_all(log: UndoLog, policy: RollbackPolicy = ROLL_BACK_ALL) -> list[int]:
    """Roll back as the workflow does, every undo succeeding; returns what was undone, in order."""
    undone = []
    for seq in log.to_undo(policy):
        if log.changes[seq].undoable:
            undone.append(seq)
            log.settle(seq, ChangeState.UNDONE, "")
        else:
            log.settle_for_good(seq)
    return undone


class Interleavings(RuleBasedStateMachine):
    """Calls begin, end, fail and are rolled back in any order, as parallel branches, crashes and people would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = UndoLog()
        self.running: list[int] = []
        self.ended: list[int] = []
        self.undone: list[int] = []
        self.nothing: set[int] = set()
        self.mails: set[int] = set()

    @rule(card=st.sampled_from([WRITE, WRITE, MAIL]))
    def begin(self, card: ToolCard) -> None:
        seq = registered(self.log, card)
        self.running.append(seq)
        if card is MAIL:
            self.mails.add(seq)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["done", "unknown", "not_happened"]))
    def end(self, data: st.DataObject, how: str) -> None:
        seq = data.draw(st.sampled_from(self.running))
        self.running.remove(seq)
        ways: dict[str, Callable[[], None]] = {
            "done": lambda: self.log.done(seq, {"path": "p"}),
            "unknown": lambda: self.log.unknown(seq, "timed out"),
            "not_happened": lambda: self.log.not_happened(seq, "refused"),
        }
        was_open = self.log.changes[seq].state is ChangeState.REGISTERED
        ways[how]()
        if how == "not_happened" and was_open:
            self.nothing.add(seq)
        else:
            self.ended.append(seq)

    @precondition(lambda self: self.log.changes)
    @rule(data=st.data())
    def told_again_or_late(self, data: st.DataObject) -> None:
        """An end that is told twice, or after the rollback, changes nothing."""
        seq = data.draw(st.sampled_from(list(self.log.changes)))
        if seq in self.running and self.log.changes[seq].state is ChangeState.REGISTERED:
            return
        before = self.log.changes[seq]
        self.log.done(seq, {"other": 1})
        self.log.not_happened(seq, "late")
        assert self.log.changes[seq] == before

    @rule()
    def roll_back(self) -> None:
        # Nothing is known of what runs, so it goes first; then what ended, from the last on.
        order = [*sorted(self.running, reverse=True), *reversed(self.ended)]
        wanted = [seq for seq in order if seq not in self.undone and seq not in self.mails and self.open(seq)]
        assert undo_all(self.log) == wanted
        self.undone += wanted

    def open(self, seq: int) -> bool:
        return self.log.changes[seq].state in OPEN

    @invariant()
    def no_change_is_lost_and_none_undone_twice(self) -> None:
        assert len(self.undone) == len(set(self.undone))
        assert {change.seq for change in self.log.all().changes} == set(range(1, len(self.log.changes) + 1))
        for change in self.log.all().changes:
            if change.seq in self.nothing:
                assert change.state is ChangeState.NOT_HAPPENED
            if change.seq in self.undone:
                assert change.state is ChangeState.UNDONE
        assert self.log.to_undo(KEEP) == []

    @invariant()
    def keys_are_different(self) -> None:
        keys = [change.key for change in self.log.changes.values()]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        self.roll_back()
        states = {change.state for change in self.log.all().changes}
        assert states <= {ChangeState.UNDONE, ChangeState.NOT_HAPPENED, ChangeState.NOT_UNDOABLE}


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_parallel_calls_are_undone_in_the_order_of_their_ends() -> None:
    log = UndoLog()
    first, second, third = registered(log), registered(log), registered(log)
    log.done(second, {})
    log.unknown(first, "lost")
    assert log.to_undo(ROLL_BACK_ALL) == [third, first, second]


def test_a_checkpoint_keeps_what_had_ended_before_it_and_nothing_else() -> None:
    log = UndoLog()
    before, during = registered(log), registered(log)
    log.done(before, {})
    log.mark("half")
    log.done(during, {})
    after = registered(log)
    log.done(after, {})
    assert log.to_undo(to("half")) == [after, during]
    assert log.to_undo(to("never reached")) == [after, during, before]
    log.mark("half")
    assert log.to_undo(to("half")) == []


@given(st.sampled_from(SETTLED), st.sampled_from(SETTLED))
def test_the_first_word_on_a_change_counts(first: ChangeState, second: ChangeState) -> None:
    log = UndoLog()
    seq = registered(log)
    log.settle(seq, first, "one")
    log.settle(seq, second, "two")
    assert (log.changes[seq].state, log.changes[seq].note) == (first, "one")


def test_what_nothing_takes_back_is_said_plainly() -> None:
    log = UndoLog()
    sent, perhaps = registered(log, MAIL), registered(log, MAIL)
    log.done(sent, {})
    log.unknown(perhaps, "lost")
    undo_all(log)
    assert [log.changes[seq].note for seq in (sent, perhaps)] == [undo_log.ONCE_OR_MORE, undo_log.PERHAPS]
    assert "at least once" in log.changes[sent].note
    assert log.all().summary == "2 cannot be undone"


def test_a_write_without_an_undo_cannot_be_undone() -> None:
    log = UndoLog()
    seq = registered(log, ToolCard(name="w", effect=Effect.WRITE))
    log.done(seq, {})
    undo_all(log)
    assert log.changes[seq].state is ChangeState.NOT_UNDOABLE


def test_more_changes_than_a_run_remembers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo_log, "REMEMBERED", 3)
    log = UndoLog()
    for _ in range(5):
        log.done(registered(log), {})
    assert [change.seq for change in log.all().changes] == [3, 4, 5]
    undo_all(log)
    assert log.all().summary == "3 undone, 2 too long ago to undo"


def test_a_run_that_continues_as_new_takes_its_own_changes_along_and_no_others() -> None:
    log = UndoLog()
    log.done(registered(log), {"path": "p"})
    log.mark("half")
    running = registered(log)
    before = Changes.model_validate_json(log.all().model_dump_json())
    later, other = UndoLog(), UndoLog()
    later.adopt(before, "run")
    other.adopt(before, "another")
    assert later.all() == log.all()
    assert later.to_undo(ROLL_BACK_ALL) == [running, 1]
    assert later.to_undo(to("half")) == [running]
    assert registered(later) == 3
    assert other.all() == Changes()


@pytest.mark.parametrize("value", [{"extent": "to_checkpoint"}, {"checkpoint": "x"}, "sometimes", {"extent": 5}])
def test_a_policy_that_means_nothing_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        RollbackPolicy.model_validate(value)


def test_a_policy_may_be_a_word() -> None:
    assert RollbackPolicy.model_validate("all") == ROLL_BACK_ALL
    assert RollbackPolicy.model_validate({}) == KEEP
    assert Change(seq=1, step="s", agent="a", tool="t", key="k").state is ChangeState.REGISTERED


def test_undos_that_failed_can_be_tried_again_and_nothing_else_is() -> None:
    log = UndoLog()
    reported, lost, done = registered(log), registered(log), registered(log)
    for seq, undo in ((reported, {"path": "a"}), (done, {"path": "b"})):
        log.done(seq, undo)
    log.settle(reported, ChangeState.UNDO_FAILED, "locked")
    log.settle(lost, ChangeState.UNDO_FAILED, "locked")
    log.settle(done, ChangeState.UNDONE, "")
    assert log.to_undo(ROLL_BACK_ALL) == []
    log.reopen()
    # The one that never reported may not have happened, so its undo decides; it goes first.
    assert [log.changes[seq].state for seq in (reported, lost)] == [ChangeState.DONE, ChangeState.REGISTERED]
    assert undo_all(log) == [lost, reported]


def test_changes_of_runs_side_by_side_are_undone_by_when_each_was_made() -> None:
    """A checkpoint keeps its place among them, and what an older run wrote down without times keeps its order."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    left, right, above = UndoLog(), UndoLog(), UndoLog()
    for log, name, minutes in ((left, "left", (1, 4)), (right, "right", (2, 3, 5))):
        for at in minutes:
            log.done(log.register("s", "a", WRITE, str(at), f"{name}/{at}").seq, {}, start + timedelta(minutes=at))
    above.done(above.register("s", "a", WRITE, "0", "above/0").seq, {})
    above.mark("third", start + timedelta(minutes=3.5))
    above.done(above.register("s", "a", WRITE, "6", "above/6").seq, {}, start + timedelta(minutes=6))
    running = above.register("s", "a", WRITE, "?", "above/7").seq
    for log in (right, left, right):
        above.take_over(log.all().changes, "s")
    assert [above.changes[seq].arguments for seq in above.to_undo(to("third"))] == ["?", "6", "5", "4"]
    assert [above.changes[seq].arguments for seq in above.to_undo(ROLL_BACK_ALL)] == [*"?654321", "0"]
    above.done(running, {}, start + timedelta(minutes=7))
    assert [above.changes[seq].order for seq in above.to_undo(ROLL_BACK_ALL)] == [8, 7, 6, 5, 4, 3, 2, 1]
    old = tuple(change.model_copy(update={"at": None}) for change in left.all().changes)
    above.take_over([change.model_copy(update={"key": f"old/{change.key}"}) for change in old], "s")
    assert [above.changes[seq].arguments for seq in above.to_undo(ROLL_BACK_ALL)][:3] == ["4", "1", "?"]
