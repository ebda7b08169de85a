"""A refund worker beside a command: started where none serves the queue, for as long as the command waits."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from outlast.cli.leaving import UNSERVED, LeavingError, say
from outlast.cli.reaching import Reach
from outlast.client import Settings
from outlast.devstack.parts import Part, worker_part
from outlast.devstack.ports import choose_ports
from outlast.devstack.process import NotStartedError, running
from outlast.devstack.state import identify
from samples.refund import TASK_QUEUE

LOOK_EVERY = 2.0
"""Seconds between looks at whether the queue is still served."""


def refund_worker(settings: Settings, task_queue: str, environment: Mapping[str, str]) -> Part:
    """Describe a refund worker for a task queue; `environment` holds its settings."""
    program = ("-m", "samples.refund.worker", "--task-queue", task_queue)
    ports = choose_ports(("worker health",), {}, {})
    return worker_part(settings, ports, *program, name="refund-worker", environment=environment)


@asynccontextmanager
async def served(reach: Reach, task_queue: str) -> AsyncIterator[None]:
    """Keep the queue of refunds served: with a worker of our own whenever no other is there, which ends with the block.

    On any other queue none is started: serving refunds alone, it would fail the tasks of all that else runs there.
    Raises LeavingError where that worker does not start.
    """
    if task_queue != TASK_QUEUE:
        yield
        return
    ready = asyncio.Event()
    keeping = asyncio.create_task(_keep(reach, task_queue, ready))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait((keeping, waiting), return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        yield
    finally:
        waiting.cancel()
        keeping.cancel()
        await asyncio.wait((keeping,))


async def _keep(reach: Reach, task_queue: str, ready: asyncio.Event) -> None:
    """Look again and again: the worker that served at first may be that of another command, and end with it."""
    while True:
        # The server lists a worker for minutes after its end: of those on this machine, only living ones count.
        if all(_has_ended(identity) for identity in await reach.workers(task_queue)):
            part = refund_worker(reach.settings, task_queue, os.environ)
            say(
                f"no worker serves task queue {task_queue!r}: one runs for as long as this waits, its log is {part.log}"
            )
            try:
                async with running(part) as (worker,):
                    ready.set()
                    await worker.ended()
            except NotStartedError as error:
                raise LeavingError(UNSERVED, str(error)) from error
        ready.set()
        await asyncio.sleep(LOOK_EVERY)


def _has_ended(identity: str) -> bool:
    pid, _, host = identity.partition("@")
    return host == socket.gethostname() and pid.isdigit() and identify(int(pid)) is None
