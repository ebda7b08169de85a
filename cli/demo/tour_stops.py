"""The stops of the tour: one small run of each pattern, and what a person would type to start one like it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import BaseModel

from activities.search.contracts import SourceKind
from cli import PROJECT
from outlast.agents.sessions import AgentSessionRequest, SessionLimits
from outlast.cli.kinds import CONSENSUS, DOCUMENTS, PLAN, REQUESTS, RESEARCH, SESSION, STAGED
from outlast.consensus.votes import ConsensusRequest
from outlast.contracts import Part, Plan, PlanRequest
from outlast.documents.contracts import DocumentSource
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import Stage, StagedRequest
from outlast.storage.activities import ContentStore
from workflows.contracts.documents import DocumentAnalysisRequest
from workflows.contracts.research import ResearchRequest, SourcePlan

SAMPLES = PROJECT / "samples"
LEASE = "legal-studio-lease.docx"
MINUTES = "general-garden-minutes.html"
QUESTION = "May the tenant sublet?"
LAUNCH = "Prepare the launch of the Fjordlys hub light."
PACKING = "Write a packing list for the trade fair into the workspace."
CAFE = (
    "May the tenant run a café in the rooms? The lease says: The tenant uses the rooms as a studio. "
    "Any other use needs the landlord's written consent, which is refused only for good reason."
)
SOURCES = (SourceKind.ACADEMIC, SourceKind.NEWS, SourceKind.LOCAL)
"""What research asks in a recorded tour; the first two are sample feeds there."""


@dataclass(frozen=True)
class Stop:
    """One pattern: the command that a person would type, and the run that shows it here."""

    title: str
    command: str
    workflow: str
    request: Callable[[ContentStore, bool], Awaitable[BaseModel]]
    """Makes the request; it may differ where answers are recorded, which the second argument says."""
    asks: bool = False
    """Whether its agent asks other agents: its steps are shown as well."""


async def _documents(store: ContentStore, _: bool) -> DocumentAnalysisRequest:
    return DocumentAnalysisRequest(documents=(await _document(store, LEASE), await _document(store, MINUTES)))


async def _plan(_: ContentStore, recorded: bool) -> PlanRequest:
    if recorded:
        return PlanRequest(task=LAUNCH)
    return PlanRequest(plan=Plan.model_validate(json.loads((SAMPLES / "plans" / "launch-brief.json").read_text())))


async def _consensus(store: ContentStore, _: bool) -> ConsensusRequest:
    return ConsensusRequest(question=QUESTION, document=await _document(store, LEASE))


async def _requests(store: ContentStore, _: bool) -> RouteRequest:
    lines = (SAMPLES / "requests" / "inbox.txt").read_text().splitlines()[:2]
    texts = {f"request {number}": Part.of(await store.keep(line)) for number, line in enumerate(lines, 1)}
    return RouteRequest(requests=tuple(RequestText(name=name, text=text) for name, text in texts.items()))


async def _research(_: ContentStore, recorded: bool) -> ResearchRequest:
    sources = tuple(SourcePlan(source=kind) for kind in SOURCES) if recorded else ()
    return ResearchRequest(topic="How efficient are heat pumps in winter?", findings_per_source=2, sources=sources)


async def _session(_: ContentStore, __: bool) -> AgentSessionRequest:
    return AgentSessionRequest(agent="file-clerk", task=PACKING, limits=SessionLimits(turns=6))


async def _asking(_: ContentStore, __: bool) -> AgentSessionRequest:
    return AgentSessionRequest(agent="counsel", task=CAFE, limits=SessionLimits(turns=6))


async def _staged(_: ContentStore, __: bool) -> StagedRequest:
    stages = (
        Stage(name="outline", goal="Three points that the text makes.", agents=("analyst",), max_steps=2, attempts=1),
        Stage(name="text", goal="Two sentences that make these points.", agents=("writer",), max_steps=2, attempts=1),
    )
    return StagedRequest(task="Say why a reusable lunch box pays off.", stages=stages)


async def _document(store: ContentStore, name: str) -> DocumentSource:
    data = await asyncio.to_thread((SAMPLES / "documents" / name).read_bytes)
    return DocumentSource(name=name, ref=await store.put(data), size=len(data))


PIPELINE = Stop(
    "document pipeline",
    f"document samples/documents/{LEASE} samples/documents/{MINUTES}",
    DOCUMENTS,
    _documents,
)
"""For the showcase: the demo analyses documents before the tour begins."""

STOPS = (
    Stop("plan, run as a graph", f'plan "{LAUNCH}"', PLAN, _plan),
    Stop("fixed stages", 'staged "Say why a reusable lunch box pays off."', STAGED, _staged),
    Stop("routing", "route --file samples/requests/inbox.txt", REQUESTS, _requests),
    Stop(
        "consensus of three",
        f'consensus samples/documents/{LEASE} --question "{QUESTION}" --option yes --option no --option unclear',
        CONSENSUS,
        _consensus,
    ),
    Stop("parallel research", 'research "How efficient are heat pumps in winter?"', RESEARCH, _research),
    Stop("agent with tools", f'agent file-clerk "{PACKING}"', SESSION, _session),
    Stop("agent that asks other agents", f'agent counsel "{CAFE}"', SESSION, _asking, asks=True),
)
