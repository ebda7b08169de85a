"""What the command line of the application mounts: the command, and how the other commands know these runs."""

from outlast.cli.kinds import RunKind
from samples.refund import TASK_QUEUE, WORKFLOW

COMMANDS = {"refund": "samples.refund.command:refund"}
KIND = RunKind(
    WORKFLOW,
    command="refund",
    prefix="refund",
    page="samples.refund.page:PAGE",
    task_queue=TASK_QUEUE,
    worker="python -m samples.refund.worker",
    request="samples.refund.contracts:RefundRequest",
)
