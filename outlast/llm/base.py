"""What any model behind the agents must do, and the table of models: names, windows, prices.

A `ModelCall` is complete (texts, not references), so an implementation needs nothing but its client.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from outlast.contracts import Prices, StopReason, ToolCall, ToolSpec, Usage

TOKENS_PER_MILLION = 1_000_000

CHARACTERS_PER_TOKEN = 4
"""How many characters of an answer count as one token where the provider has not reported the number."""

TEXT_KEPT = 4096
"""How many characters of a running answer's end are kept for watchers."""


@dataclass(frozen=True)
class ModelCall:
    """One call with all texts resolved; `messages` are (role, text) pairs, oldest first.

    `history` comes before them: messages in the API's own form, with tool calls, their results and thinking.
    `web_searches` is how often the provider may search the web while it answers. `shared` is how many characters at the
    beginning of the first message other calls have as well.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    system: str = ""
    output_schema: dict[str, Any] | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "any", "none"] = "auto"
    temperature: float | None = None
    history: tuple[dict[str, Any], ...] = ()
    web_searches: int = 0
    shared: int = 0
    agent: str = ""
    """The name of the agent that asks; no provider is sent it."""


@dataclass(frozen=True)
class ModelReply:
    """The model's answer, why it stopped, and what it used; `blocks` is the answer in the API's own form."""

    text: str
    stop_reason: StopReason
    usage: Usage
    model: str
    request_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    blocks: tuple[dict[str, Any], ...] = ()

    def content(self) -> list[dict[str, Any]]:
        """Return the answer as content blocks, made from text and tool calls where the provider gave none."""
        if self.blocks:
            return list(self.blocks)
        text = [{"type": "text", "text": self.text}] if self.text.strip() else []
        calls = [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.input)}
            for call in self.tool_calls
        ]
        return [*text, *calls]


@dataclass
class Progress:
    """How far a running call is: characters received and the usage known so far (paid even if the call breaks off).

    `counted` says that the usage is the provider's final count. `text` is the end of the `readable`
    characters of what people can read of the answer so far, tool calls left out.
    """

    characters: int = 0
    readable: int = 0
    text: str = ""
    usage: Usage = field(default_factory=Usage)
    counted: bool = False

    def received(self, text: str) -> None:
        """Count a piece of the answer."""
        self.characters += len(text)

    def received_text(self, text: str) -> None:
        """Count a piece of the answer that people can read, and keep it for watchers."""
        self.received(text)
        self.readable += len(text)
        self.text = (self.text + text)[-TEXT_KEPT:]

    def paid(self) -> Usage:
        """Return what a call that breaks off now has cost: the API tells output tokens only at the end, so they are estimated."""
        if self.counted:
            return self.usage
        tokens = max(self.usage.output_tokens, self.characters // CHARACTERS_PER_TOKEN)
        return self.usage.model_copy(update={"output_tokens": tokens})


class LLM(Protocol):
    """Answers one call; raises only ApplicationErrors named in `outlast.errors`."""

    async def answer(self, call: ModelCall, progress: Progress) -> ModelReply:
        """Make the call and return the whole reply."""
        ...


class ModelSpec(BaseModel):
    """One row of the table: limits in tokens, prices in USD per million tokens.

    A prompt of more than `long_prompt` tokens costs `long_factor` times as much in every tier. `thinking` is added to an
    agent's own token limit, because what a model thinks before it answers counts towards it. `temperature` and
    `forced_tools` say whether the model takes that parameter and the tool choice "any". `continuations` is how often an
    answer that met its token limit is asked to go on. `web_search` says whether the provider can search the web for it.
    `cache_from` is the shortest prompt, in tokens, whose beginning the provider keeps in its cache. `hints` says whether it is
    sent what schemas hold for small models alone. `bedrock` and `vertex` are its names there, where they differ from its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: int = 200_000
    max_output: int = 8192
    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    long_prompt: int | None = None
    long_factor: float = 1.0
    thinking: int = 0
    temperature: bool = False
    forced_tools: bool = True
    continuations: int = 2
    web_search: bool = False
    cache_from: int = 1024
    hints: bool = False
    bedrock: str = ""
    vertex: str = ""

    def caches(self, characters: int) -> bool:
        """Whether the provider keeps a beginning of so many characters in its cache; without a price for it, it has none."""
        return self.cache_read > 0 and characters >= self.cache_from * CHARACTERS_PER_TOKEN

    @property
    def prices(self) -> Prices | None:
        """What its tokens cost at most, as a running execution reckons with it; None where the table has no price."""
        if not (self.input or self.output):
            return None
        return Prices(
            input=max(self.input, self.cache_read, self.cache_write),
            output=self.output,
            long_prompt=self.long_prompt,
            long_factor=self.long_factor,
        )


Provider = Literal["anthropic", "bedrock", "vertex"]


class ModelClass(BaseModel):
    """Models whose calls share one limit of their provider: they have a task queue of their own, for all workers together.

    `models` are aliases or names. `per_second` is how many calls all workers together begin in a second; without it, as many
    as they take. `concurrent` is how many calls each worker process makes at the same time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = ()
    per_second: float | None = Field(default=None, gt=0)
    concurrent: int = Field(default=100, ge=1, le=10_000)


ClassName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A class's name is part of the name of its task queue, and an argument of `worker.py --model-class`."""


class ModelTable(BaseModel):
    """Which model an alias means, what each model can do and costs, and which of them share a limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aliases: dict[str, str] = Field(default_factory=dict)
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    classes: dict[ClassName, ModelClass] = Field(default_factory=dict)
    only: str | None = None
    provider: Provider = "anthropic"

    @model_validator(mode="after")
    def _has_each_model_in_one_class(self) -> "ModelTable":
        found: dict[str, str] = {}
        if "none" in self.classes:
            raise ValueError("a class cannot be named none: 'worker.py --model-class none' means no class")
        for name, limits in self.classes.items():
            for model in map(self._meant, limits.models):
                if found.setdefault(model, name) != name:
                    raise ValueError(f"{model} is in two classes, {found[model]} and {name}; leave it in one")
        return self

    def resolve(self, name: str) -> str:
        """Turn an alias into a model's name; other names stay, unless `only` one model is served.

        An alias may name another one, so that MODEL_ALIASES='{"opus": "sonnet"}' means what it says.
        """
        return self.only or self._meant(name)

    def class_of(self, name: str) -> str:
        """Return the class of an alias or a model, "" where it is in none."""
        model = self._meant(name)
        found = (each for each, limits in self.classes.items() if model in map(self._meant, limits.models))
        return next(found, "")

    def _meant(self, name: str) -> str:
        seen: set[str] = set()
        while name in self.aliases and name not in seen:
            seen.add(name)
            name = self.aliases[name]
        return name

    def spec(self, model: str) -> ModelSpec:
        """Return the row of a model; a model that is not in the table gets default limits and no price."""
        row = self.models.get(model, ModelSpec())
        # Bedrock has no tools that run on Anthropic's servers.
        return row.model_copy(update={"web_search": False}) if self.provider == "bedrock" and row.web_search else row

    def name_sent(self, model: str) -> str:
        """Return what the provider calls a model."""
        row = self.models.get(model, ModelSpec())
        return {"bedrock": row.bedrock, "vertex": row.vertex}.get(self.provider, "") or model

    def usd(self, model: str, usage: Usage) -> float:
        """Price a call in USD, to the millionth."""
        row = self.spec(model)
        total = (
            usage.input_tokens * row.input
            + usage.output_tokens * row.output
            + usage.cache_read_tokens * row.cache_read
            + usage.cache_write_tokens * row.cache_write
        )
        prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if row.long_prompt is not None and prompt > row.long_prompt:
            total *= row.long_factor
        return round(total / TOKENS_PER_MILLION, 6)
