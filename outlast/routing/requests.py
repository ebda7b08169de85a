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
    """A kind of request and who handles it; `ticket` opens a ticket for people instead of answering alone.

    `input_schema` (JSON schema of an object) is what the routing model fills in when it picks this route as a tool;
    `alone` forbids other routes beside it. `words` stand for the category where a small model scores words instead of writing.
    """

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    agent: str
    description: str
    ticket: bool = False
    input_schema: dict[str, Any] | None = None
    alone: bool = False
    words: tuple[str, ...] = ()


class RequestText(Contract):
    """One request of a person: its text, inline or by reference."""

    name: str
    text: Part


class RouteRequest(RunRequest):
    """Requests to route and handle; no categories means the default four.

    `router` is who picks: a small fast model (`classifier`), a trained classifier that needs no model call (`trained`, with
    its content reference in `trained`), or the primary model by tool selection (`llm`). Below `threshold` (0 to 1) the
    request goes to `general`.
    """

    requests: tuple[RequestText, ...] = Field(min_length=1, max_length=MAX_REQUESTS)
    categories: tuple[Category, ...] = ()
    general: str = GENERAL
    router: Literal["classifier", "trained", "llm"] = "classifier"
    trained: str = ""
    threshold: float = Field(default=0.5, ge=0, le=1)
    max_parallel: int = Field(default=8, ge=1, le=200)


class Ticket(Contract):
    """What people get when a request is escalated."""

    title: Summary
    priority: Priority = "high"
    category: str = ""
    request: Part = Part()


class RouteAnswer(Contract):
    """What one handler answered; `filled` is what the routing model filled in for it."""

    category: str
    agent: str
    content: Content | None = None
    ticket: Ticket | None = None
    filled: Content | None = None
    error: str = ""


class RouteOutcome(Contract):
    """What became of one request: where it went, by whom and how surely, and every handler's answer."""

    name: str
    category: str = ""
    confidence: float | None = None
    router: str = ""
    answers: tuple[RouteAnswer, ...] = ()
    seconds: float = 0.0
    error: str = ""
    notes: tuple[str, ...] = ()


class RouteResult(ChangingResult):
    """Outcomes in the order of the requests."""

    outcomes: tuple[RouteOutcome, ...]
    report: Content
