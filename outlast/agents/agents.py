"""The agents of one run: read once, recorded, and asked through one place.

The trap: a running execution must never see a changed agent or tool. So cards are read when the run starts, the tools of an
agent when it is first asked, and both stay what they were.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow

from outlast.agents.asking import MAX_REPAIRS, Ask
from outlast.agents.catalog_activities import CatalogActivities
from outlast.agents.model_calls import Answer
from outlast.approvals.gates import Gates
from outlast.approvals.pausing import unpaused
from outlast.approvals.people import People
from outlast.budget.limits import Budgeting
from outlast.consensus.votes import Voter
from outlast.contracts import (
    AgentCard,
    Catalog,
    CatalogRequest,
    Content,
    Part,
    StepRow,
    StepState,
    Toolset,
    ToolsetRequest,
)
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.storage.keeping import keep_json
from outlast.tools.activities import ToolActivities
from outlast.tracing.trace import RunLog
from outlast.undo.acts import Acts
from outlast.undo.rollback import Rollback
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.failures import ENDINGS


class Crew:
    """The agents of one run, and the tools that they may use; `allowed` are irreversible tools approved beforehand.

    What the tools change is kept in `rollback`; what cannot be undone waits at `gates`; `budget` bounds what all of them spend.
    """

    def __init__(
        self,
        log: RunLog,
        catalog: Catalog,
        people: People | None = None,
        allowed: Sequence[str] = (),
        rollback: Rollback | None = None,
        gates: Gates | None = None,
        budget: Budgeting | None = None,
    ) -> None:
        self.log = log
        self.catalog = catalog
        self.people = people
        self.allowed = tuple(allowed)
        self.rollback = rollback or Rollback(log)
        self.gates = gates
        self.budget = budget or Budgeting(log, Gates(log))
        self.rollback.heartbeat = catalog.heartbeat
        self.acts = Acts(self.rollback.change)
        self._toolsets: dict[tuple[tuple[str, ...], tuple[str, ...]], Toolset] = {}
        self._reading = asyncio.Lock()

    @classmethod
    async def assemble(
        cls,
        log: RunLog,
        people: People | None = None,
        *,
        agents: Sequence[str] = (),
        allowed: Sequence[str] = (),
        known_only: bool = False,
        rollback: Rollback | None = None,
        gates: Gates | None = None,
        budget: Budgeting | None = None,
    ) -> "Crew":
        """Read the agents (none named: all of them); raises CatalogInvalid, and UnknownAgent unless `known_only`."""
        catalog = await workflow.execute_local_activity_method(
            CatalogActivities.read_catalog,
            CatalogRequest(agents=tuple(agents), known_only=known_only, measured=budget is not None and budget.limited),
            **policies.local_call("read the agents"),
        )
        if budget is not None:
            budget.knows(catalog)
        return cls(log, catalog, people, allowed, rollback, gates, budget)

    def card(self, agent: str) -> AgentCard:
        """Return an agent's card; raises UnknownAgent with the names that exist."""
        card = self.catalog.get(agent)
        if card is None:
            names = ", ".join(card.name for card in self.catalog.agents)
            why = f" ({self.catalog.unread[agent]})" if agent in self.catalog.unread else ""
            raise non_retryable(ErrorKind.UNKNOWN_AGENT, f"there is no agent {agent!r}{why}; there are {names}")
        return card

    def shared(self, material: Sequence[Part], agent: str, panel: Sequence[Voter]) -> int:
        """Count the parts that an agent is given like others of its panel on the same model, which reads them from its cache."""
        cards = [
            card for each in panel if (card := self.catalog.get(each.agent)) and not (card.tools or card.web_searches)
        ]
        return len(material) if [card.model for card in cards].count(self.card(agent).model) > 1 else 0

    def thrifty(self, card: AgentCard) -> AgentCard:
        """Return the same agent on a cheaper model that its fallbacks name, once the run shall save."""
        for link in card.fallbacks if self.budget.soft and card.prices else ():
            other = self.catalog.get(link) if link.startswith(f"{card.name}@") else None
            if other and other.prices and card.prices and other.prices.output < card.prices.output:
                return other
        return card

    def adopt(self, card: AgentCard, toolset: Toolset) -> None:
        """Take over the tools that an earlier part of this run has read."""
        self._toolsets[card.tools, card.without] = toolset
        self.log.tools.lacks(card.name, toolset.missing, toolset.notices)

    def read_toolset(self, card: AgentCard) -> Toolset | None:
        """Return the tools of an agent as far as they have been read."""
        return self._toolsets.get((card.tools, card.without))

    async def toolset(self, card: AgentCard) -> Toolset:
        """Return the tools of an agent, read when it is first asked for."""
        names = (card.tools, card.without)
        async with self._reading:
            if names not in self._toolsets:
                await unpaused(self.log)
                self._toolsets[names] = await run_activity(
                    ToolActivities.read_toolset,
                    ToolsetRequest(names=card.tools, without=card.without),
                    **policies.read_toolset(self.catalog.heartbeat, f"read the tools of {card.name}"),
                )
            toolset = self._toolsets[names]
            self.log.tools.lacks(card.name, toolset.missing, toolset.notices)
            return toolset

    async def ask(
        self,
        step: str,
        agent: str,
        parts: Sequence[Part],
        *,
        schema: dict[str, Any] | None = None,
        takes_broken: bool = False,
        context_characters: int | None = None,
        max_repairs: int = MAX_REPAIRS,
        counts_cancelled: bool = False,
        shared_parts: int = 0,
    ) -> Answer:
        """Ask an agent, its fallbacks if need be; raises a final ApplicationError when nobody answers."""
        ask = Ask(
            self,
            step,
            parts,
            schema=schema,
            takes_broken=takes_broken,
            context_characters=context_characters,
            max_repairs=max_repairs,
            counts_cancelled=counts_cancelled,
            shared_parts=shared_parts,
        )
        return await ask.of(agent)

    async def step(self, step: str, agent: str, parts: Sequence[Part], **options: Any) -> Answer:
        """Ask as `ask` does, as a step of its own that people see begin and end."""
        if step not in self.log.steps:
            first = next((part.text for part in parts if part.text and not part.label), "")
            self.log.add(StepRow(step=step, agent=agent, input=" ".join(first.split())[:200]))
        await unpaused(self.log)
        self.log.begin(step, agent)
        try:
            answer = await self.ask(step, agent, parts, **options)
        except ENDINGS as error:
            self.log.end(step, StepState.FAILED, note=text_of(error))
            raise
        self.log.end(step, StepState.DONE, output=answer.content, note="; ".join(answer.notes))
        return answer

    async def keep_report(self) -> Content:
        """Keep the step trace of the run in the content store."""
        return await keep_json(self.log.report().model_dump_json(), "keep the report", "report of the run")
