"""Small web servers of the command line: where they listen, and that they say so."""

import ipaddress
import socket
from typing import Any

from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.processes import ports

MOST_CONNECTIONS = 64
ENDS_WITHIN = 3
"""Seconds in which clients that are being answered get the rest when the server ends."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Take a port (0: a free one); raises LeavingError naming the options."""
    try:
        return ports.listen(host, port)
    except ports.PortError as error:
        raise LeavingError(WRONG, str(error)) from error


async def serve(
    app: Any,
    listening: socket.socket,
    ready: str,
    host: str,
    largest: int,
    connections: int = MOST_CONNECTIONS,
) -> None:
    """Serve an ASGI app until it is stopped, bodies up to `largest` bytes; says `ready` and its address on stderr."""
    import uvicorn

    from outlast.cli.web.limits import limited

    config = uvicorn.Config(
        **limited(app, largest, connections),
        log_level="warning",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=ENDS_WITHIN,
    )
    shown = f"[{host}]" if ":" in host else host
    say(f"{ready}: http://{shown}:{listening.getsockname()[1]}/")
    await uvicorn.Server(config).serve(sockets=[listening])
