"""The full sandbox for tests: it polices the library's workflow code too, which a worker shares between runs.

For each new worker or replayer the SDK runs every workflow's modules through the sandbox once, only to check them. That costs
more than most tests do themselves, so each process checks a workflow once.
"""

import tomllib
from functools import cache
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

ROOT = Path(__file__).parents[1]


@cache
def shared() -> tuple[str, ...]:
    """Return what the sandbox shares: all modules but the library's that workflows run, which `pyproject.toml` names.

    Read when it is asked for: test modules with workflows of their own are imported within the sandbox.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    policed = next(one for one in contracts if one["id"] == "workflow-code")["source_modules"]
    modules = [one.name for one in walk_packages([str(ROOT / "outlast")], "outlast.") if not one.ispkg]
    return ("activities", "workflows.contracts", *(name for name in modules if name not in policed))


_checked: set[type] = set()


class PolicedRunner(SandboxedWorkflowRunner):
    """A sandbox that checks each workflow at the first worker of the process, and runs every run as always."""

    def prepare_workflow(self, defn: Any) -> None:
        if defn.cls not in _checked:
            super().prepare_workflow(defn)
            _checked.add(defn.cls)


def policed() -> PolicedRunner:
    return PolicedRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*shared()))
