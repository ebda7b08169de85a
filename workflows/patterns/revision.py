"""Which revision of our workflow code a run began with: asked once, in the first activation, and remembered.

The trap: where a query comes with a workflow task, the SDK hands over the result of a local activity only in the next task, but
on replay in the same one. A patch asked for first behind a local activity is then not found again, and the run is stuck. So no
run asks for a new patch later than at its beginning.
"""

from temporalio import workflow

REVISION = "2026-11-25"
"""Runs from before it carry one marker for each change instead."""


def begin() -> None:
    """Mark the run, before it does anything else."""
    workflow.patched(REVISION)


def began_with(change: str) -> bool:
    """Whether the run has this change: all that have the revision do."""
    return workflow.patched(REVISION) or workflow.patched(change)
