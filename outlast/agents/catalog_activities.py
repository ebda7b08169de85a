"""The agents of a run: reads their files, resolves their models, and hands them to workflows as cards.

A catalog is read once per run and recorded, so editing a file never changes a run that has started.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from temporalio import activity

from outlast.agents.delegation.naming import Delegates, delegates
from outlast.agents.files import (
    MODEL,
    AgentFile,
    Problem,
    agent_paths,
    next_agents,
    read_agents,
    slug,
    with_fallbacks,
)
from outlast.contracts import AgentCard, Catalog, CatalogRequest, Part
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelTable
from outlast.storage.activities import ContentStore

WEB_SEARCH = ("WebSearch", "web_search")
MAX_WEB_SEARCHES = 5
"""How often a model that can search the web by itself may do so for one answer."""


def _link(agent: str, link: str) -> str:
    return f"{agent}@{link.removeprefix(MODEL).strip()}" if link.startswith(MODEL) else link


CACHED_SECONDS = 60.0
"""How long catalogs and the prompts they refer to are reused while no agent file changes; it is not forever, so that prompts
which a content store has expired are written again. What the files say is reused until one of them changes."""

MOST_NAMES = 100
"""How many agents an error lists."""

MOST_PROBLEMS = 20
"""How many files that cannot be read a run records, and an error lists."""

DESCRIPTION_CHARACTERS, CATALOG_CHARACTERS = 1000, 60_000
"""Longest description of one agent, and of all of a run together: they are recorded in its history, and planners read them."""

Stamp = tuple[tuple[str, int, int], ...]


def _stamp(directory: Path) -> Stamp:
    """Return whether any agent file changed: path, time of change in ns, and size of each."""
    # A broken link has no state of its own; `read_agents` reports it.
    found = ((str(path), path.stat() if path.exists() else path.lstat()) for path in agent_paths(directory))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


class CatalogActivities:
    """Reads the catalog for a run."""

    def __init__(
        self,
        directory: Path,
        store: ContentStore,
        models: ModelTable,
        heartbeat: float,
        defaults: Path | None = None,
        *,
        webhooks: int = 0,
    ) -> None:
        self._directory, self._defaults = directory, defaults
        self._store = store
        self._models = models
        self._heartbeat = heartbeat
        self._webhooks = webhooks
        self._files: tuple[list[AgentFile], list[Problem]] = ([], [])
        self._stamp: Stamp | None = None
        self._fresh_until = 0.0
        self._catalogs: dict[CatalogRequest, Catalog] = {}
        self._prompts: dict[str, str] = {}
        self._asks: dict[str, Delegates] = {}

    @activity.defn
    async def read_catalog(self, request: CatalogRequest) -> Catalog:
        """Read the agents and resolve their models.

        Files that cannot be read are left out. Raises CatalogInvalid if a requested agent's file is one of them or no file is
        left, and UnknownAgent if a requested agent is not there (both non-retryable).
        """
        stamp, now = _stamp(self._directory), time.monotonic()  # the defaults are part of the package
        if stamp != self._stamp:
            # Reading a dozen files as YAML costs more than the rest of a short run.
            self._files, self._stamp = await asyncio.to_thread(read_agents, self._directory, self._defaults), stamp
            self._fresh_until = 0.0
        if now >= self._fresh_until:
            self._catalogs, self._prompts, self._fresh_until = {}, {}, now + CACHED_SECONDS
        catalogs = self._catalogs  # those of another reading come into another dictionary
        if request not in catalogs:
            catalogs[request] = await self._read(request)
        return catalogs[request]

    async def _read(self, request: CatalogRequest) -> Catalog:
        found, problems = self._files
        unread = _unread(found, problems)
        agents = [agent for agent in found if agent.front.name not in unread]
        names = [agent.front.name for agent in agents]
        self._asks = delegates({agent.front.name: agent.front for agent in agents})
        asked = [name if name in names else slug(name) if slug(name) in names else name for name in request.agents]
        unknown = [name for name in asked if name not in names]
        if not agents or (not request.known_only and any(slug(name) in unread for name in unknown)):
            listed = [str(each) for each in problems if not unknown or each.agent in map(slug, unknown)]
            raise non_retryable(
                ErrorKind.CATALOG_INVALID, "\n".join(listed[:MOST_PROBLEMS] or map(str, problems[:MOST_PROBLEMS]))
            )
        if unknown and not request.known_only:
            there = ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" * (len(names) > MOST_NAMES))
            missing = [str(each) for each in problems if each.path == self._directory]
            raise non_retryable(
                ErrorKind.UNKNOWN_AGENT,
                "; ".join([f"no agent named {', '.join(unknown)}", f"there are {there}", *missing]),
            )
        reached = with_fallbacks(asked or names, agents)
        wanted = [agent for agent in agents if agent.front.name in reached]
        longest = max(80, min(DESCRIPTION_CHARACTERS, CATALOG_CHARACTERS // max(len(wanted), 1)))
        cards = [card for agent in wanted for card in await self._cards(agent, request, names, longest)]
        cards += [card for agent in wanted for card in await self._on_models(agent, request, cards, longest)]
        return Catalog(
            agents=tuple(cards),
            heartbeat=self._heartbeat,
            webhooks=self._webhooks,
            partial=request.known_only,
            unread=dict(list(unread.items())[:MOST_PROBLEMS]),
        )

    async def _cards(
        self, agent: AgentFile, request: CatalogRequest, names: Sequence[str], longest: int
    ) -> list[AgentCard]:
        """Make the card of an agent, and one for each other model that its fallbacks name.

        A fallback whose file cannot be read is left out.
        """
        lost = [name for name in next_agents(agent) if name not in names]
        chain = [_link(agent.front.name, link) for link in agent.front.fallback if link not in lost]
        own = await self._card(agent, agent.front.name, agent.front.model, chain, longest, measured=request.measured)
        models = [link.removeprefix(MODEL).strip() for link in agent.front.fallback if link.startswith(MODEL)]
        others = [
            await self._card(agent, _link(agent.front.name, MODEL + name), name, [], longest, measured=request.measured)
            for name in models
        ]
        return [own, *others]

    async def _on_models(
        self, agent: AgentFile, request: CatalogRequest, there: Sequence[AgentCard], longest: int
    ) -> list[AgentCard]:
        """Make the cards of an agent on the models on which the run wants it as well."""
        known = [card.name for card in there]
        links = [link for link in request.on_models if link not in known and link.partition("@")[0] == agent.front.name]
        return [
            await self._card(agent, link, link.partition("@")[2], [], longest, measured=request.measured)
            for link in dict.fromkeys(links)
        ]

    async def _card(
        self, agent: AgentFile, name: str, model_name: str, chain: Sequence[str], longest: int, *, measured: bool
    ) -> AgentCard:
        front = agent.front
        model = self._models.resolve(model_name)
        spec = self._models.spec(model)
        asks = self._asks[front.name]
        return AgentCard(
            name=name,
            description=_shortened(front.description, longest),
            model=model,
            window=spec.window,
            max_tokens=min(front.max_tokens + spec.thinking, spec.max_output),
            timeout=front.timeout,
            system=Part(ref=await self._prompt(agent.prompt)),
            fallbacks=tuple(chain),
            tools=tuple(tool for tool in asks.tools if not (tool in WEB_SEARCH and spec.web_search)),
            web_searches=MAX_WEB_SEARCHES if spec.web_search and any(tool in WEB_SEARCH for tool in front.tools) else 0,
            temperature=front.temperature,
            continuations=spec.continuations,
            prices=spec.prices if measured else None,
            system_bytes=len(agent.prompt.encode()) if measured else 0,
            without=front.without,
            model_class=self._models.class_of(model_name),
            agents=asks.agents,
            handoffs=asks.handoffs,
        )

    async def _prompt(self, prompt: str) -> str:
        """Keep a prompt; returns its reference."""
        if prompt not in self._prompts:
            self._prompts[prompt] = await self._store.put(prompt.encode())
        return self._prompts[prompt]


def _unread(agents: Sequence[AgentFile], problems: Sequence[Problem]) -> Mapping[str, str]:
    """Return why agents are unavailable, by name; files that are no agents, or duplicates of a name, are left out."""
    sound = {agent.path for agent in agents}
    names = {agent.front.name for agent in agents}
    return {
        each.agent: " ".join(str(each).split())[:300]
        for each in reversed(problems)
        if each.agent and not each.notice and (each.path in sound or each.agent not in names)
    }


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
