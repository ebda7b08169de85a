"""The tour: one small run of each other pattern, all at once, and a line on what came of each.

Where the local model would answer, and in the showcase, the answers are recorded ones: 135 million parameters say nothing about
what the patterns are good for. All runs of such a tour are on the task queue of the tour's own worker, which asks nobody else.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.search.contracts import SourceKind
from cli import PROJECT
from cli.demo.tour_refund import NotApprovedError, RefundStop, approve, open_gates
from cli.demo.tour_shop import Shop, ShopClosedError, shop
from outlast.agents.sessions import AgentSessionRequest, SessionLimits
from outlast.cli.kinds import CONSENSUS, PLAN, REQUESTS, RESEARCH, SESSION, STAGED, page_of, prefix_of
from outlast.cli.leaving import cause_of
from outlast.cli.reaching import Reach
from outlast.cli.results import Reader
from outlast.client import Settings
from outlast.consensus.votes import ConsensusRequest
from outlast.contracts import Part, Plan, PlanRequest
from outlast.devstack.board import Board
from outlast.devstack.state import StackState
from outlast.documents.contracts import DocumentSource
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import Stage, StagedRequest
from outlast.storage.activities import ContentStore
from workflows.contracts.research import ResearchRequest, SourcePlan

SAMPLES = PROJECT / "samples"
SHOWN = 150
QUESTION = "May the tenant sublet?"
LAUNCH = "Prepare the launch of the Fjordlys hub light."
PACKING = "Write a packing list for the trade fair into the workspace."
APPROVER = "Ann"
SOURCES = (SourceKind.ACADEMIC, SourceKind.NEWS, SourceKind.LOCAL)
"""What research asks in a recorded tour; the first two are sample feeds then."""
NOBODY_ASKED = "Recorded answers, no model was asked. With ANTHROPIC_API_KEY set, 'make demo' asks Claude instead."


@dataclass(frozen=True)
class Stop:
    """One pattern: what a person would type, and the run that shows it here; it may differ where answers are `recorded`."""

    title: str
    command: str
    workflow: str
    request: Callable[[ContentStore, bool], Awaitable[BaseModel]]


async def _plan(_: ContentStore, recorded: bool) -> PlanRequest:
    if recorded:
        return PlanRequest(task=LAUNCH)
    return PlanRequest(plan=Plan.model_validate(json.loads((SAMPLES / "plans" / "launch-brief.json").read_text())))


async def _consensus(store: ContentStore, _: bool) -> ConsensusRequest:
    file = SAMPLES / "documents" / "legal-studio-lease.docx"
    data = await asyncio.to_thread(file.read_bytes)
    document = DocumentSource(name=file.name, ref=await store.put(data), size=len(data))
    return ConsensusRequest(question=QUESTION, document=document)


async def _requests(store: ContentStore, _: bool) -> RouteRequest:
    lines = (SAMPLES / "requests" / "inbox.txt").read_text().splitlines()[:2]
    texts = {f"request {number}": Part.of(await store.keep(line)) for number, line in enumerate(lines, 1)}
    return RouteRequest(requests=tuple(RequestText(name=name, text=text) for name, text in texts.items()))


async def _research(_: ContentStore, recorded: bool) -> ResearchRequest:
    sources = tuple(SourcePlan(source=kind) for kind in SOURCES) if recorded else ()
    return ResearchRequest(topic="How efficient are heat pumps in winter?", findings_per_source=2, sources=sources)


async def _session(_: ContentStore, __: bool) -> AgentSessionRequest:
    return AgentSessionRequest(agent="file-clerk", task=PACKING, limits=SessionLimits(turns=6))


async def _staged(_: ContentStore, __: bool) -> StagedRequest:
    stages = (
        Stage(name="outline", goal="Three points that the text makes.", agents=("analyst",), max_steps=2, attempts=1),
        Stage(name="text", goal="Two sentences that make these points.", agents=("writer",), max_steps=2, attempts=1),
    )
    return StagedRequest(task="Say why a reusable lunch box pays off.", stages=stages)


STOPS = (
    Stop("plan, run as a graph", f'plan "{LAUNCH}"', PLAN, _plan),
    Stop("fixed stages", 'staged "Say why a reusable lunch box pays off."', STAGED, _staged),
    Stop("routing", "route --file samples/requests/inbox.txt", REQUESTS, _requests),
    Stop(
        "consensus of three",
        f'consensus samples/documents/legal-studio-lease.docx --question "{QUESTION}" '
        "--option yes --option no --option unclear",
        CONSENSUS,
        _consensus,
    ),
    Stop("parallel research", 'research "How efficient are heat pumps in winter?"', RESEARCH, _research),
    Stop("agent with tools", f'agent file-clerk "{PACKING}"', SESSION, _session),
)


class Tour:
    """One tour, on a stack that runs; `recorded` says whether its answers are."""

    def __init__(
        self, settings: Settings, client: Client, state: StackState, board: Board, *, recorded: bool = False
    ) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._board = board
        self._recorded = recorded
        self._store = ContentStore.open(settings.store_url, settings.content_inline_bytes)
        self._runs: dict[str, str] = {}

    async def run(self) -> bool:
        """Run all stops at once; returns whether every one succeeded."""
        self._board.say(f"\n{len(STOPS) + 1} runs at once, each a different pattern:", "bold")
        if self._recorded:
            self._board.say(NOBODY_ASKED, "bold yellow")
        try:
            async with AsyncExitStack() as running:
                more = {}
                if self._recorded:
                    from cli.demo.showcase import recorded_answers

                    more = dict(await running.enter_async_context(recorded_answers(self._settings, self._state)))
                opened = await running.enter_async_context(shop(self._settings, self._state, more))
                return await self._show(opened)
        except (ShopClosedError, OSError) as error:
            self._board.say(f"✗ the tour cannot begin: {error}", "bold red")
            return False

    async def _show(self, opened: Shop) -> bool:
        refund = RefundStop(self._settings, self._client, self._state, self._board)
        good = await asyncio.gather(*(self._stop(stop, opened) for stop in STOPS), refund.run(opened))
        if self._recorded and PLAN in self._runs:
            file = await self._report(self._runs[PLAN], opened.database.with_name("report.html"))
            self._board.say(f"The report of the plan, as 'starter.py report' writes it: {file}", "bold")
            self._board.say(NOBODY_ASKED, "bold yellow")
        return all(good)

    async def _stop(self, stop: Stop, opened: Shop) -> bool:
        kind = page_of(stop.workflow)
        began = datetime.now(UTC)
        usual = self._state.task_queue or self._settings.task_queue
        handle: WorkflowHandle[object, BaseModel] = await self._client.start_workflow(
            stop.workflow,
            await stop.request(self._store, self._recorded),
            id=f"tour-{prefix_of(stop.workflow)}-{began:%Y%m%d-%H%M%S}",
            task_queue=opened.task_queue if self._recorded else usual,
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
        said = " ".join(page.headline.split())
        said = said if len(said) <= SHOWN else f"{said[: SHOWN - 1]}…"
        seconds = (datetime.now(UTC) - began).total_seconds()
        self._board.say(f"✓ {stop.title} ({seconds:.0f} s): {said}", "green")
        self._board.say(f"    python starter.py {stop.command}\n    {self._state.run_url(handle.id)}")
        return True

    async def _approve(self, handle: WorkflowHandle[object, BaseModel], opened: Shop) -> None:
        """Approve what waits at gates, as a person would by the command line; only what recorded answers ask for comes here."""
        while True:
            for gate in await open_gates(handle):
                self._board.say(
                    f"⏸ {gate.name} of {handle.id} waits for a person: {gate.description[:SHOWN]}", "yellow"
                )
                try:
                    await approve(self._state, opened, handle.id, APPROVER)
                    self._board.say(
                        f"    python starter.py approve {handle.id}    # typed here in the name of {APPROVER}"
                    )
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
