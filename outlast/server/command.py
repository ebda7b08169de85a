"""The commands `serve`, the HTTP API and the web pages, and `serve-token`, which makes a token for whoever uses it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.cli.leaving import WRONG, LeavingError, say

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach

CONNECTIONS = 1000
"""Most connections at once; each client that follows events holds one."""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to serve on; other than this machine's own needs SERVE_TOKENS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.", min=0, max=65535)] = 8288,
    name: Annotated[list[str] | None, typer.Option(help="A host name by which it is reached; repeatable.")] = None,
    workflow: Annotated[
        list[str] | None,
        typer.Option(help="A workflow of yours that can be started, as module:Class; repeatable.", metavar="CLASS"),
    ] = None,
    task_queue: Annotated[str, typer.Option(help="The task queue of these workflows. Default: TASK_QUEUE.")] = "",
) -> None:
    """Serve the HTTP API and the web pages: start runs, follow them, decide. Ctrl-C ends it; runs go on."""
    _register(workflow or (), task_queue)
    if not startable():
        say("no workflow can be started over HTTP here: name yours with --workflow module:Class")
    run_server(host, port, name or (), "server ready")


def serve_token(
    name: Annotated[str, typer.Argument(help="Who gets it: a person or a program.", metavar="NAME")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do: start, read, decide; repeatable. Default: read.")
    ] = None,
) -> None:
    """Make a token for the HTTP API. It is printed once; what SERVE_TOKENS takes holds only its hash."""
    from outlast.cli.printing import print_secret
    from outlast.server.access import Scope, new_token

    wrong = [each for each in scope or () if each not in tuple(Scope)]
    if wrong:
        raise LeavingError(WRONG, f"--scope {wrong[0]}: write start, read or decide")
    try:
        token, entry = new_token(name, [Scope(each) for each in scope or ("read",)])
    except ValueError as error:
        raise LeavingError(WRONG, f"NAME {error}") from error
    print_secret(token)
    say(
        f"for {name}, who sends it as 'Authorization: Bearer TOKEN'. Add to SERVE_TOKENS, by comma, and restart the server:"
    )
    say(entry)


def run_server(host: str, port: int, names: Sequence[str], ready: str) -> None:
    """Serve until it is stopped; raises LeavingError naming the option that cannot be used. Port 0 takes a free one."""
    from outlast.cli.reaching import reaching

    reaching(lambda reach: _serve(reach, host, port, names, ready))


async def _serve(reach: "Reach", host: str, port: int, names: Sequence[str], ready: str) -> None:
    from outlast.extras import require

    require("http", "the server")
    from outlast.cli.web.serving import LOOPBACK, listen, loopback
    from outlast.cli.web.serving import serve as run
    from outlast.server.app import LARGEST, Server

    settings = reach.settings
    # A name by which others reach it means a proxy before it, whose requests all come from this machine.
    given = [("host", host), *(("name", each) for each in names)]
    others = next((f"--{option} {each}" for option, each in given if not loopback(each)), "")
    if others and not settings.serve_tokens and settings.approver_secret is None:
        raise LeavingError(
            WRONG,
            f"{others}: without SERVE_TOKENS and APPROVER_SECRET anybody could use it by any name; set one of them, "
            "or use 127.0.0.1 alone",
        )
    listening = listen(host, port)
    server = Server(reach, (*LOOPBACK, host, *names), is_local=not others)
    if not loopback(host):
        say("tokens go over the wire: put TLS before it, and give its name with --name")
    try:
        await run(server.app(), listening, ready, host, LARGEST, connections=CONNECTIONS)
    finally:
        await server.aclose()


def startable() -> bool:
    """Whether a workflow is registered that a request over HTTP can start."""
    from outlast.cli.kinds import kinds

    return any(kind.request for kind in kinds())


def _register(workflows: Sequence[str], task_queue: str) -> None:
    import sys
    from importlib import import_module

    from outlast.cli.kinds import kind_of, register_kind

    sys.path.insert(0, "")
    for each in workflows:
        module, _, name = each.partition(":")
        try:
            register_kind(kind_of(getattr(import_module(module), name), task_queue))
        except (ImportError, AttributeError, ValueError) as error:
            raise LeavingError(WRONG, f"--workflow {each}: write module:Class ({error})") from error
