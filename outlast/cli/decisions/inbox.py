"""The command `inbox`: what waits for people in the whole namespace, as text, or with --serve as web pages."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from outlast.cli.decisions.listing import WaitingGate, WaitingQuestion
    from outlast.cli.reaching import Reach

PAGE = 20
"""Gates and questions on one page."""


def inbox(
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it as web pages, where people decide: the same as 'serve'.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(help="Address to serve on; other than this machine's own needs APPROVER_SECRET or SERVE_TOKENS."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.", min=0, max=65535)] = 8288,
    name: Annotated[list[str] | None, typer.Option(help="A host name by which people reach it; repeatable.")] = None,
    indexed: Annotated[
        bool,
        typer.Option("--indexed", help="Read only what the index knows, which is gates; for very large namespaces."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(help="How many on one page. Default: 20, with --json all.", min=1)
    ] = None,
    page: Annotated[int, typer.Option(help="Which page, from 1: later deadlines.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List all gates and questions that wait for people, nearest deadline first. It needs no worker."""
    if serve:
        from outlast.server.command import run_server

        run_server(host, port, name or (), "inbox ready")
        return
    from outlast.cli.decisions.listing import WaitingGate, waiting_for_people
    from outlast.cli.printing import plain, print_json
    from outlast.cli.reaching import reaching
    from outlast.client import web_ui_of

    async def command(reach: "Reach") -> "tuple[list[WaitingGate | WaitingQuestion], str]":
        ui = web_ui_of(reach.settings).rstrip("/")
        pages = f"{ui}/namespaces/{reach.client.namespace}/workflows/{{}}" if ui else ""
        return await waiting_for_people(reach, indexed=indexed), pages

    waiting, ui = reaching(command)
    size = limit or (max(1, len(waiting)) if as_json else PAGE)
    found = waiting[(page - 1) * size : page * size]
    if as_json:
        print_json(
            [
                {"id": one.workflow_id, "run_id": one.run_id, "type": one.workflow_type}
                | (
                    {**plain(one.gate), "turned_down": list(one.turned_down)}
                    if isinstance(one, WaitingGate)
                    else {"question": plain(one.question)}
                )
                for one in found
            ]
        )
        return
    for line in _lines(found, ui):
        print(line)
    pages = max(1, -(-len(waiting) // size))
    if not waiting:
        print("nothing waits for people")
    elif pages > 1 or not found:
        print(f"page {page} of {pages}, {len(waiting)} wait in all" + _onwards(page, pages))


def _onwards(page: int, pages: int) -> str:
    if page > pages:
        return f": there is no page {page}; the last is --page {pages}"
    return f"; later deadlines: --page {page + 1}" if page < pages else ""


def _lines(found: "list[WaitingGate | WaitingQuestion]", ui: str) -> list[str]:
    from datetime import UTC, datetime
    from urllib.parse import quote

    from outlast.cli.decisions.listing import WaitingGate
    from outlast.cli.decisions.sending import described
    from outlast.cli.rendering import answering, approving, safe, seconds

    now = datetime.now(UTC)
    lines: list[str] = []
    for one in found:
        if not isinstance(one, WaitingGate):
            asked = one.question
            lines.append(f"{one.workflow_id} · {asked.id} asks: {asked.text}")
            if asked.deadline is not None:
                left = seconds((asked.deadline - now).total_seconds())
                lines.append(f"  {left} left, until {asked.deadline:%Y-%m-%d %H:%M:%S} UTC")
            lines.append(f"  → {answering(one.workflow_id, asked.id)}")
            continue
        lines += [f"{one.workflow_id} · {line}" if not at else line for at, line in enumerate(described(one.gate, now))]
        lines += [f"  not taken: {why}" for why in one.turned_down]
        lines += [f"  Web UI: {ui.format(quote(one.workflow_id, safe=''))}"] if ui else []
        lines.append(f"  → {approving(one.workflow_id, one.gate.name)}")
    return [safe(line) for line in lines]
