"""`starter.py route`: each request goes to the handler of its category; many at once from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.start.begin import StartOptions, given, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach
    from outlast.routing.requests import RequestText
    from outlast.storage.activities import ContentStore

Router = Literal["classifier", "trained", "llm"]
Classifier = Literal["small", "trained"]
INLINE_REQUESTS = 20
"""With more requests than these, their texts travel by reference, so that all of them fit into one message."""


@starts_run(without=("result_schema",))
def route(
    request: Annotated[str | None, typer.Argument(help="What somebody asks for.", metavar="REQUEST")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Many requests: a text file, one a line, or a .csv with a column text (- for stdin lines)."),
    ] = None,
    router: Annotated[
        Router | None,
        typer.Option(help="Who picks: a classifier (default), the trained one, or the primary model by tools (llm)."),
    ] = None,
    classifier: Annotated[
        Classifier | None, typer.Option(help="Which classifier: a small model (default), or the trained one.")
    ] = None,
    trained: Annotated[
        str | None, typer.Option(help="The trained classifier: the name or reference that train-router printed.")
    ] = None,
    categories: Annotated[
        Path | None, typer.Option(help="Your own categories, as JSON: a list of {name, agent, description, …}.")
    ] = None,
    general: Annotated[str | None, typer.Option(help="The category of whatever fits nowhere.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Below this confidence the general handler answers.", min=0, max=1)
    ] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Requests at the same time.", min=1, max=200)] = None,
    *,
    options: StartOptions,
) -> None:
    """Send REQUEST, or each request of a file, to the handler that fits.

    Each request fails alone. Exit code 1 if any of them failed.
    """
    from cli.start.requests import read_categories, read_requests, trained_reference
    from outlast.cli.kinds import REQUESTS
    from outlast.cli.reaching import reaching
    from outlast.routing.requests import RouteRequest

    chosen = _router(router, classifier, trained)
    read = read_requests(request, file)
    own = read_categories(categories) if categories else ()

    async def command(reach: "Reach") -> None:
        store = reach.store()
        asked = RouteRequest(
            requests=await _kept(store, read),
            router=chosen,
            trained=await trained_reference(store, trained, reach.settings.store_url) if chosen == "trained" else "",
            categories=own,
            **given(general=general, threshold=threshold, max_parallel=max_parallel),
            **options.request_fields(),
        )
        summary = " ".join(next(iter(read.values())).split()) if len(read) == 1 else f"{len(read)} requests"
        await options.begin(reach, REQUESTS, asked, summary=summary)

    reaching(command)


def _router(router: Router | None, classifier: Classifier | None, trained: str | None) -> Router:
    """Join the options that say who picks; raises LeavingError where they contradict each other."""
    wanted = {"small": "classifier", "trained": "trained"}.get(classifier or "")
    if router == "llm" and wanted:
        raise LeavingError(WRONG, "--router llm asks no classifier; leave --classifier out, or --router")
    if router == "trained" and wanted == "classifier":
        raise LeavingError(WRONG, "--router trained and --classifier small contradict each other; give one of them")
    trains = "trained" in (router, wanted)
    if trained is not None and not trains and (router or wanted):
        raise LeavingError(WRONG, "--trained names a trained classifier, but another router is asked for")
    if trains or trained is not None:
        return "trained"
    return "llm" if router == "llm" else "classifier"


async def _kept(store: "ContentStore", read: dict[str, str]) -> "tuple[RequestText, ...]":
    from outlast.contracts import Part
    from outlast.routing.requests import RequestText

    by_reference = len(read) > INLINE_REQUESTS
    return tuple(
        [
            RequestText(name=name, text=Part.of(await store.keep(text, by_reference=by_reference)))
            for name, text in read.items()
        ]
    )
