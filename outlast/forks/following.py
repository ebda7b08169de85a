"""Which steps of a run come after one of them, and so are done again with it. Pure.

Steps of a graph say what they depend on. A step within a stage (`draft · 2`) belongs to the row of its stage, where there is
one, and stages depend on each other. Where nothing says so, what began after a step had ended comes after it, unless it
belongs to something else (another document).
"""

from collections.abc import Iterable, Mapping, Sequence

from outlast.contracts import Plan, PlanStep, StepRow

DOT = " · "


def following(rows: Sequence[StepRow], step: str, others: Iterable[str] = ()) -> set[str]:
    """Return a step and all that comes after it.

    Args:
        rows: The steps of the run.
        step: One of them.
        others: Names below which the run asked more, without a row of their own (`draft · plan`).
    """
    by_name = {row.step: row for row in rows}
    if any(row.depends_on for row in rows):
        return _in_graph(by_name, step, others)
    start = by_name[step]
    after = {row.step for row in rows if _is_later(row, start)}
    return {step, *after}


def edited_steps(before: Plan | None, after: Plan | None) -> list[str]:
    """Name the steps of a plan that another plan has as well, but otherwise."""
    if before is None or after is None:
        return []
    known = {step.step: _essence(step) for step in before.steps}
    return [step.step for step in after.steps if step.step in known and known[step.step] != _essence(step)]


def _essence(step: PlanStep) -> tuple[str, str, frozenset[str]]:
    return step.agent, step.input, frozenset(step.depends_on)


def _in_graph(rows: Mapping[str, StepRow], step: str, others: Iterable[str]) -> set[str]:
    names = dict.fromkeys((*rows, *others))
    stage = _group(step) if _group(step) in rows else ""
    again = _dependent(rows, {step})
    # What follows in the same stage changes the stage's result, and so all later stages as a whole.
    whole = {step} if not stage else set()
    later = _dependent(rows, {stage}) - {stage} if stage else again
    whole |= {name for name in later if name in rows}
    again |= later | ({stage} if stage else set())
    return again | {name for name in names if _group(name) in whole}


def _dependent(rows: Mapping[str, StepRow], start: set[str]) -> set[str]:
    reached = set(start)
    grown = True
    while grown:
        fresh = {name for name, row in rows.items() if name not in reached and reached.intersection(row.depends_on)}
        reached |= fresh
        grown = bool(fresh)
    return reached


def _is_later(row: StepRow, start: StepRow) -> bool:
    groups = {_group(row.step), _group(start.step)} - {""}
    if len(groups) > 1:
        return False
    if start.ended is None:
        return row.started is None
    return row.started is None or row.started >= start.ended


def _group(step: str) -> str:
    """Return what a step belongs to: a stage, a document."""
    return step.rpartition(DOT)[0] if DOT in step else ""
