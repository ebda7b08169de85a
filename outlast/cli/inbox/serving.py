"""Runs the web inbox until it is stopped.

Without a secret anybody who reaches it may type any name. So then it serves this machine alone.
"""

from collections.abc import Sequence

from outlast.cli.inbox.app import Inbox
from outlast.cli.inbox.forms import LARGEST
from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.cli.reaching import Reach, reaching
from outlast.cli.web.serving import LOOPBACK, listen, loopback, serve


def serve_inbox(host: str, port: int, names: Sequence[str] = ()) -> None:
    """Serve the inbox; raises LeavingError naming the option that cannot be used. Port 0 takes a free one."""
    reaching(lambda reach: _serve(reach, host, port, names))


async def _serve(reach: Reach, host: str, port: int, names: Sequence[str]) -> None:
    secret = reach.settings.approver_secret
    if secret is None and not loopback(host):
        raise LeavingError(
            WRONG, f"--host {host}: without APPROVER_SECRET anybody could decide by any name; set it, or use 127.0.0.1"
        )
    listening = listen(host, port)
    inbox = Inbox(reach, secret.get_secret_value() if secret else "", (*LOOPBACK, host, *names))
    if not loopback(host):
        say("tokens go over the wire: put TLS before it, and give its name with --name")
    await serve(inbox.app(), listening, "inbox ready", host, 2 * LARGEST)
