"""Takes what people send to the gates of a run: read, its token checked, and then in its turn held against the gates."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

from temporalio import workflow

from outlast.approvals import messages
from outlast.approvals.book import GateBook
from outlast.approvals.identity import Authentication
from outlast.contracts import Decision, GateRecord, Verdict
from outlast.workflow.activity_calls import is_recent


async def take(
    book: GateBook,
    authentication: Authentication,
    read: Decision | str,
    channel: str,
    taken: Callable[[GateRecord], None],
) -> GateRecord:
    """Take a message as it was read; never raises. `taken` is called with what came of it before the next one's turn."""
    came = workflow.now()
    # Its check begins at once, beside those of others; only what it says is taken in the order of arrival.
    identified = authentication.identified
    checking = asyncio.create_task(identified(read, came)) if isinstance(read, Decision) else None
    async with authentication.turn:
        checked = await checking if checking is not None else read
        if isinstance(checked, Decision):  # again, where the first gate's terms became known meanwhile
            checked = await identified(checked, came)
        at = book.no_earlier(came)
        if isinstance(read, str):
            record = book.unreadable(read, at, channel)
        elif isinstance(checked, str):
            record = book.refuse(read, checked, at)
        else:
            record = book.decide(checked, at)
        taken(record)
        return record


def read(arguments: Sequence[Any], implied: Verdict | None, channel: str, names: Collection[str]) -> Decision | str:
    """Read a message as this run reads such; `names` are the people whom a plain text may name."""
    decision = messages.read_decision(arguments, implied, channel, names)
    if isinstance(decision, Decision) and decision.lasts and not is_recent():
        return "it is about further calls, and this run began where nobody could decide on these"
    return decision
