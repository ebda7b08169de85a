"""What people see of a run: a Markdown table that nothing in it can break, and a log that starts empty."""

from collections.abc import Sequence

import pytest

from outlast.contracts import CallTrace, Content, RunState, RunStatus, Spend, StepRow, StepState, Trace
from outlast.tracing.details import MARKS, ROWS_SHOWN, details
from outlast.tracing.trace import RunTrace
from outlast.workflow.state import ExecutionState

HEADER = ["| | step | agent | waits for | result, note |", "|---|---|---|---|---|"]


def shown(*steps: StepRow, **fields: object) -> list[str]:
    status = RunStatus.model_validate(
        {"workflow_id": "w", "pattern": "plan and execute", "state": RunState.RUNNING, **fields}
    )
    return details(status.model_copy(update={"steps": steps})).split("\n")


def cells(line: str) -> Sequence[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in line[1:-1].split("|")]


def test_the_head_says_state_calls_tokens_and_money() -> None:
    lines = shown(spend=Spend(calls=3, input_tokens=1000, output_tokens=234, cache_read_tokens=9, usd=0.01236))
    assert lines == ["**plan and execute** · running · 3 calls · 1234 tokens · $0.0124", "", *HEADER]


def test_each_step_is_a_row_with_what_it_waits_for() -> None:
    lines = shown(
        StepRow(step="1", agent="writer", state=StepState.DONE, output=Content(summary="a poem")),
        StepRow(step="2", agent="reviewer", depends_on=("1", "x"), state=StepState.FAILED, note="no answer"),
        StepRow(step="3", depends_on=("2",)),
    )
    assert lines[2:] == [
        *HEADER,
        "| ✓ done | 1 | writer |  | a poem |",
        "| ✗ failed | 2 | reviewer | 1, x | no answer |",
        "| · pending | 3 |  | 2 |  |",
    ]


@pytest.mark.parametrize("state", StepState)
def test_every_state_has_a_mark_and_its_word(state: StepState) -> None:
    assert cells(shown(StepRow(step="1", state=state))[4])[0] == f"{MARKS[state]} {state.value}"
    assert len(set(MARKS.values())) == len(StepState)


def test_a_note_stands_behind_the_output_and_never_in_its_place() -> None:
    row = StepRow(step="1", note="asked again", output=Content(summary="a poem"))
    assert cells(shown(row)[4])[4] == "a poem · asked again"


@pytest.mark.parametrize("evil", ["a|b", "a\nb", "a\r\nb", "| x |\n|---|", "\u2028a|\u2029b", "`|`"])
def test_nothing_in_a_row_can_break_the_table(evil: str) -> None:
    row = StepRow(step=evil, agent=evil, depends_on=(evil, "2"), note=evil)
    lines = shown(row, StepRow(step="next"))
    assert len(lines) == len(HEADER) + 4
    assert len(cells(lines[4])) == 5
    assert lines[4].splitlines() == [lines[4]]
    assert cells(lines[5])[1] == "next"
    summary = StepRow(step="1", output=Content(summary=evil))
    assert len(cells(shown(summary)[4])) == 5


def test_a_long_note_is_cut() -> None:
    assert cells(shown(StepRow(step="1", note="x" * 500))[4])[4] == "x" * 80


def test_many_steps_are_cut_and_counted() -> None:
    steps = [StepRow(step=str(number)) for number in range(ROWS_SHOWN)]
    assert len(shown(*steps)) == ROWS_SHOWN + 4
    lines = shown(*steps, StepRow(step="more"), StepRow(step="more still"))
    assert lines[-2:] == ["", "… and 2 more"]
    assert len(lines) == ROWS_SHOWN + 6


def test_messages_that_nobody_understood_are_shown_below() -> None:
    assert shown(notices=("signal 'x'", "two\n# lines"))[4:] == [
        "",
        "> notice: signal 'x'",
        "",
        "> notice: two # lines",
    ]


def test_a_run_starts_empty_and_running() -> None:
    state = ExecutionState()
    trace = RunTrace("plan and execute", state)
    assert (trace.pattern, state.phase, state.spend, state.steps, trace.notices) == (
        "plan and execute",
        RunState.RUNNING,
        Spend(),
        {},
        [],
    )
    assert trace.all_calls() == Trace()


def test_forgotten_steps_are_gone_and_unknown_ones_do_not_matter() -> None:
    state = ExecutionState()
    state.steps = {name: StepRow(step=name) for name in ("1", "2", "3")}
    state.forget(["2", "never there"])
    assert list(state.steps) == ["1", "3"]


def test_the_trace_keeps_the_order_of_calls_and_does_not_change_afterwards() -> None:
    trace = RunTrace("p", ExecutionState())
    calls = [
        CallTrace.model_validate(
            {
                "workflow_id": "w",
                "step": step,
                "agent": "a",
                "model": "m",
                "started": "2026-01-01T00:00:00Z",
                "ms": 1,
                "success": True,
            }
        )
        for step in "ba"
    ]
    trace.calls.append(calls[0])
    first = trace.all_calls()
    trace.calls.append(calls[1])
    assert first.calls == (calls[0],)
    assert trace.all_calls().calls == tuple(calls)


def test_spends_add_up_in_every_part() -> None:
    one = Spend(calls=1, input_tokens=2, output_tokens=3, cache_read_tokens=4, cache_write_tokens=5, usd=0.1)
    assert one.plus(one).plus(Spend()) == Spend(
        calls=2, input_tokens=4, output_tokens=6, cache_read_tokens=8, cache_write_tokens=10, usd=0.2
    )
    assert one.plus(Spend(usd=0.2)).usd == 0.3


def test_steps_of_the_same_agent_are_numbered() -> None:
    state = ExecutionState()
    state.steps = {name: StepRow(step=name) for name in ("analyst", "analyst (2)")}
    assert [state.unused(name) for name in ("analyst", "writer")] == ["analyst (3)", "writer"]
