"""Routing: requests in, each to exactly the handler that fits, answers out."""

from typing import Any, Literal

from pydantic import Field

from outlast.contracts import (
    ChangingResult,
    Content,
    Contract,
    Part,
    RunRequest,
    Summary,
)

Priority = Literal["low", "normal", "high", "urgent"]
GENERAL = "general_inquiry"
MAX_REQUESTS = 200
"""Requests of one run: with their answers, they must fit into one message of history."""


class Category(Contract):
    """A kind of request and who handles it."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    """Name of the category: letters, digits, `_` and `-`, at most 64."""
    agent: str
    """Name of the agent that handles it."""
    description: str
    """What belongs into it, for the routing model to read."""
    ticket: bool = False
    """Whether to open a ticket for people instead of answering alone."""
    input_schema: dict[str, Any] | None = None
    """JSON schema of an object that the routing model fills in when it picks this route; None: nothing."""
    alone: bool = False
    """Whether no other route may be picked beside it."""
    words: tuple[str, ...] = ()
    """Words that stand for the category where a small model scores words instead of writing."""


class RequestText(Contract):
    """One request of a person."""

    name: str
    """Names the request in the result."""
    text: Part
    """Its text, inline or by reference."""


class RouteRequest(RunRequest):
    """Requests to route and handle."""

    requests: tuple[RequestText, ...] = Field(min_length=1, max_length=MAX_REQUESTS)
    """The requests, from 1 to 200."""
    categories: tuple[Category, ...] = ()
    """Where they may go; empty: the default four."""
    general: str = GENERAL
    """Name of the category for requests that fit none, or none surely enough."""
    router: Literal["classifier", "trained", "llm"] = "classifier"
    """Who picks: a small fast model, a trained classifier, or the primary model by tool selection (`llm`)."""
    trained: str = ""
    """Key of the trained classifier in the content store; only for the router `trained`."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Confidence (0 to 1) below which a request goes to `general`."""
    max_parallel: int = Field(default=8, ge=1, le=200)
    """How many requests are handled at once."""


class Ticket(Contract):
    """What people get when a request is escalated."""

    title: Summary
    """What it is about, at most 200 characters."""
    priority: Priority = "high"
    """How urgent it is."""
    category: str = ""
    """Name of the category of the request."""
    request: Part = Part()
    """The request itself."""


class RouteAnswer(Contract):
    """What one handler answered."""

    category: str
    """Name of the category that the request was handled as."""
    agent: str
    """Name of the agent that answered."""
    content: Content | None = None
    """The answer; None where it failed."""
    ticket: Ticket | None = None
    """The ticket for people; None where the category opens none."""
    filled: Content | None = None
    """What the routing model filled in for it, as JSON; None: nothing."""
    error: str = ""
    """Why it failed; empty where it did not."""


class RouteOutcome(Contract):
    """What became of one request."""

    name: str
    """Name of the request."""
    category: str = ""
    """Name of the category it went to; empty where it went nowhere."""
    confidence: float | None = None
    """How sure the router was, from 0 to 1; None where it gave no number."""
    router: str = ""
    """Who picked: the router by name."""
    answers: tuple[RouteAnswer, ...] = ()
    """What each handler answered."""
    seconds: float = 0.0
    """Time from its start to its end, in seconds."""
    error: str = ""
    """Why it failed; empty where it did not."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""


class RouteResult(ChangingResult):
    """What became of all requests."""

    outcomes: tuple[RouteOutcome, ...]
    """Outcomes in the order of the requests."""
    report: Content
    """The step trace of the run, in the content store."""
