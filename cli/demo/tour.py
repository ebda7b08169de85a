"""The tour: one small run of each pattern, all at once, and a line on the result of each.

Where the local model would answer, and in the showcase, the answers are recorded ones: 135 million parameters show nothing of
what the patterns are good for. All runs of such a tour go to the task queues of its own workers, which ask no model.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from cli import PROJECT
from cli.demo.showcase import recorded_answers
from cli.demo.tour_chat import ChatStop
from cli.demo.tour_refund import NotApprovedError, RefundStop, approve, open_gates
from cli.demo.tour_shop import Shop, shop
from cli.demo.tour_stops import PIPELINE, STOPS, Stop
from outlast.cli.kinds import PLAN, page_of, prefix_of
from outlast.cli.leaving import cause_of
from outlast.cli.reaching import Reach
from outlast.cli.results import Reader
from outlast.client import Settings
from outlast.contracts import RunStatus
from outlast.devstack.board import Board
from outlast.devstack.parts import Part, local_environment, worker_part
from outlast.devstack.ports import choose_ports
from outlast.devstack.process import NotStartedError, running
from outlast.devstack.state import StackState
from outlast.storage.activities import ContentStore
from samples.refund import TASK_QUEUE as REFUNDS
from samples.refund.serving import refund_worker

SHOWN = 150
"""Characters of a result that are shown."""
APPROVER = "Ann"
NO_MODEL_ASKED = "Recorded answers, no model was asked. With ANTHROPIC_API_KEY set, 'make demo' asks Claude instead."


class Tour:
    """One tour, on a stack that runs; `recorded` tells whether its answers are."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        state: StackState,
        board: Board,
        *,
        recorded: bool = False,
        documents: bool = False,
    ) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._board = board
        self._recorded = recorded
        self._stops = (PIPELINE, *STOPS) if documents else STOPS
        usual = state.task_queue or settings.task_queue
        self._task_queue = f"{usual}-tour" if recorded else usual
        self._store = ContentStore.open(settings.store_url, settings.content_inline_bytes, seal=settings.seal())
        self._runs: dict[str, str] = {}

    async def run(self) -> bool:
        """Run all stops at once; returns whether every one succeeded."""
        self._board.say(f"\n{len(self._stops) + 2} runs at once, each a different pattern:", "bold")
        if self._recorded:
            self._board.say(NO_MODEL_ASKED, "bold yellow")
        try:
            async with AsyncExitStack() as tour:
                answers: Mapping[str, str] = {}
                if self._recorded:
                    answers = await tour.enter_async_context(recorded_answers(self._settings, self._state))
                opened = await tour.enter_async_context(shop(self._settings))
                await tour.enter_async_context(running(*self._workers(opened, answers)))
                return await self._show(opened)
        except (NotStartedError, OSError) as error:
            self._board.say(f"✗ the tour cannot begin: {error}", "bold red")
            return False

    def _workers(self, opened: Shop, answers: Mapping[str, str]) -> list[Part]:
        """Describe the tour's workers: of refunds, and of all else where answers are recorded; else the stack's works."""
        environment = {**local_environment(self._state.address), **opened.environment, **answers}
        workers = [refund_worker(self._settings, self._refunds, environment)]
        if self._recorded:
            ports = choose_ports(("worker health",), {}, {})
            program = (str(PROJECT / "worker.py"), "--task-queue", self._task_queue)
            workers.append(worker_part(self._settings, ports, *program, name="tour-worker", environment=environment))
        return workers

    @property
    def _refunds(self) -> str:
        return f"{REFUNDS}-tour"

    async def _show(self, opened: Shop) -> bool:
        refund = RefundStop(self._settings, self._client, self._state, self._board, opened, self._refunds)
        chat = ChatStop(self._settings, self._client, self._state, self._board, self._task_queue)
        good = await asyncio.gather(*(self._stop(stop, opened) for stop in self._stops), chat.run(), refund.run())
        if self._recorded and PLAN in self._runs:
            file = await self._report(self._runs[PLAN], opened.database.with_name("report.html"))
            self._board.say(f"The report of the plan, as 'starter.py report' writes it: {file}", "bold")
            self._board.say(NO_MODEL_ASKED, "bold yellow")
        return all(good)

    async def _stop(self, stop: Stop, opened: Shop) -> bool:
        kind = page_of(stop.workflow)
        began = datetime.now(UTC)
        handle: WorkflowHandle[object, BaseModel] = await self._client.start_workflow(
            stop.workflow,
            await stop.request(self._store, self._recorded),
            id=f"tour-{prefix_of(stop.workflow)}{'-asks' * stop.asks}-{began:%Y%m%d-%H%M%S}",
            task_queue=self._task_queue,
            result_type=kind.result,
            static_summary=f"Tour: {stop.title}",
        )
        self._runs[stop.workflow] = handle.id
        approving = asyncio.create_task(self._approve(handle, opened)) if self._recorded else None
        try:
            page = await kind.read(Reader(self._store, self._settings, handle.id), await handle.result())
        except WorkflowFailureError as error:
            self._board.say(f"✗ {stop.title}: {cause_of(error)}", "bold red")
            return False
        finally:
            if approving is not None:
                approving.cancel()
        asked = await self._asked(handle) if stop.asks else []
        headline = " ".join(page.headline.split())
        headline = headline if len(headline) <= SHOWN else f"{headline[: SHOWN - 1]}…"
        seconds = (datetime.now(UTC) - began).total_seconds()
        # Nothing is awaited between these lines: those of another stop would come between them.
        self._board.say(f"✓ {stop.title} ({seconds:.0f} s): {headline}", "green")
        self._board.say(
            "\n".join([*asked, f"    python starter.py {stop.command}", f"    {self._state.run_url(handle.id)}"])
        )
        return True

    @staticmethod
    async def _asked(handle: WorkflowHandle[object, BaseModel]) -> list[str]:
        """Return a line for each agent that another one has asked."""
        status: RunStatus = await handle.query("status", result_type=RunStatus)
        return [
            f"    step {step.within} asked {step.agent}{', in a run of its own' if step.run else ''}: {step.state}"
            for step in status.steps
            if step.within
        ]

    async def _approve(self, handle: WorkflowHandle[object, BaseModel], opened: Shop) -> None:
        """Approve what waits at gates, as a person would by the command line; the recorded answers decide what does."""
        while True:
            for gate in await open_gates(handle):
                self._board.say(
                    f"⏸ {gate.name} of {handle.id} waits for a person: {gate.description[:SHOWN]}", "yellow"
                )
                self._board.say(f"    python starter.py approve {handle.id}    # typed here in the name of {APPROVER}")
                try:
                    await approve(self._state, opened, handle.id, APPROVER)
                except NotApprovedError as error:
                    self._board.say(f"✗ {error}", "red")
            await asyncio.sleep(0.5)

    async def _report(self, run: str, file: Path) -> Path:
        """Write the HTML report of a run."""
        from outlast.cli.report.page import html
        from outlast.cli.report.reading import read_report

        report = await read_report(Reach(self._settings, self._client), run)
        await asyncio.to_thread(file.write_text, html(report, datetime.now(UTC)), encoding="utf-8")
        return file
