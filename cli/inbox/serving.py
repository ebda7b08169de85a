"""Runs the web inbox until it is stopped.

The trap: without a secret anybody who reaches it may type any name. So then it serves this machine alone.
"""

import ipaddress
import socket
from collections.abc import Sequence

import uvicorn

from cli.inbox.app import Inbox
from cli.leaving import WRONG, LeavingError, say
from cli.reaching import Reach, reaching

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve_inbox(host: str, port: int, names: Sequence[str] = ()) -> None:
    """Serve the inbox; raises LeavingError naming the option that cannot be used. Port 0 takes a free one."""
    reaching(lambda reach: _serve(reach, host, port, names))


async def _serve(reach: Reach, host: str, port: int, names: Sequence[str]) -> None:
    secret = reach.settings.approver_secret
    if secret is None and not _loopback(host):
        raise LeavingError(
            WRONG, f"--host {host}: without APPROVER_SECRET anybody could decide by any name; set it, or use 127.0.0.1"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise LeavingError(WRONG, f"--host {host} --port {port}: {error.strerror or error}") from error
    inbox = Inbox(reach, secret.get_secret_value() if secret else "", (*LOOPBACK, host, *names))
    config = uvicorn.Config(inbox.app(), log_level="warning", lifespan="off", server_header=False)
    shown = f"[{host}]" if ":" in host else host
    say(f"inbox ready: http://{shown}:{listening.getsockname()[1]}/")
    if not _loopback(host):
        say("tokens go over the wire: put TLS before it, and give its name with --name")
    await uvicorn.Server(config).serve(sockets=[listening])


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
