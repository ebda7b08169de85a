"""The full sandbox for tests: it polices the library's workflow code too, which a worker shares between runs.

For each new worker or replayer the SDK runs every workflow's modules through the sandbox once, only to check them. That costs
more than most tests do themselves, so each process checks a workflow once.
"""

import tomllib
from pkgutil import walk_packages
from typing import Any

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.real_process import PROJECT

_CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
WORKFLOW_CODE = frozenset(next(one for one in _CONTRACTS if one["id"] == "workflow-code")["source_modules"])
"""The library's modules that workflows run; the walls of `pyproject.toml` name them."""


def _shared() -> list[str]:
    found = [one.name for one in walk_packages([str(PROJECT / "outlast")], "outlast.") if not one.ispkg]
    return [name for name in found if name not in WORKFLOW_CODE]


PASSED_THROUGH = ("activities", "workflows.contracts", *_shared())

_checked: set[type] = set()


class PolicedRunner(SandboxedWorkflowRunner):
    """A sandbox that checks each workflow at the first worker of the process, and runs every run as always."""

    def prepare_workflow(self, defn: Any) -> None:
        if defn.cls not in _checked:
            super().prepare_workflow(defn)
            _checked.add(defn.cls)


def policed() -> PolicedRunner:
    return PolicedRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
