"""One model call: what is asked, what came back, and what it cost."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from outlast.contracts.base import Content, Contract, Part


class ToolAnswer(Contract):
    """The result of one tool call, as the model gets it."""

    id: str
    """Id of the tool call that it answers, as the model gave it."""
    content: Part
    """What the tool returned, or its error as text."""
    failed: bool = False
    """Whether the tool failed."""


class Message(Contract):
    """One turn of a conversation."""

    parts: tuple[Part, ...] = ()
    """The texts of the turn, in order."""
    role: Literal["user", "assistant"] = "user"
    """Who wrote it."""
    answers: tuple[ToolAnswer, ...] = ()
    """Results of the tool calls in the turn before."""
    blocks: Part | None = None
    """An assistant's turn as the API gave it (JSON list): thinking and tool calls must go back unchanged."""


class Usage(Contract):
    """Tokens of one model call, by price tier."""

    input_tokens: int = 0
    """Input tokens that no cache served."""
    output_tokens: int = 0
    """Tokens that the model wrote."""
    cache_read_tokens: int = 0
    """Input tokens that were read from the provider's cache."""
    cache_write_tokens: int = 0
    """Input tokens that were written to the provider's cache."""

    @property
    def tokens(self) -> int:
        """All tokens together."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def plus(self, other: "Usage") -> "Usage":
        """Add two usages."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


class ToolSpec(Contract):
    """A tool the model may call, as the API is given it."""

    name: str
    """Name by which the model calls it."""
    description: str
    """What the tool does, for the model to read."""
    input_schema: dict[str, Any]
    """JSON schema (of an object) of its arguments."""
    wrapped: str = ""
    """The property under which all arguments stand, where the API does not take the tool's own schema; empty: none."""
    renamed: Mapping[str, str] = Field(default_factory=dict)
    """Arguments that the model knows by another name than the tool: our name to its own."""


class ToolCall(Contract):
    """A tool that the model wants called."""

    id: str
    """Id of the call, as the model gave it; the answer names it."""
    name: str
    """Name of the tool."""
    input: Mapping[str, Any] = Field(default_factory=dict)
    """The arguments it filled in; empty where they are in the content store."""
    ref: str | None = None
    """Large arguments as JSON in the content store, in place of `input`."""


class StopReason(StrEnum):
    """Why the model stopped, in the Messages API's own words."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_USE = "tool_use"
    PAUSE_TURN = "pause_turn"
    REFUSAL = "refusal"
    CONTEXT_EXCEEDED = "model_context_window_exceeded"


CUT_NOTE = "the answer is cut off at its token limit"
"""How the note of a step ends whose last call stopped at MAX_TOKENS or CONTEXT_EXCEEDED."""
TAKEN_NOTE = "taken over from"
"""How a note on a step begins whose answer is that of the run before, which this one was forked from."""


SMALL_MODEL_HINT = "x-small-model-hint"
"""Keyword of a schema whose text helps a small model to choose; only models whose row of the table has `hints` are sent it."""


class ModelRequest(Contract):
    """One Messages API call to make."""

    agent: str
    """Name of the agent that asks."""
    step: str = ""
    """The step of the run that the call is made for."""
    number: int = 0
    """How many model calls the step had made before."""
    run: str = ""
    """Run id that the run began with: after a reset it has another one, and what was paid before is not paid again."""
    model: str
    """The model's name in the API."""
    messages: tuple[Message, ...]
    """The conversation, or what follows `transcript`, oldest first."""
    max_tokens: int
    """Most tokens of the answer."""
    system: Part | None = None
    """The system prompt; None: none."""
    output_schema: dict[str, Any] | None = None
    """JSON schema that the answer shall fit; None: free text."""
    tools: tuple[ToolSpec, ...] = ()
    """The tools that the model may call."""
    tool_choice: Literal["auto", "any", "none"] = "auto"
    """Whether it may, must or must not call a tool."""
    temperature: float | None = None
    """Sampling temperature, from 0 to 1; None leaves it to the API."""
    continues: Part | None = None
    """A partial answer that the model shall finish; the turn then holds the whole."""
    context_characters: int | None = None
    """Most characters of the labelled parts together: longer ones are cut evenly. None: no limit."""
    transcript: str | None = None
    """Key in the content store of the conversation before `messages`; None: there is none."""
    keeps_transcript: bool = False
    """Whether the turn returns the transcript that holds all of the conversation."""
    toolset: Part | None = None
    """More `tools`, as a JSON list in the content store."""
    web_searches: int = 0
    """How often the model may search the web itself; 0: not at all."""
    reserved: int | None = None
    """Tokens of a prompt that the run's budget allows: a longer one is not sent, and fails with ReservationShort."""
    stream: bool = False
    """Whether the call publishes what the model writes to the run's stream, while it does."""
    attempts: int = 3
    """How often the call itself may fail; an outage of the provider or the store does not count."""
    broke: int = 0
    """How many attempts broke off after they were paid, before room for another one was reserved: they count among `attempts`."""
    has_fallback: bool = False
    """Whether another agent can answer, so that an outage of the provider is waited for only briefly."""
    shared_parts: int = 0
    """How many first parts of the first message other calls share: the provider caches them."""


class ModelTurn(Contract):
    """What one call gave, and what it cost."""

    content: Content
    """The text of the answer."""
    stop_reason: StopReason = StopReason.END_TURN
    """Why the model stopped."""
    data: dict[str, Any] | None = None
    """The answer as JSON where a schema was asked for, as far as it could be read; None otherwise."""
    schema_errors: tuple[str, ...] = ()
    """How the answer breaks the wanted schema, in words; empty: it matches."""
    leniently: str = ""
    """What of the answer was read otherwise than written; empty: nothing."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The tools that the model wants called, in order."""
    usage: Usage = Usage()
    """Tokens of the call."""
    model: str = ""
    """Name of the model that answered; empty where it is the one that was asked for."""
    request_id: str = ""
    """The provider's id of the request, for their support."""
    usd: float = 0.0
    """Cost of the call in USD, by the price table."""
    ms: int = 0
    """Time inside the activity, in milliseconds."""
    attempt: int = 1
    """Which attempt of the activity succeeded, from 1 on."""
    left_out_characters: int = 0
    """Characters of labelled parts that were cut to fit; 0: nothing was."""
    transcript: str | None = None
    """Key in the content store of the whole conversation, where it was to be kept."""
    findings: Part | None = None
    """What the model found on the web itself: a JSON list of titles, addresses and texts. None: nothing."""
    wasted: Usage = Usage()
    """Tokens of earlier attempts of the call, on top of `usage`."""
    wasted_usd: float = 0.0
    """Cost of earlier attempts of the call in USD, on top of `usd`."""
    prompt_bound: int = 0
    """Most tokens that its prompt could have had, where budget was reserved; 0 otherwise."""

    @property
    def whole(self) -> bool:
        """Whether the model ended its answer by itself."""
        return self.stop_reason in (StopReason.END_TURN, StopReason.STOP_SEQUENCE)


class ModelFailure(Contract):
    """Details that travel with a failed call's error: who refused, and what was paid all the same."""

    status: int | None = None
    """HTTP status of the refusal; None where there was no answer."""
    request_id: str = ""
    """The provider's id of the request, for their support; empty where there was none."""
    model: str = ""
    """Name of the model that was asked."""
    usage: Usage = Usage()
    """Tokens of all attempts."""
    usd: float = 0.0
    """Cost of all attempts, in USD."""
    needed: int = 0
    """Tokens that the budget must reserve for the prompt of a call that was not sent; 0 for any other failure."""
    away: bool = False
    """Whether this attempt met an outage of the provider, and cost nothing."""


STREAM_TOPIC = "text"
"""The topic of a run's stream on which calls publish."""


class Streamed(Contract):
    """How far a running call is, and the end of its text.

    Each attempt begins anew, so that a watcher can tell a text that goes on from one that was sent twice.
    """

    characters: int = 0
    """Characters of the answer so far."""
    attempt: int = 1
    """Which attempt of the call this is, from 1 on."""
    start: int = 0
    """At which character of the answer `text` begins, from 0 on."""
    text: str = ""
    """The end of the text so far, from `start` on."""
    call: str = ""
    """Id of the activity, where pieces of several calls come in one stream."""
