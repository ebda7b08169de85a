"""Chaos sees what it counts: calls that were made again, with a reason and without one; and it finds the place of its table."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.agents.sessions import MessageState, SaidMessage
from outlast.contracts import Content
from outlast.testing.chaos import Fault, Report, Says
from outlast.testing.chaos.contracts import Case, Strike
from outlast.testing.chaos.counting import _count
from outlast.testing.chaos.processes import Process
from outlast.testing.chaos.report import BEGIN, END
from outlast.testing.chaos.talking import accounting


def hit(
    started: float, ended: float, outcome: str = "answered", worker: str = "one-1", digest: str = "a"
) -> dict[str, Any]:
    return {
        "n": int(started),
        "started": started,
        "ended": ended,
        "outcome": outcome,
        "worker": worker,
        "digest": digest,
        "system": "You sort",
        "user": "this",
        "turn": 0,
    }


@pytest.mark.parametrize(
    ("hits", "used", "ends", "cut", "found", "full"),
    [
        # Answered twice, and one answer was used: the process that had the first one lived on.
        ([hit(1, 2), hit(3, 4)], 1, {}, [], (1, 0, 0), []),
        # The same, but two voters asked the same, and both answers were used.
        ([hit(1, 2), hit(3, 4)], 2, {}, [], (0, 0, 0), []),
        # The process was killed a moment after the answer came, or long after it.
        ([hit(1, 2), hit(5, 6, worker="two-1")], 1, {"one-1": (2.5, True)}, [], (0, 0, 1), []),
        ([hit(1, 2), hit(9, 10, worker="two-1")], 1, {"one-1": (8.0, True)}, [], (1, 0, 0), []),
        # It was killed long after the answer, which no disk had room for until a moment before.
        ([hit(1, 2), hit(9, 10, worker="two-1")], 1, {"one-1": (8.0, True)}, [], (0, 0, 1), [(1.5, 7.0)]),
        # It ended in order.
        ([hit(1, 2), hit(5, 6, worker="two-1")], 1, {"one-1": (2.5, False)}, [], (1, 0, 0), []),
        # Given up and made again, by a process that was killed, that lived on, or over a connection that was cut.
        ([hit(1, 2, "abandoned"), hit(5, 6, worker="one-2")], 1, {"one-1": (1.9, True)}, [], (0, 0, 1), []),
        ([hit(1, 2, "abandoned"), hit(5, 6, worker="one-2")], 1, {}, [], (0, 1, 0), []),
        ([hit(1, 2, "abandoned"), hit(5, 6)], 1, {}, [(1.5, 4.0)], (0, 0, 1), []),
        # Given up for good, as the voters of a vote that is decided.
        ([hit(1, 2, "abandoned"), hit(2, 3, digest="b")], 1, {}, [], (0, 0, 0), []),
        # Made again after a kill, and then broken off by a person, so that it was made no more.
        (
            [hit(1, 2, "abandoned"), hit(5, 6, "abandoned", worker="one-2")],
            0,
            {"one-1": (1.9, True)},
            [],
            (0, 0, 1),
            [],
        ),
        # What the API broke off was no answer.
        ([hit(1, 2, "broken (connection)"), hit(5, 6)], 1, {}, [], (0, 0, 0), []),
    ],
)
def test_calls_made_again_are_counted_unless_their_process_or_connection_was_struck(
    hits: list[dict[str, Any]],
    used: int,
    ends: dict[str, tuple[float, bool]],
    cut: list[tuple[float, float]],
    found: tuple[int, int, int],
    full: list[tuple[float, float]],
) -> None:
    counted = _count("job-000001", hits, used, SimpleNamespace(ends=ends, cut=cut, full=full))  # type: ignore[arg-type]
    assert (len(counted.finished), len(counted.live), counted.excused) == found


@pytest.mark.parametrize(
    ("keys", "state", "heard", "wrong"),
    [
        ("1 2", "answered", "ada: one\ntwo", []),
        ("1 2", "interrupted", "ada: one\ntwo", []),
        ("1", "answered", "ada: one", ["the session has messages s-1", "the agent was told message 2 0 times"]),
        ("1 2 2", "answered", "ada: one\ntwo", ["the session has messages s-1, s-2, s-2"]),
        ("2 1", "answered", "ada: one\ntwo", ["the session has messages s-2, s-1"]),
        ("1 2", "answered", "ada: one\ntwo\nada: one", ["the agent was told message 1 2 times"]),
        ("1 2", "failed", "ada: one\ntwo", ["message 1 is failed (why)", "message 2 is failed (why)"]),
    ],
)
def test_messages_that_were_not_taken_heard_and_ended_once_in_order_are_counted(
    keys: str, state: str, heard: str, wrong: list[str]
) -> None:
    messages = [
        SaidMessage(
            number=number,
            text=Content(text="…"),
            key=f"s-{key}",
            state=MessageState(state),
            at=datetime.now(UTC),
            reason="why",
        )
        for number, key in enumerate(keys.split(), 1)
    ]
    assert accounting("s", [Says("one", "ada"), Says("two", at_once=True)], messages, heard) == wrong


def test_a_traceback_is_seen_once_with_what_follows_it(tmp_path: Path) -> None:
    process = Process("one", {}, tmp_path / "one.log")
    assert process.complaints() == []
    process.log.write_text("well\nTraceback (most recent call last):\n  File\nOSError: full\n")
    (seen,) = process.complaints()
    assert seen.startswith("one: Traceback")
    assert "OSError: full" in seen
    assert process.complaints() == []


def test_the_table_takes_its_place_in_a_page_and_nothing_else(tmp_path: Path) -> None:
    case = Case(7, strikes=[Strike(Fault.KILL, 1.0, 2.0, 0.5), Strike(Fault.KILL, 3.0, 4.0)], lost=["plan job-000001"])
    case.runs.update(["plan", "plan"])
    report, page = Report([case]), tmp_path / "page.md"
    assert report.wrong == {7: {"lost": ["plan job-000001"]}}
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report.write(page)
    report.write(page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("| runs lost | 1 |") == 1
    assert "| `kill` | SIGKILL to one of two workers | 2 | 0.5 | 0.5 |" in text
    page.write_text("a page")
    with pytest.raises(ValueError, match="no place for the tables"):
        report.write(page)
