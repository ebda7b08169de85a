"""Agents as a running execution sees them."""

from collections.abc import Mapping

from pydantic import Field

from outlast.contracts.base import Contract, Part


class Prices(Contract):
    """What the tokens of a model cost at most, in USD per million.

    `input` is the dearest of the tiers that a prompt may be charged by. A prompt over `long_prompt` tokens costs `long_factor`
    times as much.
    """

    input: float
    output: float
    long_prompt: int | None = None
    long_factor: float = 1.0


class AgentCard(Contract):
    """An agent as a running execution sees it, resolved and recorded once at its start.

    `model` is the API's name (aliases resolved), `window` its context in tokens, `timeout` seconds for one call,
    `attempts` how often a call is tried, `continuations` how often a cut-off answer is asked to go on, `system` the
    system prompt in the content store. `fallbacks` are asked in turn when it fails: an agent's name (`writer@haiku` is
    the writer on another model), `person` or `say:TEXT`.
    `prices` (None: not known) and `system_bytes` are there where the catalog was asked to be `measured`. `without` are tools
    that it may not use although `tools` names all of them, or all of a server.
    """

    name: str
    description: str
    model: str
    window: int
    max_tokens: int
    timeout: float
    system: Part
    tools: tuple[str, ...] = ()
    temperature: float | None = None
    attempts: int = 3
    continuations: int = 2
    fallbacks: tuple[str, ...] = ()
    web_searches: int = 0
    prices: Prices | None = None
    system_bytes: int = 0
    without: tuple[str, ...] = ()


class CatalogRequest(Contract):
    """Which agents to read; empty means all. With `known_only`, names that no agent has are left out and not refused.

    `measured` asks for prices and sizes as well: runs with a budget need them, and others do not carry them.
    """

    agents: tuple[str, ...] = ()
    known_only: bool = False
    measured: bool = False


class Catalog(Contract):
    """All agents a run may call, sorted by name, and the heartbeat time-out of its model calls in seconds.

    `partial` says that names which were asked for may be missing, `unread` why an agent is not here whose file cannot be read,
    by the name that a run would ask for.
    """

    agents: tuple[AgentCard, ...]
    heartbeat: float = 10.0
    partial: bool = False
    unread: Mapping[str, str] = Field(default_factory=dict)

    def get(self, name: str) -> AgentCard | None:
        """Return the card of that name, or None."""
        return next((card for card in self.agents if card.name == name), None)
