"""What is listed and how: agents on a line each, runs by state, age and kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.text import Text

from cli import results
from outlast.cli import kinds
from outlast.cli.leaving import LeavingError
from outlast.cli.runs import garbage
from outlast.cli.runs.agents_page import agents_page
from outlast.cli.runs.listing import Wanted, read_since
from outlast.storage.garbage.collecting import Report

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LONG: dict[str, Any] = {
    "name": "clerk",
    "title": "clerk",
    "model": "sonnet",
    "resolved": "claude-sonnet",
    "description": "Works with files\n  and says what it did. " * 5,
    "tools": ["Read", "Write"],
    "default": False,
}
SHORT = LONG | {
    "name": "a-long-name",
    "title": "a-long-name",
    "description": "Writes.",
    "tools": [],
    "model": "haiku",
    "resolved": "haiku",
    "default": True,
}


def test_each_agent_has_one_line_that_fits_and_begins_with_its_whole_name() -> None:
    whole, cut = (
        [line.plain for line in agents_page([LONG, SHORT], width) if isinstance(line, Text)] for width in (None, 40)
    )

    assert whole[1] == "a-long-name  haiku   default  Writes."
    assert whole[0].endswith("tools: Read, Write")
    assert [len(line) for line in cut[:2]] == [40, 37]
    assert cut[0].startswith("clerk        sonnet  own      Works")
    assert whole[2:] == cut[2:]
    assert whole[2] == "sonnet → claude-sonnet"
    assert whole[3].startswith("default: brought by the library; ")
    assert not any("\n" in line for line in whole)


@pytest.mark.parametrize(
    ("given", "when"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("2d", NOW - timedelta(days=2)),
        ("1w", NOW - timedelta(days=7)),
        ("2026-11-25T10:00:00+02:00", datetime(2026, 11, 25, 8, tzinfo=UTC)),
    ],
)
def test_an_age_or_a_date_is_read(given: str, when: datetime) -> None:
    assert read_since(given, NOW) == when


@pytest.mark.parametrize("given", ["", "yesterday", "2 fortnights", "-1d", "999999w"])
def test_what_is_neither_is_refused_with_what_to_write(given: str) -> None:
    with pytest.raises(LeavingError, match="90m, 12h, 2d, 1w"):
        read_since(given, NOW)


def test_all_that_is_wanted_stands_in_the_query() -> None:
    results.register()
    assert Wanted(failed=True, since=NOW, types=("plan",)).query(marked=False) == (
        "WorkflowType IN ('PlanAndExecuteWorkflow') AND ExecutionStatus IN ('Failed', 'TimedOut', 'Terminated') AND "
        "(StartTime > '2026-11-28T12:00:00Z' OR CloseTime > '2026-11-28T12:00:00Z')"
    )
    assert "'Terminated', 'Running')" in Wanted(failed=True, running=True).query(marked=False)


def test_a_type_is_a_command_or_a_workflow_and_runs_that_were_marked_are_listed_whatever_their_type() -> None:
    results.register()
    assert Wanted(types=("plan", "Triage")).query(marked=True) == "WorkflowType IN ('PlanAndExecuteWorkflow', 'Triage')"
    everything = Wanted().query(marked=True)
    assert everything.startswith("(AgentPattern IS NOT NULL OR WorkflowType IN ('AgentSessionWorkflow', ")
    assert "AgentPattern" not in Wanted().query(marked=False)
    with pytest.raises(LeavingError, match="write a command that starts runs"):
        Wanted(types=("it's",)).query(marked=True)


@pytest.mark.parametrize("age", ["5m", "yesterday", "3651d", "999999w", "99999999999999d"])
def test_an_age_that_gc_cannot_use_is_told_both_bounds(age: str) -> None:
    with pytest.raises(LeavingError, match=f"--older-than {age}: .* at least an hour, .* at most 3650d"):
        _ = garbage.Wanted(older_than=age).grace


@pytest.mark.parametrize(("number", "said"), [(1, "1 object is of no kind"), (2, "2 objects are of no kind")])
def test_what_gc_does_not_know_is_counted_in_words(number: int, said: str) -> None:
    lines = garbage.page(Report(deleted=False, unknown=number), "file:///x", garbage.Wanted())
    assert any(str(line).startswith(said) for line in lines)


def test_where_nothing_tells_runs_of_agents_from_others_all_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_KINDS", {kinds.ROLLBACK: kinds.RunKind(kinds.ROLLBACK, "rollback", "rollback", "")})
    assert Wanted().query(marked=False) == Wanted().query(marked=True) == "WorkflowType != 'WebhookWorkflow'"
    assert Wanted(running=True).query(marked=False).endswith(" AND ExecutionStatus IN ('Running')")
