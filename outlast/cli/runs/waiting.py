"""How to wait for a run: through crashes of the server and the worker, for days, until it ends or the person leaves.

Waiting is a long poll that fails when the server restarts, while the run itself loses nothing. So every retryable error means to
ask again, and only the run's own end, or Ctrl-C, ends the waiting.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from outlast.cli.leaving import say
from outlast.cli.reaching import NOBODY_ANSWERS, PASSING, PATIENT_DEADLINE
from outlast.cli.rendering import gate_line
from outlast.command_line import command, start_a_worker
from outlast.contracts import RunStatus

NO_ANSWER = "no worker answers for this run: the worker is busy or gone, and the run goes on once one is there."

NOT_BEGUN = "task is not scheduled yet"
"""What the server says of a run that was started with a delay and has not begun."""

LONGEST_PAUSE = 2.0
"""Seconds between two questions to a server that does not answer."""

PATIENCE = 5.0
"""Seconds before a run without a terminal is asked whether any worker has it."""

Seen = Callable[[RunStatus], None]
Waits = Callable[[], Awaitable[list[str]]]


@contextmanager
def may_be_left(workflow_id: str) -> Iterator[None]:
    """On Ctrl-C, print that the run continues and how to come back to it."""
    try:
        yield
    except asyncio.CancelledError:
        say(f"\nnot waiting any more, but the run goes on. Come back to it: {command('watch', workflow_id)}")
        say(f"End it: {command('cancel', workflow_id)}")
        raise


async def result_of(
    handle: WorkflowHandle[Any, Any], *, seen: Seen | None = None, every: float = 1.0, waits: Waits | None = None
) -> Any:
    """Wait for the run's result; `seen` is called with its status every `every` seconds.

    What `waits` returns, asked every few seconds, is said once.

    Raises WorkflowFailureError when the run failed, and RPCError only where asking again is no use.
    """
    attending = [asyncio.create_task(_attend(handle, seen, every))]
    attending += [asyncio.create_task(_tell_waits(waits))] if waits else []
    try:
        return await outlasting(handle, say)
    finally:
        for task in attending:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def outlasting(handle: WorkflowHandle[Any, Any], tell: Callable[[str], None] | None = None) -> Any:
    """Wait for the run's result however often the server restarts; `tell` is called once when it is away."""
    pause, warned = 0.25, False
    while True:
        try:
            return await handle.result()
        except RPCError as error:
            if error.status not in PASSING:
                raise
            if tell and not warned:
                tell("the server does not answer; still waiting, nothing is lost …")
                warned = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


async def _attend(handle: WorkflowHandle[Any, Any], seen: Seen | None, every: float) -> None:
    """Show the status again and again; say once if no worker answers.

    Without a terminal it says what waits for a person: a pipe or a build log would be silent until the time is over.
    """
    warned = False
    asked: set[str] = set()
    await asyncio.sleep(0 if seen else PATIENCE)
    while True:
        try:
            status = await handle.query("status", result_type=RunStatus, rpc_timeout=PATIENT_DEADLINE)
        except RPCError as error:
            if not warned and error.status in NOBODY_ANSWERS and NOT_BEGUN not in error.message:
                warned = True
                say(f"{NO_ANSWER} {start_a_worker()}")
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            pass  # it has no answer at this moment, for instance before its first task
        else:
            if seen is not None:
                seen(status)
            else:
                _say_what_waits(status, asked)
        await asyncio.sleep(every if seen else PATIENCE)


async def _tell_waits(waits: Waits) -> None:
    """Say once of each queue that its calls wait, and why."""
    told = Told(say)
    while True:
        await asyncio.sleep(PATIENCE)
        with suppress(RPCError):
            told.tell(await waits())


class Told:
    """Says each line once, whatever the numbers in it are."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def tell(self, lines: Sequence[str]) -> None:
        """Say those that are new."""
        for line in lines:
            if (text := re.sub(r"\d+", "", line)) not in self._told:
                self._told.add(text)
                self._tell(line)


def _say_what_waits(status: RunStatus, asked: set[str]) -> None:
    """Print each open gate and question once, with the command that answers it."""
    waiting = {
        f"{gate.name} {gate.digest}": gate_line(status.workflow_id, gate, "waits for a person") for gate in status.gates
    }
    waiting |= {
        one.id: f"{one.id} asks: {one.text} → {command('answer', status.workflow_id)} TEXT" for one in status.questions
    }
    for key, text in waiting.items():
        if key not in asked:
            asked.add(key)
            say(text)
