"""What the run of an agent that another one has asked is started with, and what it gives back."""

from collections.abc import Mapping

from pydantic import Field

from outlast.contracts import (
    Budget,
    Catalog,
    Changes,
    Content,
    Contract,
    Decided,
    GateState,
    Part,
    RunRequest,
    RunResult,
    Spend,
)


class DelegationRequest(RunRequest):
    """A task that one agent gives to another; the base holds what both runs share."""

    agent: str
    """Name of the agent that is asked."""
    parts: tuple[Part, ...]
    """What it is given: labelled parts are material, the other says what to do."""
    catalog: Catalog
    """The agents of the run that asks, as it has read them."""
    allowed: tuple[str, ...] = ()
    """Irreversible tools that whoever started the run has approved beforehand."""
    denied: tuple[GateState, ...] = ()
    """Gates of the run that asks at which people denied an action; it stays denied here."""
    decided: Decided = Decided()
    """What else people have decided that holds for all runs of the tree: approvals that stand, and those revoked."""
    asked_by: tuple[str, ...] = ()
    """Who asked for it beside the requester, and may not approve what it proposes either."""
    lent: Budget | None = None
    """What is set aside for it of the budget of the run that asks; None: that run has none."""


class Settled(Contract):
    """What the run that asks has to take over, however the other one ended."""

    changes: Changes = Changes()
    """What its tools changed, and what became of each change."""
    spend: Spend = Spend()
    """What its model calls cost."""
    denied: tuple[GateState, ...] = ()
    """Gates at which people denied an action of it."""
    decided: Decided = Decided()
    """What else people have decided there, or above, that holds for all runs of the tree."""
    raised: Mapping[str, float] = Field(default_factory=dict)
    """By how much people raised its budget: USD, tokens and calls, by name."""
    lacking: tuple[tuple[str, str, str], ...] = ()
    """Tools that its agents lacked: agent, tool, and the reason in words."""
    waited: float = 0.0
    """Seconds in which any of its gates was open."""
    asked: int = 0
    """How many agents its agents have asked."""


class DelegationResult(RunResult):
    """What the agent answered."""

    answer: Content
    """The answer."""
    agent: str = ""
    """Who answered in the end: the agent, or one of its fallbacks."""
    notes: tuple[str, ...] = ()
    """What happened on the way, in words."""
    settled: Settled = Settled()
    """What the run that asked has to take over."""


class DelegateRequest(Contract):
    """Names the run of an agent that was asked, or the one that asked it."""

    run: str
    """Its workflow id."""
    run_id: str = ""
    """Its run id; empty: the latest run of that id."""


class DelegateEnded(Contract):
    """How the run of an agent that was asked has ended."""

    result: DelegationResult | None = None
    """What it gave; None where it gave nothing."""
    error: str = ""
    """Why it failed; empty where it did not."""
    kind: str = ""
    """Kind of the failure (`ErrorKind`); empty where it was cancelled or terminated, or did not fail."""
    settled: Settled = Settled()
    """What is to be taken over."""
