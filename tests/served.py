"""Every workflow that some worker of ours serves, for tests that hold for all of them."""

from outlast.agents.delegation.workflow import DelegatedAgentWorkflow
from outlast.notices.webhooks import WebhookWorkflow
from outlast.undo.workflow import RollbackWorkflow
from samples.refund.workflow import RefundWorkflow
from worker import WORKFLOWS

SERVED: tuple[type, ...] = (*WORKFLOWS, RefundWorkflow)
STARTED: tuple[type, ...] = (*SERVED, RollbackWorkflow)
"""What people start, of those and of what each worker serves anyway."""
EVERY_WORKFLOW: tuple[type, ...] = (*STARTED, DelegatedAgentWorkflow, WebhookWorkflow)
