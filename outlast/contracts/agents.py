"""Agents as a running execution sees them."""

from collections.abc import Mapping

from pydantic import Field

from outlast.contracts.base import Contract, Part


class Prices(Contract):
    """What the tokens of a model cost at most."""

    input: float
    """USD per million input tokens, in the dearest tier that a prompt may be charged by."""
    output: float
    """USD per million output tokens."""
    long_prompt: int | None = None
    """Tokens above which a prompt counts as long; None where the price does not depend on its length."""
    long_factor: float = 1.0
    """By how much the prices of a call with a long prompt are multiplied."""


class AgentCard(Contract):
    """An agent as a running execution sees it, resolved and recorded once at its start."""

    name: str
    """Name of the agent, by which plans and requests refer to it."""
    description: str
    """What it is good at, in words; planners choose agents by it."""
    model: str
    """The model's name in the API, with aliases resolved."""
    window: int
    """Context window of the model, in tokens."""
    max_tokens: int
    """Most tokens of one answer."""
    timeout: float
    """Time-out of one model call, in seconds."""
    system: Part
    """The system prompt, in the content store."""
    tools: tuple[str, ...] = ()
    """Names of the tools it may use, as its file lists them: also `mcp__server` and `*`."""
    temperature: float | None = None
    """Sampling temperature, from 0 to 1; None leaves it to the API."""
    attempts: int = 3
    """How often a call is tried before it fails."""
    continuations: int = 2
    """How often an answer that was cut off at its token limit is continued."""
    fallbacks: tuple[str, ...] = ()
    """Who is asked in turn when it fails: `NAME`, `NAME@MODEL`, `person` or `say:TEXT`."""
    web_searches: int = 0
    """How often it may search the web itself in one call; 0: not at all."""
    prices: Prices | None = None
    """What its model costs; None where that is not known, or the catalog was not asked to be `measured`."""
    system_bytes: int = 0
    """Size of the system prompt in bytes; 0 where the catalog was not asked to be `measured`."""
    without: tuple[str, ...] = ()
    """Tools that it may not use although `tools` names all of them, or all of a server."""
    model_class: str = ""
    """Class of its model, whose calls have a task queue of their own; empty where it is in none."""
    agents: tuple[str, ...] = ()
    """Names of the agents that it may ask, or hand its conversation over to."""
    handoffs: tuple[str, ...] = ()
    """Those of `agents` to whom it hands the conversation over."""


class CatalogRequest(Contract):
    """Which agents to read."""

    agents: tuple[str, ...] = ()
    """Names of the agents; empty means all."""
    known_only: bool = False
    """Whether names that no agent has are left out; otherwise they are refused."""
    measured: bool = False
    """Whether to give prices and sizes as well: runs with a budget need them, and others do not carry them."""
    on_models: tuple[str, ...] = ()
    """Agents that are wanted on another model as well, each as `AGENT@MODEL`."""


class Catalog(Contract):
    """The agents that a run may call."""

    agents: tuple[AgentCard, ...]
    """Their cards, sorted by name."""
    heartbeat: float = 10.0
    """Heartbeat time-out of their model calls, in seconds."""
    partial: bool = False
    """Whether names that were asked for may be missing."""
    unread: Mapping[str, str] = Field(default_factory=dict)
    """Why an agent is missing whose file cannot be read, by the name that a run would ask for."""
    webhooks: int = 0
    """Count of the addresses in WEBHOOK_URLS, which hear that the run ended."""

    def get(self, name: str) -> AgentCard | None:
        """Return the card of that name, or None."""
        return next((card for card in self.agents if card.name == name), None)
