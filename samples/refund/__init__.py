"""An example application: refunds with a rule, a gate and an undo. Start with `workflow.py`; `worker.py` serves it."""

WORKFLOW = "RefundWorkflow"
TASK_QUEUE = "refunds"
"""Where the workers of this example work, so that none of another application takes its runs."""
