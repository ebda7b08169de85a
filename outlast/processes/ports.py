"""Taking a port that somebody asked for by an option; the message about one that cannot be had names the option and the fix."""

import errno
import socket

HIGHEST = 65_535


class PortError(Exception):
    """A port cannot be taken; the message names the options."""


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Take a port (0: a free one) at an address of this machine; raises PortError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]  # what follows says host and port once more
        raise PortError(f"--host {host} {option} {port}: {why}; {_fix(error)}") from error


def free_address(host: str, port: int, option: str) -> str:
    """Return the address `ip:port` for a server that takes no names, as that of the SDK's core; raises PortError."""
    with listen(host, port, option) as found:
        address, number = found.getsockname()[:2]
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _fix(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "choose another port, or end what listens there"
    if error.errno == errno.EACCES:
        return "choose a port from 1024 on"
    return "give an address of this machine, such as 127.0.0.1"
