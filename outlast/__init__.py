"""Durable agentic workflows on Temporal: agents that outlast crashes, deploys and weekends.

What an application needs is here, by name. Each name is imported from its module when it is first used, because the
Temporal SDK alone takes a quarter of a second. Begin with `AgentWorkflow`, which a workflow of agents is built on, and
`run_worker`, which runs it.

Example:
    ```python
    from outlast import AgentWorkflow, RunRequest, RunResult, run_worker
    ```
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.agents.agents import Agents
    from outlast.agents.answers import Answer, TypedAnswer
    from outlast.approvals.gates import Gates
    from outlast.approvals.people import People
    from outlast.client import connect
    from outlast.consensus.panel import vote
    from outlast.consensus.votes import Rule, Voter
    from outlast.contracts import (
        Budget,
        ChangingResult,
        Content,
        Effect,
        GateDecision,
        GatePolicy,
        Part,
        Plan,
        PlanStep,
        ProposedAction,
        RollbackPolicy,
        RunRequest,
        RunResult,
        RunState,
    )
    from outlast.dag import Outcome
    from outlast.extras import MissingExtraError
    from outlast.forks.forking import fork, retry
    from outlast.forks.reading import ForkError
    from outlast.gather import each, gather
    from outlast.plans.execute import PlanOutcome, run_plan
    from outlast.plugin import OutlastPlugin
    from outlast.review import review
    from outlast.routing.choosing import route
    from outlast.routing.requests import Category
    from outlast.settings import Settings, SettingsError, load_settings
    from outlast.stages.contracts import Rubric
    from outlast.tools.tool import NeverHappenedError, Tool, ToolError, Undo, tool
    from outlast.worker.arguments import WorkerArgumentError
    from outlast.worker.registry import Feature, Registry
    from outlast.worker.running import run_worker
    from outlast.worker.serving import running_worker
    from outlast.workflow.base import AgentWorkflow
    from outlast.workflow.context import RunContext

__version__ = "0.3.0.dev0"

_MODULES = {
    "outlast.agents.agents": "Agents",
    "outlast.agents.answers": "Answer TypedAnswer",
    "outlast.approvals.gates": "Gates",
    "outlast.approvals.people": "People",
    "outlast.client": "connect",
    "outlast.consensus.panel": "vote",
    "outlast.consensus.votes": "Rule Voter",
    "outlast.contracts": "Budget ChangingResult Content Effect GateDecision GatePolicy Part "
    "Plan PlanStep ProposedAction RollbackPolicy RunRequest RunResult RunState",
    "outlast.dag": "Outcome",
    "outlast.extras": "MissingExtraError",
    "outlast.forks.forking": "fork retry",
    "outlast.forks.reading": "ForkError",
    "outlast.gather": "each gather",
    "outlast.plans.execute": "PlanOutcome run_plan",
    "outlast.plugin": "OutlastPlugin",
    "outlast.review": "review",
    "outlast.routing.choosing": "route",
    "outlast.routing.requests": "Category",
    "outlast.settings": "Settings SettingsError load_settings",
    "outlast.stages.contracts": "Rubric",
    "outlast.tools.tool": "NeverHappenedError Tool ToolError Undo tool",
    "outlast.worker.arguments": "WorkerArgumentError",
    "outlast.worker.registry": "Feature Registry",
    "outlast.worker.running": "run_worker",
    "outlast.worker.serving": "running_worker",
    "outlast.workflow.base": "AgentWorkflow",
    "outlast.workflow.context": "RunContext",
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AgentWorkflow",
    "Agents",
    "Answer",
    "Budget",
    "Category",
    "ChangingResult",
    "Content",
    "Effect",
    "Feature",
    "ForkError",
    "GateDecision",
    "GatePolicy",
    "Gates",
    "MissingExtraError",
    "NeverHappenedError",
    "Outcome",
    "OutlastPlugin",
    "Part",
    "People",
    "Plan",
    "PlanOutcome",
    "PlanStep",
    "ProposedAction",
    "Registry",
    "RollbackPolicy",
    "Rubric",
    "Rule",
    "RunContext",
    "RunRequest",
    "RunResult",
    "RunState",
    "Settings",
    "SettingsError",
    "Tool",
    "ToolError",
    "TypedAnswer",
    "Undo",
    "Voter",
    "WorkerArgumentError",
    "__version__",
    "connect",
    "each",
    "fork",
    "gather",
    "load_settings",
    "retry",
    "review",
    "route",
    "run_plan",
    "run_worker",
    "running_worker",
    "tool",
    "vote",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'outlast' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # Importing a submodule binds it here; where a public name is the same (`gather`), that name is what people mean.
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
