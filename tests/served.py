"""Every workflow that some worker of ours serves, for tests that hold for all of them."""

from outlast.undo.workflow import RollbackWorkflow
from worker import WORKFLOWS

EVERY_WORKFLOW: tuple[type, ...] = (*WORKFLOWS, RollbackWorkflow)
