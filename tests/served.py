"""Every workflow that some worker of ours serves, for tests that hold for all of them."""

from outlast.undo.workflow import RollbackWorkflow
from samples.refund.workflow import RefundWorkflow
from worker import WORKFLOWS

SERVED: tuple[type, ...] = (*WORKFLOWS, RefundWorkflow)
EVERY_WORKFLOW: tuple[type, ...] = (*SERVED, RollbackWorkflow)
"""With the one that each worker serves anyway."""
