"""The report of a run as data: no arrow runs behind a box, warnings stand once, and what has no price has none."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from outlast.cli.recorded.suspicions import Suspicion
from outlast.cli.rendering import dollars
from outlast.cli.report.figures import Report
from outlast.cli.report.graph import HEIGHT, WIDTH, drawing
from outlast.cli.report.times import critical_path
from outlast.cli.result_texts import texts_of
from outlast.cli.results.plans import PlanPage
from outlast.contracts import Content, Plan, PlanReport, PlanResult, RunState, Spend, StepRow, StepState
from tests.unit.patterns.graphs import DAG, dags, steady

NOW = datetime(2026, 11, 28, tzinfo=UTC)
MOVE = re.compile(r"M(\d+) (\d+)|C(\d+) (\d+) (\d+) (\d+) (\d+) (\d+)|H(\d+)")


def rows_of(graph: DAG) -> dict[str, StepRow]:
    return {
        name: StepRow(
            step=name, depends_on=needed, state=StepState.DONE, started=NOW, ended=NOW + timedelta(seconds=number)
        )
        for number, (name, needed) in enumerate(graph.items())
    }


@steady
@given(graph=dags(most=20))
def test_no_arrow_runs_behind_a_box(graph: DAG) -> None:
    drawn = drawing(rows_of(graph))

    boxes = {box.step: box for box in drawn.boxes}
    assert set(boxes) == set(graph)
    assert {(arrow.tail, arrow.head) for arrow in drawn.arrows} == {(b, n) for n in graph for b in graph[n]}
    for one in drawn.boxes:  # nor does a box stand on another, or out of the picture
        assert one.x + WIDTH <= drawn.width
        assert one.y + HEIGHT <= drawn.height
        assert not [o for o in drawn.boxes if o != one and o.x == one.x and abs(o.y - one.y) < HEIGHT]
    for arrow in drawn.arrows:
        x = y = 0
        for moved in MOVE.findall(arrow.path):
            before, y_before = x, y
            if moved[0]:
                x, y = int(moved[0]), int(moved[1])
                assert (x, y) == (boxes[arrow.tail].x + WIDTH, boxes[arrow.tail].y + HEIGHT // 2)
            elif moved[8]:
                x = int(moved[8])
                assert not [b for b in drawn.boxes if before <= b.x < x and b.y <= y <= b.y + HEIGHT]
            else:  # a curve may go up and down, but only between two columns
                x, y = int(moved[6]), int(moved[7])
                assert all(b.x + WIDTH <= before or b.x >= x for b in drawn.boxes), (before, x)
                assert (int(moved[3]), int(moved[5])) == (y_before, y), "it leaves and arrives level"
        assert (x, y) == (boxes[arrow.head].x, boxes[arrow.head].y + HEIGHT // 2)


def test_a_critical_path_is_named_only_where_steps_wait_for_others() -> None:
    assert critical_path(rows_of({"a": (), "b": ()})) == ()
    assert critical_path(rows_of({"a": (), "b": ("a",)})) == ("a", "b")


@pytest.mark.parametrize(
    ("spend", "shown"),
    [
        (Spend(), "$0.0000"),
        (Spend(calls=1, input_tokens=3), "no price"),
        (Spend(calls=1, cache_read_tokens=3), "no price"),
        (Spend(calls=1, input_tokens=3, usd=0.5), "$0.5000"),
    ],
)
def test_tokens_without_a_price_are_not_free(spend: Spend, shown: str) -> None:
    assert dollars(spend) == shown


def test_each_warning_stands_once_and_none_that_stands_at_its_step() -> None:
    failed = StepRow(step="b", state=StepState.FAILED, note="Timed out")
    told = (
        Suspicion("a", "was cut off"),
        Suspicion("a", "was cut off"),
        Suspicion("b", "failed: Timed out", fatal=True),
        Suspicion("b", "was tried 3 times"),
    )
    report = Report(
        run_id="r", pattern="p", state="partial", url="", began=NOW, seconds=1.0, running=False,
        rows={"a": StepRow(step="a"), "b": failed}, pieces=(), times={}, path=(), shares=(), suspicions=told,
        repairs=(), queried=None, parts=1, events=1,
    )  # fmt: skip

    assert [(one.step, one.what) for one in report.warnings] == [("a", "was cut off"), ("b", "was tried 3 times")]


def test_an_answer_that_is_cut_off_is_not_shown_as_a_whole_one() -> None:
    cut = StepRow(step="a", state=StepState.DONE, note="writer: the answer is cut off at its token limit")
    report = PlanReport(plan=Plan(steps=()), steps=(cut, StepRow(step="b", note="context cut")))
    result = PlanResult(state=RunState.COMPLETED, report=Content(size=0))
    page = PlanPage(result, report, {"a": "It was a dark", "b": "Whole.", "c": " "})

    assert texts_of(page) == (("step a · cut off at its token limit", "It was a dark"), ("step b", "Whole."))
    assert any("note: writer: the answer is cut off" in str(line) for line in page.lines())
