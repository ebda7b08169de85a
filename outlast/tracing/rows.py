"""The steps of a run as far as they fit into one answer: those that failed, run or wait first, the rest page by page."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import timedelta

from temporalio import workflow

from outlast.contracts import Plan, PlanStep, RunStatus, StepOutcomes, StepRow, StepState

ROOM = 250_000
"""About how many bytes of steps one answer holds, where messages may have the usual size or more."""
FIRST = (StepState.FAILED, StepState.RUNNING, StepState.PENDING, StepState.SKIPPED, StepState.DONE)
"""Which steps people look for first."""


def room() -> int:
    """Return how many bytes of steps one answer of this run may hold: half of what a message may."""
    converter = workflow.payload_converter()
    # The SDK wraps a converter in one of its own.
    limit = getattr(getattr(converter, "_inner_payload_converter", converter), "limit", None)
    return ROOM if limit is None else min(ROOM, limit // 2)


def that_fit(rows: Collection[StepRow], most: int) -> tuple[StepRow, ...]:
    """Return as many steps as fit into so many bytes, in their order: of those that are done the last ones."""
    order = {state: place for place, state in enumerate(FIRST)}
    ranked = sorted(
        enumerate(rows),
        key=lambda each: (order[each[1].state], -each[0] if each[1].state is StepState.DONE else each[0]),
    )
    kept = _fitting((row for _, row in ranked), most)
    return tuple(rows) if kept == len(rows) else tuple(row for _, row in sorted(ranked[:kept]))


def page(rows: Collection[StepRow], given: Iterable[object], most: int) -> StepOutcomes:
    """Return the steps from the one of a number on, as many as fit; whatever else is given counts as 0."""
    first = next(iter(given), 0)
    start = first if isinstance(first, int) and first > 0 else 0
    left = tuple(rows)[start:]
    return StepOutcomes(rows=left[: max(1, _fitting(left, most))], total=len(rows))


def part_of_plan(plan: Plan, start: object = None, *_: object) -> Plan:
    """Return a plan; where a place is given, its steps from there on, as many as fit: a long plan is no single message."""
    if not isinstance(start, int) or start < 0:
        return plan
    left = plan.steps[start:]
    return Plan(steps=left[: max(1, _fitting(left, room()))])


async def asked_whole(status: RunStatus, query: Callable[..., Awaitable[StepOutcomes]], seconds: float) -> RunStatus:
    """Return a status with all steps, each page asked by the `query` of the run's handle within so many seconds."""
    within = timedelta(seconds=seconds)
    return await with_all(status, lambda first: query("steps", first, result_type=StepOutcomes, rpc_timeout=within))


async def with_all(status: RunStatus, ask: Callable[[int], Awaitable[StepOutcomes]]) -> RunStatus:
    """Return a status with all steps; `ask` asks the run for its `steps` from a number on."""
    if not status.left_out:
        return status
    rows: list[StepRow] = []
    while True:
        more = await ask(len(rows))
        rows += more.rows
        if not more.rows or len(rows) >= more.total:
            return status.model_copy(update={"steps": tuple(rows), "left_out": 0})


def _fitting(rows: Iterable[StepRow | PlanStep], most: int) -> int:
    """Count the rows that fit."""
    count = 0
    for row in rows:
        most -= len(row.model_dump_json().encode())
        if most < 0:
            break
        count += 1
    return count
