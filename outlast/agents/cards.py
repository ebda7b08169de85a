"""The agents of one run as their files describe them, and their tools: each read once, recorded, and never read again.

A running execution must never see a changed agent or tool. So cards are read before the first agent is asked, the tools of an
agent when it is first asked, and both stay what they were.
"""

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches

from outlast.agents.catalog_activities import CatalogActivities
from outlast.agents.delegation.deciding import Deciding
from outlast.agents.outcomes import Outcomes
from outlast.approvals.pausing import unpaused
from outlast.contracts import (
    AgentCard,
    AgentTool,
    Catalog,
    CatalogRequest,
    RunRequest,
    ToolAnswer,
    ToolCall,
    ToolCard,
    Toolset,
    ToolsetRequest,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.tools.activities import ToolActivities
from outlast.undo.acts import Acts, Attempt
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import is_recent, run_activity, run_local
from outlast.workflow.context import RunContext


class AgentCards:
    """The agents that the run `run` may ask, and the tools that they may use.

    `request` is what the run was started with, `allowed` are irreversible tools that were approved beforehand.
    """

    def __init__(self, run: RunContext, request: RunRequest | None = None, allowed: Sequence[str] = ()) -> None:
        self.run = run
        self.request = request or RunRequest()
        self.allowed = tuple(allowed)
        self.asked_before = 0
        self.set_aside = 0
        self.sharing = 0
        self.catalog = Catalog(agents=())
        self.acts = Acts(run.undo.change)
        self.outcomes = Outcomes()
        self.deciding = Deciding(run)
        self._is_read = False
        self._toolsets: dict[tuple[tuple[str, ...], ...], Toolset] = {}
        self._reading = asyncio.Lock()

    async def read(self, names: Sequence[str] = (), *, known_only: bool = False, awaited: bool = False) -> Catalog:
        """Read agents, in place of those read before; done without names where an agent is asked before this was called.

        Args:
            names: The agents to read, which keeps all others out of the run's history; none means all.
            known_only: Leave out names that nobody has, instead of raising.
            awaited: Whether an update waits for it: such must not wait for a local activity (docs/decisions.md).

        Raises:
            ApplicationError: CatalogInvalid where no agent can be read, UnknownAgent for a name that nobody has.
        """
        others = self.outcomes.agents
        on_models = tuple(name for name in others if "@" in name)
        if names:
            names = list(dict.fromkeys((*names, *(name.partition("@")[0] for name in others))))
        asked = CatalogRequest(
            agents=tuple(names), known_only=known_only, measured=self.run.budget.limited, on_models=on_models
        )

        async def read() -> Catalog:
            if awaited and is_recent():
                return await run_activity(CatalogActivities.read_catalog, asked, **policies.read_catalog())
            return await run_local(CatalogActivities.read_catalog, asked, **policies.local_call("read the agents"))

        self.catalog = await journal.once(f"agents {journal.digest(asked)}", Catalog, read, of_run=True)
        self.run.state.heartbeat = self.catalog.heartbeat
        self.run.state.webhooks = self.catalog.webhooks
        self.run.budget.knows(self.catalog)
        self._is_read = True
        return self.catalog

    async def ready(self) -> None:
        """Read all agents, unless some were read before."""
        if not self._is_read:
            async with self._reading:
                if not self._is_read:
                    await self.read()

    def take_over(self, catalog: Catalog) -> None:
        """Take the agents as the run has read them that this one is part of."""
        self.catalog, self._is_read = catalog, True
        self.run.state.heartbeat = catalog.heartbeat
        self.run.state.webhooks = catalog.webhooks
        self.run.budget.knows(catalog)

    @property
    def asked(self) -> int:
        """How many agents were asked by others, in this run and in those below it, and how many those at work may ask."""
        return self.asked_before + self.set_aside + sum(1 for row in self.run.state.steps.values() if row.within)

    def count_anew(self) -> None:
        """Let agents ask as many others as at first: a conversation of weeks would run out of them."""
        self.asked_before -= self.asked - self.set_aside

    async def delegate(
        self, step: str, asker: str, card: ToolCard, call: ToolCall, attempt: Attempt | None
    ) -> tuple[ToolAnswer, str]:
        """Have another agent do a task for the one that works at a step; returns its answer, and a note ("" for nothing)."""
        raise NotImplementedError

    def card(self, agent: str) -> AgentCard:
        """Return an agent's card; raises UnknownAgent with the names that exist."""
        card = self.catalog.get(agent)
        if card is None:
            names = ", ".join(card.name for card in self.catalog.agents)
            why = f" ({self.catalog.unread[agent]})" if agent in self.catalog.unread else ""
            meant = get_close_matches(agent, [card.name for card in self.catalog.agents], 1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            raise non_retryable(ErrorKind.UNKNOWN_AGENT, f"there is no agent {agent!r}{why}{hint}; there are {names}")
        return card

    def cheaper(self, card: AgentCard) -> AgentCard:
        """Return the same agent on a cheaper model that its fallbacks name, once the run shall save."""
        for link in card.fallbacks if self.run.budget.soft and card.prices else ():
            other = self.catalog.get(link) if link.startswith(f"{card.name}@") else None
            if other and other.prices and card.prices and other.prices.output < card.prices.output:
                return other
        return card

    def adopt(self, card: AgentCard, toolset: Toolset) -> None:
        """Take over the tools that an earlier part of this run has read."""
        self._toolsets[_own(card)] = toolset
        self.run.state.tools.lacks(card.name, toolset.missing, toolset.notices)

    def read_toolset(self, card: AgentCard) -> Toolset | None:
        """Return the tools of an agent as far as they have been read."""
        return self._toolsets.get(_own(card))

    async def toolset(self, card: AgentCard) -> Toolset:
        """Return the tools of an agent, read when it is first asked for."""
        names = _own(card)
        async with self._reading:
            if names not in self._toolsets:
                self._toolsets[names] = await self._read_toolset(card)
            toolset = self._toolsets[names]
            self.run.state.tools.lacks(card.name, toolset.missing, toolset.notices)
            return toolset

    async def _read_toolset(self, card: AgentCard) -> Toolset:
        found = [self.catalog.get(name) for name in card.agents]
        agents = [
            AgentTool(name=each.name, description=each.description, handoff=each.name in card.handoffs)
            for each in found
            if each is not None
        ]

        async def read() -> Toolset:
            await unpaused(self.run.state)
            return await run_activity(
                ToolActivities.read_toolset,
                ToolsetRequest(names=card.tools, without=card.without, agents=tuple(agents)),
                **policies.read_toolset(self.run.state.heartbeat, f"read the tools of {card.name}"),
            )

        return await journal.once(f"tools {journal.digest(*_own(card))}", Toolset, read, of_run=True)


def _own(card: AgentCard) -> tuple[tuple[str, ...], ...]:
    """Return what decides which tools an agent has."""
    return (card.tools, card.without, *((card.agents, card.handoffs) if card.agents else ()))
