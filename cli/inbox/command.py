"""The command `inbox`: what waits for people, as a table, or with --serve as web pages."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.reaching import Reach


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(inbox)


def inbox(
    serve: Annotated[bool, typer.Option("--serve", help="Serve it as web pages, where people decide.")] = False,
    host: Annotated[
        str, typer.Option(help="Address to serve on; other than this machine's own needs APPROVER_SECRET.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.", min=0, max=65535)] = 8288,
    name: Annotated[list[str] | None, typer.Option(help="A host name by which people reach it; repeatable.")] = None,
) -> None:
    """Show what waits for people, nearest deadline first."""
    if serve:
        from cli.inbox.serving import serve_inbox

        serve_inbox(host, port, name or ())
        return
    from cli.reaching import reaching

    reaching(_listed)


async def _listed(reach: "Reach") -> None:
    from datetime import UTC, datetime

    from rich.text import Text

    from activities.contracts import SHORT_DIGEST
    from cli.inbox.pages import left
    from cli.inbox.waiting import waiting_gates
    from cli.pages import row, show, table

    waiting, now = await waiting_gates(reach), datetime.now(UTC)
    if not waiting:
        show([Text("nothing waits for people")])
        return
    made = table("run", "gate", "what", "risk", "digest", "time")
    for one in waiting:
        gate, digest = one.gate, one.gate.digest[:SHORT_DIGEST]
        row(made, one.workflow_id, gate.name, gate.description, str(gate.risk), digest, left(gate.deadline, now))
    show([made])
