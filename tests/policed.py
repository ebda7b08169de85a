"""The full sandbox for tests: it polices our moves too, which the worker shares between runs.

The trap: for each new worker or replayer the SDK runs every workflow's modules through the sandbox once, only to check them. That
costs more than most tests do themselves, so each process checks a workflow once.
"""

from typing import Any

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = ("activities", "workflows.contracts")

_checked: set[type] = set()


class PolicedRunner(SandboxedWorkflowRunner):
    """A sandbox that checks each workflow at the first worker of the process, and runs every run as always."""

    def prepare_workflow(self, defn: Any) -> None:
        if defn.cls not in _checked:
            super().prepare_workflow(defn)
            _checked.add(defn.cls)


def policed() -> PolicedRunner:
    return PolicedRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
