"""How many gates are open, and the age of the oldest: read from the server, because no worker knows all runs.

Every worker reports the same, so take the maximum over them and not the sum. A workflow cannot report this itself:
it does not run while it waits, which is just when the age matters.
"""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from outlast.contracts import GATE_MEMO, GATES_MEMO, GatesShown, GateView

EVERY = 10.0
"""Seconds between two looks; each is a listing of those runs alone that wait."""
WAITING = "ExecutionStatus = 'Running' AND PendingGate IS NOT NULL"
MOST_READ = 1000

logger = logging.getLogger(__name__)


async def watch_gates(client: Client, meter: MetricMeter) -> None:
    """Report until cancelled; the namespace must have our search attributes."""
    waiting = meter.create_gauge("agent_gates_waiting", "Gates that wait for people, by workflow type")
    age = meter.create_gauge_float("agent_gate_age", "How long the oldest gate has waited", "s")
    known: set[str] = set()
    while True:
        try:
            numbers, oldest = await _look(client)
        except RPCError as error:
            logger.warning("gates that wait cannot be listed: %s", error.message)
        else:
            known |= set(numbers)
            for kind in known:
                waiting.set(numbers[kind], {"workflow_type": kind})
            age.set(oldest)
        await asyncio.sleep(EVERY)


async def _look(client: Client) -> tuple[Counter[str], float]:
    """Count by workflow type, and find the age of the oldest in seconds."""
    numbers: Counter[str] = Counter()
    oldest = now = datetime.now(UTC)
    async for run in client.list_workflows(WAITING, limit=MOST_READ):
        try:
            shown: GatesShown = await run.memo_value(GATES_MEMO, GatesShown(), type_hint=GatesShown)
            fields = [name for name in run.raw_info.memo.fields if name.startswith(GATE_MEMO)]
            waiting = [await run.memo_value(name, type_hint=GateView) for name in fields]
        except ValueError:
            continue  # a workflow of others may use the memo's name for something else
        numbers[run.workflow_type] += len(waiting) + shown.more
        oldest = min([oldest, *(gate.opened for gate in waiting if gate.opened)])
    return numbers, (now - oldest).total_seconds()
