"""`starter.py research`: several sources at once, one answer whose citations are checked."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.start.begin import StartOptions, given, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


class Kind(StrEnum):
    """The sources, as `outlast.contracts` names them; repeated here, because importing those is slow."""

    WEB = "web"
    ACADEMIC = "academic"
    NEWS = "news"
    LOCAL = "local"


@starts_run()
def research(
    topic: Annotated[str, typer.Argument(help="What to find out.", metavar="TOPIC")],
    source: Annotated[
        list[Kind] | None, typer.Option(help="Search this source; repeatable. Default: web, academic and news.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds for each source, its reading included.", min=0.1, max=3600)
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(help="Seconds for all sources together.", min=0.1, max=86_400)
    ] = None,
    min_sources: Annotated[int | None, typer.Option(help="How many sources must give findings.", min=1, max=10)] = None,
    findings: Annotated[int | None, typer.Option(help="Most findings of each source.", min=1, max=50)] = None,
    rounds: Annotated[
        int | None,
        typer.Option(help="How often what the writer misses is searched for as well.  [default: 1]", min=0, max=5),
    ] = None,
    *,
    options: StartOptions,
) -> None:
    """Research TOPIC in several sources at once.

    A source that is dead, slow or empty is a gap, named in the answer. Exit code 1 if too few sources gave findings.
    """
    from activities.search.contracts import SourceKind
    from outlast.cli.kinds import RESEARCH
    from outlast.cli.reaching import reaching
    from workflows.contracts.research import ResearchRequest, SourcePlan

    if not topic.strip():
        raise LeavingError(WRONG, "TOPIC: say what to find out")
    kinds = source or ([Kind.WEB, Kind.ACADEMIC, Kind.NEWS] if timeout is not None else [])
    request = ResearchRequest(
        topic=topic,
        sources=tuple(SourcePlan(source=SourceKind(kind), **given(timeout=timeout)) for kind in dict.fromkeys(kinds)),
        **given(deadline=deadline, min_sources=min_sources, findings_per_source=findings, more_rounds=rounds),
        **options.request_fields(),
    )

    async def command(reach: "Reach") -> None:
        summary = " ".join(topic.split())
        await options.begin(reach, RESEARCH, request, summary=summary)

    reaching(command)
