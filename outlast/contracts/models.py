"""One model call: what is asked, what came back, and what it cost."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from outlast.contracts.base import Content, Contract, Part


class ToolAnswer(Contract):
    """The result of one tool call, as the model gets it."""

    id: str
    content: Part
    failed: bool = False


class Message(Contract):
    """One turn of a conversation, made of parts in order.

    `answers` are the results of the tool calls in the turn before; `blocks` refers to an assistant's turn as the API gave
    it (a JSON list of content blocks), because thinking and tool calls must go back unchanged.
    """

    parts: tuple[Part, ...] = ()
    role: Literal["user", "assistant"] = "user"
    answers: tuple[ToolAnswer, ...] = ()
    blocks: Part | None = None


class Usage(Contract):
    """Tokens of one model call, by price tier; `input_tokens` counts only those that no cache served."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

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
    """A tool the model may call: its name, what it does, and the JSON schema of its input.

    Where the tool's own schema is none that a model can be given, its arguments stand under one property (`wrapped`), or are
    called otherwise (`renamed`: our name to its own).
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    wrapped: str = ""
    renamed: Mapping[str, str] = Field(default_factory=dict)


class ToolCall(Contract):
    """A tool the model wants called, with the arguments it filled in; large ones lie in the content store (`ref`, JSON)."""

    id: str
    name: str
    input: Mapping[str, Any] = Field(default_factory=dict)
    ref: str | None = None


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


SMALL_MODEL_HINT = "x-small-model-hint"
"""Keyword of a schema whose text helps a small model to choose; only models whose row of the table has `hints` are sent it."""


class ModelRequest(Contract):
    """One Messages API call to make.

    `continues` names a partial answer (content reference) that the model shall finish; the turn then holds the whole.
    `context_characters` bounds the labelled parts: longer ones are cut evenly, and the turn says by how much.
    `transcript` is the conversation before `messages`; with `keeps_transcript` the turn returns the transcript that holds all
    of it. `toolset` refers to more `tools`, and `web_searches` is how often the model may search the web by itself.
    `reserved` is how many tokens of a prompt the run's budget allows: a longer one is not sent, and fails with
    ReservationShort. With `stream` the call publishes to the run's stream what the model writes, while it does.
    `attempts` is how often the call itself may fail; what is an outage of the provider or the store does not count. With
    `has_fallback`, an outage of the provider is waited for only briefly, because another agent can answer.
    `shared_parts` is how many parts at the beginning of the first message other calls have as well, at about the same time:
    the provider reads them from its cache.
    """

    agent: str
    step: str = ""
    """The step of the run that the call is made for."""
    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    system: Part | None = None
    output_schema: dict[str, Any] | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "any", "none"] = "auto"
    temperature: float | None = None
    continues: Part | None = None
    context_characters: int | None = None
    transcript: str | None = None
    keeps_transcript: bool = False
    toolset: Part | None = None
    web_searches: int = 0
    reserved: int | None = None
    stream: bool = False
    attempts: int = 3
    has_fallback: bool = False
    shared_parts: int = 0


class ModelTurn(Contract):
    """What one call gave: text by reference, structured `data` where a schema was asked for, and what it cost.

    `schema_errors` lists how the answer breaks the wanted schema (empty: it matches; `data` is there as far as it is
    JSON), and `leniently` says what of it was read otherwise than written. `model` is left empty when it is the one that
    was asked for. `usd` comes from the price table, `ms` is the time inside the activity. `transcript` is the whole
    conversation where it was to be kept, `findings` what the model found on the web by itself (a JSON list of titles,
    addresses and texts). `wasted` and `wasted_usd` are what earlier attempts of the call cost on top, `prompt_bound` how
    many tokens its prompt could have had at most, where budget was reserved.
    """

    content: Content
    stop_reason: StopReason = StopReason.END_TURN
    data: dict[str, Any] | None = None
    schema_errors: tuple[str, ...] = ()
    leniently: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    request_id: str = ""
    usd: float = 0.0
    ms: int = 0
    attempt: int = 1
    left_out_characters: int = 0
    transcript: str | None = None
    findings: Part | None = None
    wasted: Usage = Usage()
    wasted_usd: float = 0.0
    prompt_bound: int = 0

    @property
    def whole(self) -> bool:
        """Whether the model ended its answer by itself."""
        return self.stop_reason in (StopReason.END_TURN, StopReason.STOP_SEQUENCE)


class ModelFailure(Contract):
    """Details that travel with a failed call's error: who refused, and what was paid all the same, by all attempts.

    `needed` is how many tokens the budget must reserve for the prompt of a call that was not sent. `away` says that
    this attempt met an outage of the provider, and cost nothing.
    """

    status: int | None = None
    request_id: str = ""
    model: str = ""
    usage: Usage = Usage()
    usd: float = 0.0
    needed: int = 0
    away: bool = False


STREAM_TOPIC = "text"
"""The topic of a run's stream on which calls publish."""


class Streamed(Contract):
    """How far a running call is: `characters` of answer so far, and the end of its text, from character `start` on.

    Each attempt begins anew, so that a watcher can tell a text that goes on from one that was sent twice. `call` is the
    activity's id, where pieces of several calls come in one stream.
    """

    characters: int = 0
    attempt: int = 1
    start: int = 0
    text: str = ""
    call: str = ""
