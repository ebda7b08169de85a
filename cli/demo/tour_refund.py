"""The refund of the tour: proposed above the limit, approved by two people, carried out, and undone because the booking fails.

This stop succeeds when its run fails. What counts is what is left in the world afterwards, so the database and the mails are
looked at, and not only what the run reports.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from cli import PROJECT
from cli.demo.tour_shop import Shop
from outlast.approvals.tokens import granted
from outlast.cli.kinds import partial, prefix_of
from outlast.cli.leaving import cause_of
from outlast.cli.reaching import open_store
from outlast.client import Settings
from outlast.contracts import ChangeState, GateView, Part, RunStatus
from outlast.devstack.board import Board
from outlast.devstack.parts import local_environment
from outlast.devstack.state import StackState
from samples.refund import WORKFLOW
from samples.refund.contracts import RefundRequest, RefundResult
from samples.refund.file import cents, read_refund

SAMPLE = PROJECT / "samples" / "refund" / "lamp.json"
TITLE = "refund, approved by two, rolled back"
COMMAND = "refund samples/refund/lamp.json --fail-at booking"
APPROVERS = ("Ann", "Bob")
REQUESTER = "Carl"
AT_MOST = timedelta(minutes=10)
"""No worker serves the tour's queues when it is over: a run that is left there shall end by itself."""
EXPECTED = {"row": ChangeState.UNDONE, "mail": ChangeState.NOT_UNDOABLE, "booking": ChangeState.NOT_HAPPENED}
WORDS = {ChangeState.NOT_UNDOABLE: "sent, and cannot be undone", ChangeState.NOT_HAPPENED: "never happened"}

Handle = WorkflowHandle[object, RefundResult]


class NotApprovedError(Exception):
    """A decision of the tour was refused; the message is that of the command."""


class RefundStop:
    """One refund from an open shop, whose worker serves `task_queue`."""

    def __init__(
        self, settings: Settings, client: Client, state: StackState, board: Board, opened: Shop, task_queue: str
    ) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._board = board
        self._shop = opened
        self._task_queue = task_queue

    async def run(self) -> bool:
        """Show it; returns whether everything ended as it should."""
        began = datetime.now(UTC)
        try:
            handle = await self._start(began)
            await self._decide(handle)
            return await self._report(handle, began)
        except (NotApprovedError, OSError) as error:
            self._board.say(f"✗ {TITLE}: {error}", "bold red")
            return False

    async def _start(self, began: datetime) -> Handle:
        wanted = await asyncio.to_thread(read_refund, SAMPLE, {})
        store = open_store(self._settings)
        request = RefundRequest(
            order=wanted.order,
            text=Part.of(await store.keep(wanted.text)),
            amount_cents=cents(wanted.amount),
            ledger_url=self._shop.ledger,
            requester=REQUESTER,
        )
        return await self._client.start_workflow(
            WORKFLOW,
            request,
            id=f"tour-{prefix_of(WORKFLOW)}-{began:%Y%m%d-%H%M%S}",
            task_queue=self._task_queue,
            result_type=RefundResult,
            execution_timeout=AT_MOST,
            static_summary=f"Tour: {TITLE}",
        )

    async def _decide(self, handle: Handle) -> None:
        """Wait for the gate, and approve in the name of two people by the command that they would type.

        Raises NotApprovedError, and ends the run, where one of them is refused.
        """
        result = asyncio.create_task(_ended(handle))
        try:
            while not result.done() and not await open_gates(handle):
                await asyncio.wait([result], timeout=0.5)
            for who in () if result.done() else APPROVERS:
                await approve(self._state, self._shop, handle.id, who)
        except NotApprovedError:
            await handle.terminate("the tour's approvers were refused")
            raise
        finally:
            result.cancel()

    async def _report(self, handle: Handle, began: datetime) -> bool:
        try:
            answer = await handle.result()
            self._board.say(f"✗ {TITLE}: {answer.outcome}, {'; '.join(answer.notes)}", "bold red")
            return False
        except WorkflowFailureError as failure:
            result, why = partial(failure.cause, WORKFLOW), cause_of(failure)
        if not isinstance(result, RefundResult):
            self._board.say(f"✗ {TITLE}: {why}", "bold red")
            return False
        states = {change.step: change.state for change in result.changes.changes}
        left, mails = await asyncio.to_thread(self._shop.refunds), await asyncio.to_thread(self._shop.sent)
        good = (states, result.approved_by, left, mails) == (EXPECTED, APPROVERS, [], 1)
        seconds = (datetime.now(UTC) - began).total_seconds()
        people = " and ".join(result.approved_by) or "nobody"
        self._board.say(
            f"{'✓' if good else '✗'} {TITLE} ({seconds:.0f} s): {result.amount_cents / 100:.2f} of {result.order}, "
            f"approved by {people}; then the booking failed",
            "green" if good else "bold red",
        )
        for change in result.changes.changes:
            state = WORDS.get(change.state, str(change.state).replace("_", " "))
            self._board.say(f"    {change.step}: {state} · {change.tool}({change.arguments})"[:150])
        self._board.say(
            f"    now {len(left)} refunds in the database, {mails} mail out (a demo's: it went into {self._shop.mails})\n"
            f"    python starter.py audit {handle.id}"
        )
        if not good:
            self._board.say(f"    {why}", "red")
        self._board.say(f"    python starter.py {COMMAND}\n    {self._state.run_url(handle.id)}")
        return good


async def approve(state: StackState, opened: Shop, run: str, who: str) -> None:
    """Run `starter.py approve` on this stack, with a token of that person's own; raises NotApprovedError."""
    token = granted(opened.secret, who, datetime.now(UTC), AT_MOST, run=run)
    # Without the person's own TEMPORAL_*: their cluster has no such run.
    environment = local_environment(state.address) | {"APPROVER_TOKEN": token}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROJECT / "starter.py"), "approve", run, "--as", who),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise NotApprovedError(f"{who} could not approve: {output.decode(errors='replace').strip()[-500:]}")


async def open_gates(handle: WorkflowHandle[Any, Any]) -> Sequence[GateView]:
    """Return the gates that wait now; none where no worker answers."""
    try:
        status: RunStatus = await handle.query("status", result_type=RunStatus, rpc_timeout=timedelta(seconds=5))
    except (RPCError, WorkflowQueryFailedError):
        return ()
    return status.gates


async def _ended(handle: Handle) -> None:
    try:
        await handle.result()
    except WorkflowFailureError:
        return
