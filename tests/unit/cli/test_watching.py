"""What a watcher sees: the table of one run, its lines elsewhere, the board of all runs, and texts without a character twice."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from outlast.cli.watching.board import Board, RunSeen
from outlast.cli.watching.call_text import WIDTH, CallText
from outlast.cli.watching.lines import Lines
from outlast.cli.watching.page import live_page
from outlast.cli.watching.steps import Look, Retry, look_at
from outlast.contracts import (
    BudgetShown,
    CallTrace,
    GateView,
    RunState,
    RunStatus,
    Spend,
    StepRow,
    StepState,
    Streamed,
    Trace,
)
from outlast.tracing.live_text_settings import tail

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
GATE = GateView(
    name="gate-1", description="pay [bold]5", deadline=NOW + timedelta(seconds=90), digest="d" * 64, needed=2
)


def call(step: str, **fields: object) -> CallTrace:
    spend = Spend(calls=1, input_tokens=10, cache_read_tokens=5, output_tokens=3, usd=0.0021)
    given = {
        "workflow_id": "w",
        "agent": "writer",
        "model": "m",
        "started": NOW,
        "ms": 5,
        "success": True,
        "spend": spend,
    }
    return CallTrace(step=step, **(given | fields))


def look(*rows: StepRow, retries: tuple[Retry, ...] = (), **fields: object) -> Look:
    status = RunStatus(workflow_id="w", pattern="plan", state=RunState.RUNNING, steps=rows, **fields)
    return look_at(status, Trace(calls=(call("plan"), call("a", attempt=2), call("a"))), retries)


def row(step: str, state: StepState, *after: str, note: str = "") -> StepRow:
    ended = NOW if state in (StepState.DONE, StepState.FAILED) else None
    begun = None if state in (StepState.PENDING, StepState.SKIPPED) else NOW - timedelta(seconds=4)
    return StepRow(step=step, agent="writer", state=state, depends_on=after, started=begun, ended=ended, note=note)


ROWS = (
    row("a", StepState.DONE),
    row("b", StepState.RUNNING, "a"),
    row("c", StepState.FAILED, note="RefusedError: no"),
    row("d", StepState.SKIPPED, "c"),
    row("e", StepState.PENDING, "b"),
    row("f", StepState.PENDING, "a"),
)


def drawn(page: RenderableType, width: int = 140) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(page)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_table_says_of_each_step_how_it_stands_and_what_it_cost() -> None:
    retry = Retry("b", "call_model", 3, "Overloaded: try later")
    budget = BudgetShown(usd=1.0, spent=Spend(usd=0.25, calls=3), warnings=("80 % is spent",))
    page = drawn(live_page(look(*ROWS, retries=(retry,), gates=(GATE,), budget=budget), height=40, width=140, now=NOW))

    cells = {line.split()[2]: line.split() for line in page if line[:2] in ("✓ ", "▶ ", "✗ ", "– ", "· ")}
    assert cells["a"] == ["✓", "done", "a", "writer", "4.0", "s", "3", "30", "+", "6", "0.0042"]
    assert cells["plan"][:4] == ["✓", "done", "plan", "writer"], (
        "the planner's call is shown although no step is its own"
    )
    assert cells["b"][1] == "running"
    assert cells["b"][6] == "3", "the attempt at work counts"
    assert [cells[step][1] for step in "cdef"] == ["failed", "blocked", "waiting", "ready"]
    assert cells["e"][-2:] == ["after", "b"]
    text = "\n".join(page)
    assert "███░░░░░░░░░░░░░░░░░ 1 of 6 steps · running: b" in text
    assert "budget: $0.2500 of $1.0000" in text
    assert "budget: 80 % is spent" in text
    assert "b: attempt 3, because of Overloaded: try later" in text
    assert (
        "gate-1 waits for a person: pay [bold]5 · medium risk · 0 of 2 approved · until 2026-11-25 12:01:30 UTC "
        "(1 min 30 s left) → python starter.py approve w gate-1" in " ".join(text.split())
    )


def test_in_a_small_terminal_what_waits_and_what_runs_stays() -> None:
    done = [row(f"done-{n}", StepState.DONE) for n in range(50)]
    done += [row("long", StepState.FAILED, note="because " * 30)]
    later = [row(f"later-{n}", StepState.PENDING, "b") for n in range(50)]
    page = drawn(live_page(look(*done, *ROWS, *later, gates=(GATE,)), height=15, width=120, now=NOW), width=120)

    assert len(page) <= 15
    text = "\n".join(page)
    assert "running  b" in text
    assert "failed   c" in text
    assert "python starter.py approve w gate-1" in text
    assert "… and " in text


def test_lines_tell_each_change_once() -> None:
    lines = Lines()
    retry = Retry("b", "call_model", 2, "Overloaded")
    first = list(lines.of(look(*ROWS, gates=(GATE,), retries=(retry,))))
    again = list(lines.of(look(*ROWS, gates=(GATE,), retries=(retry,))))
    voted = GATE.model_copy(update={"approved_by": ("ann",)})
    changed = list(lines.of(look(*ROWS, gates=(voted,), retries=(retry,))))
    over = list(lines.of(look(*ROWS)))

    assert first[1:5] == [
        "done · a · writer · 4.0 s · 3 attempts · 30 + 6 tokens · $0.0042 · 1 of 6 steps",
        "running · b · writer",
        "failed · c · writer · 4.0 s · RefusedError: no · 1 of 6 steps",
        "blocked · d · writer · 1 of 6 steps",
    ]
    assert [line.split(" ")[0] for line in first[5:]] == ["gate-1", "b:"]
    assert again == []
    assert [" · 1 of 2 approved · " in line for line in changed] == [True]
    assert over == ["gate-1 is over"]


def seen(run: str, state: str = "running", *, run_id: str = "", done: int = 0, **fields: object) -> RunSeen:
    rows = tuple(StepRow(step=str(n), state=StepState.DONE if n < done else StepState.PENDING) for n in range(3))
    status = RunStatus(workflow_id=run, pattern="plan", state=RunState.RUNNING, steps=rows)
    closed = None if state == "running" else NOW + timedelta(seconds=2)
    return RunSeen(run, run_id or run, "Plan", state, NOW, closed, status=status, **fields)  # type: ignore[arg-type]


def test_the_board_tells_of_new_runs_progress_gates_and_ends_once() -> None:
    board = Board()
    assert list(board.take([seen("x"), seen("old", "failed")])) == [
        "running · x · Plan · 0 of 3 steps",
        "failed · old · Plan · 2.0 s · 0 of 3 steps · 0 calls · 0 + 0 tokens · $0.0000 → python starter.py result old",
    ]
    told = list(board.take([seen("x", done=1, gates=(GATE,)), seen("old", "failed")]))
    assert told[0].startswith("x · 1 of 3 steps · 0 calls")
    assert told[1].startswith("x: gate-1 waits for a person: ")
    assert len(told) == 2
    assert list(board.take([seen("x", "continued as new"), seen("x", run_id="x2", done=1)])) == []
    assert "1 run going on" in drawn(board.table(20))[0]
    assert [line.split(" · ")[:2] for line in board.take([seen("x", "completed", run_id="x2")])] == [["completed", "x"]]
    assert board.running == {}


ANSWER = "First line.\n\n" + "word " * 60 + "\nlast é 🙂 line"


@pytest.mark.parametrize("limit", [1, 7, 40, 10_000])
def test_a_text_is_shown_once_however_its_pieces_overlap(limit: int) -> None:
    text = CallText("a · writer")
    shown: list[str] = []
    for end in range(0, len(ANSWER), max(limit // 2, 1)):
        start = max(end - limit, 0)
        shown += text.feed(Streamed(start=start, text=ANSWER[start:end]))
    shown += text.finish(ANSWER)

    assert together(shown) == ANSWER
    assert all(len(line) <= WIDTH + len("a · writer │ ") for line in shown if limit < WIDTH and line != shown[-1])


def test_a_new_attempt_resets_and_pieces_of_the_old_one_are_dropped() -> None:
    text = CallText("a")
    shown = [*text.feed(Streamed(text="wrong\nwr")), *text.tried_again(2, "Overloaded: later"), *text.tried_again(2)]
    shown += [*text.feed(Streamed(text="wrong\nwrong")), *text.feed(Streamed(attempt=2, text="right\n"))]
    shown += text.finish("right\nend")

    assert shown == [
        "a │ wrong",
        "a ↺ attempt 2, what stands above does not count: Overloaded: later",
        "a │ right",
        "a │ end",
    ]


def test_a_gap_is_told_and_an_answer_that_reads_otherwise_replaces_what_was_shown() -> None:
    gap, other = CallText("a"), CallText("b")
    shown = [*gap.feed(Streamed(text="one")), *gap.feed(Streamed(start=5, text="six"))]
    shown += [*gap.finish("one, six!"), *gap.ended("✓")]
    assert shown == [
        "a │ one",
        "a … 2 characters came too fast to be seen",
        "a ┆ six!",
        "a ✓ · some of it was not seen: python starter.py why shows it whole",
    ]
    assert list(other.feed(Streamed(text="mine\n"))) == ["b │ mine"]
    assert list(other.finish("yours"))[1:] == ["b │ yours"]


def test_the_end_of_a_text_keeps_whole_characters_within_its_bytes() -> None:
    text = "é🙂a" * 20
    for limit in range(30):
        kept = tail(text, limit)
        assert text.endswith(kept)
        assert len(kept.encode()) <= limit
    assert tail(text, 10_000) == text
    assert tail("abc", 0) == ""
    assert tail("\ud83d" * 9, 5) == "\ud83d"


def together(lines: list[str]) -> str:
    text = ""
    for line in lines:
        mark, _, written = line.removeprefix("a · writer ").partition(" ")
        assert mark in ("│", "┆")
        text += ("\n" if mark == "│" and text else "") + written
    return text
