"""The command `inbox`: what waits for people in the whole namespace, as text, or with --serve as web pages."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.inbox_listing import WaitingGate


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
    indexed: Annotated[
        bool, typer.Option("--indexed", help="Read only what the index knows; for very large namespaces.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List all gates that wait for people, nearest deadline first. It needs no worker."""
    if serve:
        from cli.inbox.serving import serve_inbox

        serve_inbox(host, port, name or ())
        return
    from cli.inbox_listing import waiting_gates
    from cli.printing import plain, print_json
    from cli.reaching import reaching

    found = reaching(lambda reach: waiting_gates(reach, indexed=indexed))
    if as_json:
        print_json(
            [
                {"id": one.workflow_id, "run_id": one.run_id, "type": one.workflow_type, **plain(one.gate)}
                | {"turned_down": list(one.turned_down)}
                for one in found
            ]
        )
        return
    for line in _lines(found) or ["nothing waits for people"]:
        print(line)


def _lines(found: "list[WaitingGate]") -> list[str]:
    from datetime import UTC, datetime

    from cli.decisions import described
    from cli.pages import safe

    now = datetime.now(UTC)
    lines: list[str] = []
    for one in found:
        lines += [f"{one.workflow_id} · {line}" if not at else line for at, line in enumerate(described(one.gate, now))]
        lines += [f"  not taken: {why}" for why in one.turned_down]
        lines.append(f"  → starter.py approve {one.workflow_id} {one.gate.name}")
    return [safe(line) for line in lines]
