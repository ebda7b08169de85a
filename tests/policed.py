"""The full sandbox for tests: it polices the library's workflow code too, which a worker process takes from outside of it.

Importing all that code costs more than most tests do themselves, so each process of the tests does so once for each workflow.
"""

import tomllib
from functools import cache
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from temporalio.worker.workflow_sandbox import SandboxRestrictions

from outlast.worker.sandbox import SharingRunner
from outlast.worker.task_order import TaskOrderRunner

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


_imported: dict[type, Any] = {}


class PolicedRunner(SharingRunner):
    """The sandbox of worker processes; a workflow is checked and imported at the first worker of the process, for all of them."""

    def prepare_workflow(self, defn: Any) -> None:
        if defn.cls not in self.imported:
            super().prepare_workflow(defn)


def policed() -> PolicedRunner:
    # What a worker would make of it, had it not to keep what is imported.
    runner = PolicedRunner(SandboxRestrictions.default.with_passthrough_modules(*shared()), TaskOrderRunner)
    object.__setattr__(runner, "imported", _imported)
    return runner
