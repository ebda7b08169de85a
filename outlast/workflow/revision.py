"""Which revision of our workflow code a run began with: asked once, in the first activation, and remembered.

A run must not ask for a new patch later than at its beginning: where a query comes with a workflow task, the SDK hands over
the result of a local activity only in the next task, but on replay in the same one. A patch asked for first behind a local
activity is then not found again, and the run is stuck.

A change of workflow code that another history would show (another command, or another reading of a recorded message) asks
`since(FAULTS_FIXED)` and keeps the old branch for runs that began before.
"""

from temporalio import workflow

FIRST = "2026-11-25"
"""Runs from before it carry one marker for each change instead."""

FAULTS_FIXED = "2026-11-28"
"""Decisions, denials, halts, waits for a store or a provider: see CHANGELOG of that date."""

NEWEST_FIRST = (FAULTS_FIXED, FIRST)


def begin() -> None:
    """Mark the run with the newest revision, before it does anything else."""
    since(FIRST)


def since(revision: str) -> bool:
    """Whether the run began with this revision or a newer one; a new run carries one marker only, that of the newest."""
    return any(workflow.patched(each) for each in NEWEST_FIRST[: NEWEST_FIRST.index(revision) + 1])


def began_with(change: str) -> bool:
    """Whether the run has this change: all that have a revision do."""
    return since(FIRST) or workflow.patched(change)
