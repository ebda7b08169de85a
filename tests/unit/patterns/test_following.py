"""Which steps come after one: in a graph, in stages with sub-steps, and where only times tell. Pure."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from outlast.contracts import Plan, StepRow
from outlast.forks.following import edited_steps, following, renamed_steps

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def graph(**needs: tuple[str, ...]) -> list[StepRow]:
    return [StepRow(step=name, depends_on=before) for name, before in needs.items()]


def at(step: str, began: int | None, ended: int | None) -> StepRow:
    times = [None if moment is None else BEGAN + timedelta(seconds=moment) for moment in (began, ended)]
    return StepRow(step=step, started=times[0], ended=times[1])


DIAMOND = graph(a=(), b=("a",), c=("a",), d=("b", "c"), alone=())
STAGES = [
    StepRow(step="outline"),
    StepRow(step="draft", depends_on=("outline",)),
    StepRow(step="polish", depends_on=("draft",)),
    *(StepRow(step=f"draft · {number}", depends_on=(f"draft · {number - 1}",) * (number > 1)) for number in (1, 2, 3)),
    StepRow(step="polish · 1"),
]
LAST_STAGE = {"polish", "polish · 1", "polish · plan"}
REQUESTS = graph(**{"one · route": (), "one · billing": ("one · route",), "two · route": ()})
DOCUMENTS = [
    at("a · extract", 0, 1), at("a · classify", 1, 2), at("a · summarise", 3, 4),
    at("b · extract", 0, 5), at("b · classify", 5, 6), at("both", 7, 8),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "step", "expected"),
    [
        (DIAMOND, "a", {"a", "b", "c", "d"}),
        (DIAMOND, "c", {"c", "d"}),
        (DIAMOND, "alone", {"alone"}),
        (STAGES, "draft · 2", {"draft · 2", "draft · 3", "draft", *LAST_STAGE}),
        (STAGES, "draft", {"draft", "draft · 1", "draft · 2", "draft · 3", "draft · plan", *LAST_STAGE}),
        (STAGES, "polish", LAST_STAGE),
        (REQUESTS, "one · route", {"one · route", "one · billing"}),
        (DOCUMENTS, "a · classify", {"a · classify", "a · summarise", "both"}),
        (DOCUMENTS, "b · classify", {"b · classify", "both"}),
    ],
)  # fmt: skip
def test_what_comes_after_a_step(rows: list[StepRow], step: str, expected: set[str]) -> None:
    assert following(rows, [step], ["draft · plan", "polish · plan"] if rows is STAGES else []) == expected


def test_what_was_edited() -> None:
    def plan(**inputs: str) -> Plan:
        return Plan.model_validate({"steps": [{"step": n, "agent": "a", "input": said} for n, said in inputs.items()]})

    assert edited_steps(plan(x="1", y="2", z="3"), plan(x="1", y="other", new="4")) == ["y"]
    assert edited_steps(None, plan(x="1")) == []


def test_what_was_only_renamed() -> None:
    def plan(**inputs: str) -> Plan:
        return Plan.model_validate({"steps": [{"step": n, "agent": "a", "input": said} for n, said in inputs.items()]})

    assert renamed_steps(plan(x="1", y="2", z="3"), plan(new="1", y="2")) == {"x"}
    assert renamed_steps(plan(x="1"), plan(x="1", copy="1")) == set()


def test_a_long_chain_is_followed_in_one_go() -> None:
    """Each step once, however many steps it begins at: a plan may have 5,000."""
    rows = [StepRow(step=str(n), depends_on=(str(n - 1),) if n > 1 else ()) for n in range(1, 20_001)]
    began = time.process_time()
    assert len(following(rows, [row.step for row in rows])) == len(rows)
    assert time.process_time() - began < 5, "with the square of the steps it took minutes"
