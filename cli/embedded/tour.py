"""The tour after the demo: one small run of each other pattern, all at once, and a line on what came of each.

The trap: one small model answers all of them, one call at a time, so the samples are as small as they can be.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio.client import Client, WorkflowFailureError

from activities.content import ContentStore
from activities.contracts import DocumentSource, Part
from bootstrap import PROJECT, Settings
from cli.embedded.board import Board
from cli.embedded.state import StackState
from cli.embedded.tour_refund import RefundStop
from cli.leaving import cause_of
from cli.reaching import CONSENSUS, PLAN, REQUESTS, RESEARCH, SESSION, STAGED
from cli.results import KINDS, Reader
from workflows.contracts import (
    AgentSessionRequest,
    ConsensusRequest,
    Plan,
    PlanRequest,
    RequestText,
    ResearchRequest,
    RouteRequest,
    SessionLimits,
    Stage,
    StagedRequest,
)

SAMPLES = PROJECT / "samples"
SHOWN = 150
QUESTION = "What is this text about?"


@dataclass(frozen=True)
class Stop:
    """One pattern: what a person would type, and the run that shows it here."""

    title: str
    command: str
    workflow: str
    request: Callable[[ContentStore], Awaitable[BaseModel]]


async def _plan(_: ContentStore) -> PlanRequest:
    return PlanRequest(plan=Plan.model_validate(json.loads((SAMPLES / "plans" / "launch-brief.json").read_text())))


async def _consensus(store: ContentStore) -> ConsensusRequest:
    file = SAMPLES / "documents" / "general-garden-minutes.html"
    data = await asyncio.to_thread(file.read_bytes)
    document = DocumentSource(name=file.name, ref=await store.put(data), size=len(data))
    return ConsensusRequest(question=QUESTION, document=document, options=("meeting", "sale", "court"))


async def _requests(store: ContentStore) -> RouteRequest:
    lines = (SAMPLES / "requests" / "inbox.txt").read_text().splitlines()[:2]
    texts = {f"request {number}": Part.of(await store.keep(line)) for number, line in enumerate(lines, 1)}
    return RouteRequest(requests=tuple(RequestText(name=name, text=text) for name, text in texts.items()))


async def _research(_: ContentStore) -> ResearchRequest:
    return ResearchRequest(topic="How efficient are heat pumps in winter?", findings_per_source=2)


async def _session(_: ContentStore) -> AgentSessionRequest:
    task = "List the files of the workspace."
    return AgentSessionRequest(agent="file-clerk", task=task, limits=SessionLimits(turns=2))


async def _staged(_: ContentStore) -> StagedRequest:
    stages = (
        Stage(name="outline", goal="Three points that the text makes.", agents=("analyst",), max_steps=1, attempts=1),
        Stage(name="text", goal="Two sentences that make these points.", agents=("writer",), max_steps=1, attempts=1),
    )
    return StagedRequest(task="Say why a reusable lunch box pays off.", stages=stages)


STOPS = (
    Stop("plan, run as a graph", "plan --plan samples/plans/launch-brief.json", PLAN, _plan),
    Stop("fixed stages", 'staged "Say why a reusable lunch box pays off."', STAGED, _staged),
    Stop("routing", "route --file samples/requests/inbox.txt", REQUESTS, _requests),
    Stop(
        "consensus of three",
        f'consensus samples/documents/general-garden-minutes.html --question "{QUESTION}" '
        "--option meeting --option sale --option court",
        CONSENSUS,
        _consensus,
    ),
    Stop("parallel research", 'research "How efficient are heat pumps in winter?"', RESEARCH, _research),
    Stop("agent with tools", 'agent file-clerk "List the files of the workspace."', SESSION, _session),
)


class Tour:
    """One tour, on a stack that runs."""

    def __init__(self, settings: Settings, client: Client, state: StackState, board: Board) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._board = board
        self._store = ContentStore.open(settings.store_url, settings.content_inline_bytes)

    async def run(self) -> bool:
        """Run all stops at once; returns whether every one succeeded."""
        self._board.say(f"\nThe other patterns, {len(STOPS) + 1} runs at once:", "bold")
        refund = RefundStop(self._settings, self._client, self._state, self._board)
        return all(await asyncio.gather(*map(self._stop, STOPS), refund.run()))

    async def _stop(self, stop: Stop) -> bool:
        kind = KINDS[stop.workflow]
        began = datetime.now(UTC)
        handle = await self._client.start_workflow(
            stop.workflow,
            await stop.request(self._store),
            id=f"tour-{kind.prefix}-{began:%Y%m%d-%H%M%S}",
            task_queue=self._state.task_queue or self._settings.task_queue,
            result_type=kind.result,
            static_summary=f"Tour: {stop.title}",
        )
        try:
            page = await kind.read(Reader(self._store, self._settings, handle.id), await handle.result())
        except WorkflowFailureError as error:
            self._board.say(f"✗ {stop.title}: {cause_of(error)}", "bold red")
            return False
        said = " ".join(page.headline.split())
        said = said if len(said) <= SHOWN else f"{said[: SHOWN - 1]}…"
        seconds = (datetime.now(UTC) - began).total_seconds()
        self._board.say(f"✓ {stop.title} ({seconds:.0f} s): {said}", "green")
        self._board.say(f"    python starter.py {stop.command}\n    {self._state.run_url(handle.id)}")
        return True
