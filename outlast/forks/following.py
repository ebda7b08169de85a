"""Which steps of a run come after one of them, and so are done again with it. Pure.

Steps of a graph say what they depend on. A step within a stage (`draft · 2`) belongs to the row of its stage, where there is
one, and stages depend on each other. Where nothing says so, what began after a step had ended comes after it, unless it
belongs to something else (another document).
"""

from collections.abc import Iterable, Mapping, Sequence

from outlast.contracts import Plan, PlanStep, StepRow

DOT = " · "


def following(rows: Sequence[StepRow], steps: Iterable[str], others: Iterable[str] = ()) -> set[str]:
    """Return some steps and all that comes after them.

    Args:
        rows: The steps of the run.
        steps: Some of them.
        others: Names below which the run asked more, without a row of their own (`draft · plan`).
    """
    by_name, first = {row.step: row for row in rows}, set(steps)
    if any(row.depends_on for row in rows):
        return _in_graph(by_name, first, others)
    return first | {row.step for row in rows if any(_is_later(row, by_name[step]) for step in first)}


def edited_steps(before: Plan | None, after: Plan | None) -> list[str]:
    """Name the steps of a plan that another plan has as well, but otherwise."""
    if before is None or after is None:
        return []
    known = {step.step: _essence(step) for step in before.steps}
    return [step.step for step in after.steps if step.step in known and known[step.step] != _essence(step)]


def renamed_steps(before: Plan | None, after: Plan | None) -> set[str]:
    """Name the steps of a plan that another plan lacks, but has under another name: the same agent is to do the same there."""
    if before is None or after is None:
        return set()
    names = {step.step for step in before.steps}
    new = {(step.agent, step.input) for step in after.steps if step.step not in names}
    kept = {step.step for step in after.steps}
    return {step.step for step in before.steps if step.step not in kept and (step.agent, step.input) in new}


def _essence(step: PlanStep) -> tuple[str, str, frozenset[str]]:
    return step.agent, step.input, frozenset(step.depends_on)


def _in_graph(rows: Mapping[str, StepRow], steps: set[str], others: Iterable[str]) -> set[str]:
    names = dict.fromkeys((*rows, *others))
    dependents: dict[str, list[str]] = {}
    for name, row in rows.items():
        for needed in row.depends_on:
            dependents.setdefault(needed, []).append(name)
    within = {step for step in steps if _group(step) in rows}
    again = _reached(dependents, steps - within)
    whole = set(again)
    for step in within:
        # What follows in the same stage changes the stage's result, and so all later stages as a whole.
        stage = _group(step)
        later = _reached(dependents, {stage}) - {stage}
        whole |= later
        again |= _reached(dependents, {step}) | later | {stage}
    return again | {name for name in names if _group(name) in whole}


def _reached(dependents: Mapping[str, Sequence[str]], start: set[str]) -> set[str]:
    reached, waiting = set(start), list(start)
    while waiting:
        fresh = [name for name in dependents.get(waiting.pop(), ()) if name not in reached]
        reached.update(fresh)
        waiting += fresh
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
