"""Whom the agents of a folder may ask, by what their files name; Claude Code's `Task` and `Agent` tools mean the same. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from outlast.tools.names import bare

CLAUDE_CODE = ("task", "agent")
"""Tools of Claude Code by which an agent asks others: `Task`, or `Agent(reviewer, tester)` for some of them."""
MOST_MEANT = 30
"""How many agents `Task` alone may mean; each is a tool of its own, and a model chooses badly among more."""


class Named(Protocol):
    """The fields of an agent file that name agents."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Its tools."""

    @property
    def agents(self) -> tuple[str, ...]:
        """Agents that it may ask."""

    @property
    def handoff(self) -> bool | tuple[str, ...]:
        """Agents to whom it hands over; True: all of `agents`."""


@dataclass(frozen=True)
class Delegates:
    """Whom one agent may ask, and to whom of them it hands its conversation over; `tools` are what remains of its tools."""

    agents: tuple[str, ...] = ()
    handoffs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Those that answer to the agent itself."""
        return tuple(name for name in self.agents if name not in self.handoffs)


def delegates(fronts: Mapping[str, Named]) -> dict[str, Delegates]:
    """Return whom each agent of a folder may ask, those left out that do not exist."""
    alone = [name for name, front in fronts.items() if not (_written(front) or _meant(front))]
    return {name: _of(name, front, fronts, alone) for name, front in fronts.items()}


def faults(fronts: Mapping[str, Named], known: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with whom files name: the agent, the field, and the fault with its fix."""
    known = {*known, *fronts}
    for name, front in fronts.items():
        listed = {"agents": front.agents, "handoff": front.handoff if isinstance(front.handoff, tuple) else ()}
        for field, names in listed.items():
            for other in names:
                if other == name:
                    yield name, field, f"{field}: '{other}' names the agent itself; leave it out"
                elif other not in known:
                    there = ", ".join(sorted(fronts))
                    yield name, field, f"{field}: '{other}' is not an agent; choose among {there}, or leave it out"
        if front.handoff is True and not front.agents:
            yield name, "handoff", "handoff: there is nobody to hand over to; name the agents in 'agents'"
    asking = {name: found.asked for name, found in delegates(fronts).items()}
    for name, front in fronts.items():
        if way := _circle(name, asking):
            field = "agents" if front.agents else "tools"
            text = (
                f"{field}: agents ask one another in a circle ({' → '.join(way)}); drop one, or hand over ('handoff')"
            )
            yield name, field, text


def _of(name: str, front: Named, fronts: Mapping[str, Named], alone: Iterable[str]) -> Delegates:
    written = [other for other in _written(front) if other in fronts and other != name]
    tools = tuple(tool for tool in front.tools if bare(tool).casefold() not in CLAUDE_CODE)
    if not written and _meant(front):
        written = [other for other in alone if other != name]
        if len(written) > MOST_MEANT:
            return Delegates(tools=front.tools)
    if not written:
        return Delegates(tools=front.tools)
    given = front.handoff if isinstance(front.handoff, tuple) else front.agents if front.handoff else ()
    return Delegates(tuple(dict.fromkeys(written)), tuple(each for each in given if each in written), tools)


def _written(front: Named) -> tuple[str, ...]:
    """Return the agents that a file names, in `agents`, `handoff` or the brackets of a tool."""
    handoffs = front.handoff if isinstance(front.handoff, tuple) else ()
    inner = [
        each.strip()
        for tool in front.tools
        if bare(tool).casefold() in CLAUDE_CODE and "(" in tool
        for each in tool.partition("(")[2].rstrip(") ").split(",")
    ]
    return (*front.agents, *handoffs, *(each for each in inner if each and each != "*"))


def _meant(front: Named) -> bool:
    """Whether a file has the tool by which Claude Code's agents ask any other."""
    return any(tool.strip().casefold() in CLAUDE_CODE or tool.strip().endswith("(*)") for tool in front.tools
               if bare(tool).casefold() in CLAUDE_CODE)  # fmt: skip


def _circle(start: str, following: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Find the way from an agent back to itself, or nothing."""
    paths, seen = [[start]], {start}
    while paths:
        path = paths.pop()
        for name in following.get(path[-1], ()):
            if name == start:
                return [*path, name]
            if name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return []
