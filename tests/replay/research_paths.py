"""The paths of parallel research: with which sources, and how the scripted model behaves on the way."""

from collections.abc import Callable, Mapping
from typing import Any

from activities.search.contracts import SourceKind
from activities.search.sources.base import Source
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from tests.replay.path import Path
from tests.workflow.choosing.researching import (
    Given,
    cannot_search,
    citing,
    hit,
    is_synthesis,
    missing,
    searching_itself,
)
from tests.workflow.conftest import Runner
from workflows.contracts.research import ResearchRequest, SourcePlan
from workflows.parallel_research import ParallelResearchWorkflow

RUN = ParallelResearchWorkflow.run
WEB, ACADEMIC, NEWS, LOCAL = SourceKind.WEB, SourceKind.ACADEMIC, SourceKind.NEWS, SourceKind.LOCAL


def research(
    given: Callable[[], Mapping[SourceKind, Source]],
    script: Callable[[], Script] = lambda: citing,
    *,
    cancel: bool = False,
    local: bool = True,
    **fields: Any,
) -> Path:
    async def request(runner: Runner) -> ResearchRequest:
        return ResearchRequest.model_validate({"topic": "How efficient are heat pumps?"} | fields)

    return Path(RUN, request, script, cancel, local, given)


def found(**changes: Given) -> Callable[[], Mapping[SourceKind, Source]]:
    """Give one finding in each source, apart from the changes."""
    every: dict[SourceKind, Source] = {kind: Given((hit(f"From {kind}"),)) for kind in SourceKind}
    return lambda: every | {SourceKind(name): source for name, source in changes.items()}


def gone() -> Given:
    return Given(error=lambda: non_retryable(ErrorKind.SOURCE_UNAVAILABLE, "it answered 404"))


def inventing(call: ModelCall) -> str:
    return "Good [W1]. Invented [W7]." if is_synthesis(call) else "note [W1]"


def without_readers(call: ModelCall) -> str:
    if is_synthesis(call):
        return "From the abstract [A1]."
    raise non_retryable(ErrorKind.MODEL_REJECTED, "no")


def without_synthesiser(call: ModelCall) -> str:
    if is_synthesis(call) or "What do these notes" in call.messages[0][1]:
        raise non_retryable(ErrorKind.MODEL_NOT_FOUND, "no such model")
    return "note"


def only(*kinds: SourceKind, **seconds: float) -> tuple[SourcePlan, ...]:
    return tuple(SourcePlan(source=kind, timeout=seconds.get(kind.value, 60.0)) for kind in kinds)


RESEARCH_PATHS: dict[str, Path] = {
    "research-three-sources": research(found()),
    "research-second-round": research(found(), lambda: missing, sources=only(WEB, NEWS)),
    "research-one-dead-one-late": research(found(web=gone(), news=Given((hit("Late"),), seconds=30)), deadline=2.0),
    "research-own-time": research(found(news=Given((hit("Late"),), seconds=30)), sources=only(WEB, NEWS, news=1.0)),
    "research-local-asked-for": research(found(), sources=only(LOCAL)),
    "research-falls-back-to-local": research(found(web=gone(), academic=gone(), news=Given())),
    "research-too-few": research(found(web=gone(), academic=Given(), local=Given()), min_sources=2),
    "research-citation-to-nothing": research(found(), lambda: inventing, sources=only(WEB)),
    "research-unread-findings": research(found(), lambda: without_readers, sources=only(ACADEMIC)),
    "research-synthesiser-fails": research(found(), lambda: without_synthesiser, sources=only(WEB)),
    "research-long-topic": research(found(), topic="How efficient are heat pumps in winter? " * 60, sources=only(WEB)),
    "research-source-twice": research(found(), sources=only(WEB, WEB)),
    "research-by-a-model": research(
        found(web=cannot_search()), lambda: searching_itself, local=False, sources=only(WEB)
    ),
    "research-cancelled": research(found(web=Given(seconds=600)), cancel=True),
}
