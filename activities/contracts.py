"""What activities take and give back: everything here lands in event history.

The trap: running executions decode these models from old histories, so this file is a database schema. Fields are
added with a default and never renamed. Defaults are left out of the JSON, because every byte here is stored once
for each step of each run.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

SUMMARY_LENGTH = 200
"""Longest summary, in characters."""


class Contract(BaseModel):
    """A frozen message that ignores fields it does not know and writes only those that differ from their default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    recorded: ClassVar[bool] = True
    """Whether it lands in history; the size limit holds for those that do."""

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if not field.is_required() and getattr(self, name) == field.get_default(call_default_factory=True):
                data.pop(name, None)
        return data


Summary = Annotated[str, Field(max_length=SUMMARY_LENGTH)]


class Content(Contract):
    """A text by reference: short texts travel inline (`text`), longer ones in the content store (`ref`, sha-256).

    `size` is in bytes of UTF-8.
    """

    summary: Summary = ""
    size: int = 0
    media_type: str = "text/plain"
    text: str | None = None
    ref: str | None = None


class Part(Contract):
    """One piece of a message: inline text or a reference to it, labelled when it comes from somewhere (`step 2`)."""

    text: str | None = None
    ref: str | None = None
    label: str = ""

    @classmethod
    def of(cls, content: Content, label: str = "") -> "Part":
        """Point at a content without repeating its summary."""
        return cls(text=content.text, ref=content.ref, label=label)


class Message(Contract):
    """One turn of a conversation, made of parts in order."""

    parts: tuple[Part, ...]
    role: Literal["user", "assistant"] = "user"


class Usage(Contract):
    """Tokens of one model call, by price tier; `input_tokens` counts only those that no cache served."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class ToolSpec(Contract):
    """A tool the model may call: its name, what it does, and the JSON schema of its input."""

    name: str
    description: str
    input_schema: dict[str, Any]


class ToolCall(Contract):
    """A tool the model wants called, with the arguments it filled in."""

    id: str
    name: str
    input: Mapping[str, Any] = Field(default_factory=dict)


class StopReason(StrEnum):
    """Why the model stopped, in the Messages API's own words."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_USE = "tool_use"
    PAUSE_TURN = "pause_turn"
    REFUSAL = "refusal"
    CONTEXT_EXCEEDED = "model_context_window_exceeded"


class ModelRequest(Contract):
    """One Messages API call to make.

    `continues` names a partial answer (content reference) that the model shall finish; the turn then holds the whole.
    `context_characters` bounds the labelled parts: longer ones are cut evenly, and the turn says by how much.
    """

    agent: str
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


class ModelTurn(Contract):
    """What one call gave: text by reference, structured `data` where a schema was asked for, and what it cost.

    `schema_errors` lists how the answer breaks the wanted schema (empty: it matches; `data` is there as far as it is
    JSON). `model` is left empty when it is the one that was asked for. `usd` comes from the price table, `ms` is the
    time inside the activity.
    """

    content: Content
    stop_reason: StopReason = StopReason.END_TURN
    data: dict[str, Any] | None = None
    schema_errors: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    request_id: str = ""
    usd: float = 0.0
    ms: int = 0
    attempt: int = 1
    left_out_characters: int = 0


class ModelFailure(Contract):
    """Details that travel with a failed call's error: who refused, and what was paid all the same."""

    status: int | None = None
    request_id: str = ""
    model: str = ""
    usage: Usage = Usage()
    usd: float = 0.0


class AgentCard(Contract):
    """An agent as a running execution sees it, resolved and recorded once at its start.

    `model` is the API's name (aliases resolved), `window` its context in tokens, `timeout` seconds for one call,
    `attempts` how often a call is tried, `continuations` how often a cut-off answer is asked to go on, `system` the
    system prompt in the content store.
    """

    name: str
    description: str
    model: str
    window: int
    max_tokens: int
    timeout: float
    system: Part
    fallback: str | None = None
    tools: tuple[str, ...] = ()
    temperature: float | None = None
    attempts: int = 3
    continuations: int = 2


class CatalogRequest(Contract):
    """Which agents to read; empty means all."""

    agents: tuple[str, ...] = ()


class Catalog(Contract):
    """All agents a run may call, sorted by name, and the heartbeat time-out of its model calls in seconds."""

    agents: tuple[AgentCard, ...]
    heartbeat: float = 10.0

    def get(self, name: str) -> AgentCard | None:
        """Return the card of that name, or None."""
        return next((card for card in self.agents if card.name == name), None)


class StoreRequest(Contract):
    """A text to keep in the content store; `by_reference` keeps it out of history however short it is.

    Only for local activities, whose input is not recorded: so it may be larger than history could hold.
    """

    recorded: ClassVar[bool] = False

    text: str
    media_type: str = "text/plain"
    summary: Summary = ""
    by_reference: bool = False


class DocumentSource(Contract):
    """A file a person handed in: its name and its bytes in the content store (`size` in bytes)."""

    name: str
    ref: str
    size: int
    media_type: str = ""


class ExtractRequest(Contract):
    """A document to turn into text, in parts of at most `part_characters`."""

    document: DocumentSource
    part_characters: int


class ExtractedText(Contract):
    """A document's text, split at paragraph borders where it is longer than one part; `pages` where the format has them."""

    parts: tuple[Content, ...]
    characters: int
    media_type: str
    pages: int | None = None
