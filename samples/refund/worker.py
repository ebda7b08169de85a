"""The worker of this example: `python -m samples.refund.worker --help`. It serves refunds alone, on a task queue of their own.

The tools of a refund come from the library, switched on by settings: DATABASE_URL, DATABASE_WRITE_TABLES, SMTP_URL, MAIL_FROM,
HTTP_CALL_ALLOW and HTTP_CALL_UNDO.
"""

from outlast.command_line import CommandLine, use_command_line
from outlast.worker.running import run_worker
from samples.refund import TASK_QUEUE
from samples.refund.workflow import RefundWorkflow

if __name__ == "__main__":
    use_command_line(CommandLine("python starter.py"))
    run_worker(workflows=[RefundWorkflow], task_queue=TASK_QUEUE, shared=["samples.refund.contracts"])
