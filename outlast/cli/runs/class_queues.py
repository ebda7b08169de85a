"""Calls that wait on the task queue of their model's class: whether any worker serves it, and whether it is paused.

The server forgets a poll after five minutes, and a worker whose slots are all taken does not poll. So one whose own report
is fresh counts as well; the SDK sends such a report every minute.
"""

from collections import Counter
from datetime import UTC, datetime

from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse, ListWorkersRequest
from temporalio.client import WorkflowExecutionDescription
from temporalio.service import RPCError

from outlast.activity.queue_pauses import pause_of
from outlast.cli.reaching import Reach
from outlast.command_line import start_a_worker
from outlast.worker.routing import FRESH


async def class_waits(reach: Reach, found: WorkflowExecutionDescription) -> list[str]:
    """Say of each queue of a class where calls of a run wait why they do, if there is more to say than that others come first."""
    queues = Counter(
        pending.activity_options.task_queue.name
        for pending in found.raw_description.pending_activities
        if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    )
    if not queues.keys() - {"", found.task_queue}:
        return []
    from outlast.workflow.policies import class_in  # of no use to most looks, and slow to import

    lines = []
    for queue, calls in queues.items():
        if name := class_in(queue, found.task_queue):
            why = await _why(reach, queue, name)
            waiting = "1 model call waits" if calls == 1 else f"{calls} model calls wait"
            lines += [f"{waiting}: {why}"] if why else []
    return lines


async def _why(reach: Reach, queue: str, name: str) -> str:
    request = DescribeTaskQueueRequest(
        namespace=reach.client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_config=True,
    )
    answer = await reach.client.workflow_service.describe_task_queue(request)
    if not await _served(reach, queue, answer):
        start = start_a_worker(options=f"--model-class {name}")
        return f"no worker serves task queue {queue!r}, that of the class of models {name!r}. {start}"
    pause = pause_of(answer.config.queue_rate_limit)
    if pause is not None:
        return f"the model API has refused calls of class {name!r} for their rate; they go on in {max(pause.left, 0):.0f} s"
    return ""


async def _served(reach: Reach, queue: str, answer: DescribeTaskQueueResponse) -> bool:
    oldest = datetime.now(UTC) - FRESH
    if any(each.last_access_time.ToDatetime(UTC) > oldest for each in answer.pollers):
        return True
    request = ListWorkersRequest(namespace=reach.client.namespace, query=f'TaskQueue="{queue}"')
    try:
        workers = (await reach.client.workflow_service.list_workers(request)).workers_info
    except RPCError:  # an older server keeps no such list
        return False
    return any(
        each.worker_heartbeat.status == WorkerStatus.WORKER_STATUS_RUNNING
        and each.worker_heartbeat.heartbeat_time.ToDatetime(UTC) > oldest
        for each in workers
    )


async def waits_of(reach: Reach, workflow_id: str) -> list[str]:
    """Say the same of the run of an id."""
    return await class_waits(reach, await reach.client.get_workflow_handle(workflow_id).describe())
