"""Ports of the stack: the one asked for, else the usual one, else the one of the last time, else a free one.

A free port from the system's own range can be lost for good, because a client that keeps reconnecting to a crashed
server from that same range may connect to itself. So ports are looked for below every system's range.
"""

import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress

HOST = "127.0.0.1"
USUAL = {"server": 7233, "ui": 8233}
"""Where the `temporal` command line and every guide look, so these are taken whenever they are free."""

ANY = 0
"""Asks for any free port but the usual one."""
RANGE = range(20_000, 30_000)
"""Below the ranges that Linux (32768) and macOS (49152) give to clients."""


class PortTakenError(Exception):
    """A port that was asked for is in use; the message names it and the fix."""


def is_free(port: int) -> bool:
    """Whether nothing listens on the port of the loopback, IPv6 included, and a server may bind it."""
    for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
        # A listener on all addresses, or on IPv6 alone, does not everywhere keep others from binding 127.0.0.1.
        with suppress(OSError), socket.socket(family) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((host, port)) == 0:
                return False
    with socket.socket() as probe:
        # Connections of the last server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_ports(
    names: tuple[str, ...],
    asked: Mapping[str, int | None],
    last: Mapping[str, int],
    usual: Mapping[str, int] = USUAL,
) -> dict[str, int]:
    """Choose a port for each name; raises PortTakenError for one that was asked for and is in use."""
    chosen: dict[str, int] = {}
    for name in names:
        port = asked.get(name)
        if port and (port in chosen.values() or not is_free(port)):
            raise PortTakenError(
                f"port {port} for the {name} is in use; choose another, or leave it out to get a free one"
            )
        preferred = (last.get(name),) if port == ANY else (usual.get(name), last.get(name))
        chosen[name] = port or _first_free(preferred, {*chosen.values(), *filter(None, asked.values())})
    return chosen


def _first_free(preferred: Iterable[int | None], taken: set[int]) -> int:
    for port in preferred:
        if port is not None and port not in taken and is_free(port):
            return port
    start = random.randrange(len(RANGE))  # noqa: S311 - spreads the stacks of several folders, guards nothing
    for step in range(len(RANGE)):
        port = RANGE[(start + step) % len(RANGE)]
        if port not in taken and is_free(port):
            return port
    raise PortTakenError(f"no port between {RANGE.start} and {RANGE.stop} is free")
