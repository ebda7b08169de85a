"""What holds at a gate of this deployment, and who sent a decision as far as that is proven.

The trap: a token in a signal is in history for whoever may read it. So what comes back here is the name that it proves, and its
number (`jti`), never the token.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from activities.contracts.actions import ArgumentsShown
from activities.contracts.base import Contract, Summary

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "AgentPattern": "Keyword",
    "AgentState": "Keyword",
    "PendingGate": "Keyword",
    "GateDeadline": "Datetime",
    "CostUsd": "Double",
}
"""The search attributes of our runs and their types; used only where all of them are registered."""


class GateTermsRequest(Contract):
    """Asks by which terms gates open in this deployment, and what is in the arguments at `ref`, if they are kept there."""

    ref: str | None = None


class GateTerms(Contract):
    """The terms by which a gate opens: recorded when it does, because workflow code can ask neither settings nor server.

    `channels` counts where people are told of it, `demands_token` whether decisions must be signed, `indexed` whether the search
    attributes are registered. `run` is the run id of the asking run: after a reset it tells gates opened before from those opened
    since. `arguments` are those that were asked for, None where the store did not give them.
    """

    channels: int = 0
    demands_token: bool = False
    indexed: bool = False
    run: str = ""
    arguments: ArgumentsShown | None = None


class IdentityRequest(Contract):
    """A decision's token and what it is used for; `at` is when it arrived.

    Only for a local activity, whose input is not recorded.
    """

    recorded: ClassVar[bool] = False

    token: str
    at: datetime
    run: str
    chain: str = ""
    """The first run id of the run: tells it from another run of the same workflow id."""
    gate: str = ""
    digest: str = ""
    verdict: str = ""
    edit: str = ""
    """The hash of the edited arguments; empty where nothing is edited."""


class Identity(Contract):
    """Who sent a decision, proven by its token, and the gate and action that the token is bound to; or `refused`, and why."""

    by: str = ""
    gate: str = ""
    digest: str = ""
    jti: str = ""
    expires: datetime | None = None
    refused: Summary = ""
