"""What the Messages API accepts, as far as a text model can use it, and its turns as plain text.

Unknown fields are ignored, so that a request written for the real API works unchanged; what cannot be honoured
(images, files) is refused by name rather than dropped.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Role = Literal["user", "assistant"]
BlockType = Literal["text", "tool_use", "tool_result", "document", "thinking", "redacted_thinking"]


def _as_blocks(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Block(_Frozen):
    """One content block of a message or of the system prompt; which fields it must have depends on `type`."""

    type: BlockType
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    tool_use_id: str = ""
    content: Annotated[list["Block"], BeforeValidator(_as_blocks)] = Field(default_factory=list)
    is_error: bool = False
    source: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "Block":
        wanted = {"text": "text", "tool_use": "name", "tool_result": "tool_use_id", "document": "source"}
        needed = wanted.get(self.type)
        if needed is not None and needed not in self.model_fields_set:
            raise ValueError(f"{self.type}.{needed}: Field required")
        if self.type == "document" and self.source.get("type") != "text":
            raise ValueError("document.source: the local model reads sources of type 'text' only")
        return self

    def as_text(self, names: dict[str, str]) -> str:
        """Return the block as text; `names` maps the ids of tool calls to tool names."""
        if self.type == "tool_use":
            return f"[call of {self.name}: {json.dumps(self.input, ensure_ascii=False)}]"
        if self.type == "tool_result":
            inner = "\n".join(block.as_text(names) for block in self.content)
            kind = "error" if self.is_error else "result"
            return f"[{kind} of {names.get(self.tool_use_id, 'the tool')}: {inner}]"
        if self.type == "document":
            return f"<document>\n{self.source.get('data', '')}\n</document>"
        return self.text  # empty for thinking, which the API drops from earlier turns too


Blocks = Annotated[list[Block], BeforeValidator(_as_blocks)]


class Message(_Frozen):
    """One turn."""

    role: Role
    content: Blocks


class Tool(_Frozen):
    """A tool as the caller describes it; `input_schema` is a JSON schema."""

    name: str
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=lambda: {"type": "object"})


class ToolChoice(_Frozen):
    """How tools may be used: `any` and `tool` force a call, `none` gets a plain text answer; for `auto` see `offered`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""


class OutputFormat(_Frozen):
    """The wanted form of the answer."""

    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(_Frozen):
    """Holder of `format`."""

    format: OutputFormat | None = None


class CountRequest(_Frozen):
    """Body of `POST /v1/messages/count_tokens`."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    system: Blocks = Field(default_factory=list)
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None

    @model_validator(mode="after")
    def _tools_exist(self) -> "CountRequest":
        kinds = {block.type for message in self.messages for block in message.content}
        if not self.tools and kinds & {"tool_use", "tool_result"}:
            raise ValueError("messages with tool_use or tool_result blocks need tools")
        choice = self.tool_choice
        if choice and choice.type in ("any", "tool") and not self.tools:
            raise ValueError(f"tool_choice: type '{choice.type}' needs tools")
        if choice and choice.type == "tool" and choice.name not in {tool.name for tool in self.tools}:
            raise ValueError(f"tool_choice: Tool '{choice.name}' not found in provided tools")
        return self

    def candidates(self) -> list[Tool]:
        """Return the tools of which one must be called; empty if the answer is text or JSON."""
        if self.tool_choice is None or self.tool_choice.type in ("auto", "none"):
            return []
        if self.tool_choice.type == "any":
            return self.tools
        return [tool for tool in self.tools if tool.name == self.tool_choice.name]

    def offered(self) -> list[Tool]:
        """Return the tools that may be called, as long as none has been: a model that cannot judge calls once, then answers."""
        if self.tool_choice is not None and self.tool_choice.type != "auto":
            return []
        called = any(block.type == "tool_result" for message in self.messages for block in message.content)
        return [] if called else self.tools

    def answer_schema(self) -> dict[str, Any] | None:
        """Return the JSON schema that the answer must match, if one was given."""
        wanted = self.output_config.format if self.output_config else None
        return wanted.schema_ if wanted else None

    def system_text(self) -> str:
        """Return the system prompt as one text."""
        return "\n\n".join(block.text for block in self.system if block.text)

    def turns(self) -> list[tuple[Role, str]]:
        """Return role and text of every turn, tool calls and results written out."""
        names = {block.id: block.name for message in self.messages for block in message.content if block.id}
        return [
            (message.role, "\n\n".join(filter(None, (block.as_text(names) for block in message.content))))
            for message in self.messages
        ]


class MessageRequest(CountRequest):
    """Body of `POST /v1/messages`. Without a temperature the likeliest answer is given: noise hurts a small model."""

    max_tokens: int = Field(ge=1)
    stream: bool = False
    temperature: float = Field(default=0.0, ge=0.0, le=1.0)
    top_p: float = Field(default=1.0, ge=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0)
    stop_sequences: list[str] = Field(default_factory=list)


class Usage(_Frozen):
    """Token counts; prompt tokens are the sum of `input_tokens` and `cache_read_input_tokens`."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0
