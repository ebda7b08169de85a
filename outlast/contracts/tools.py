"""Tools: what an agent may call, one call of one, and the transcript that the calls become part of."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from outlast.contracts.actions import Approval, Effect, UndoablePair
from outlast.contracts.base import Content, Contract, Part, Summary
from outlast.contracts.models import Message


class ToolCard(Contract):
    """A tool as a running execution sees it."""

    name: str
    """Name by which agents call it."""
    effect: Effect = Effect.READ
    """What it does to the world."""
    timeout: float = 60.0
    """Time-out of one call, in seconds."""
    attempts: int = 3
    """How often a call is tried before it fails."""
    server: str = ""
    """Name of the MCP server it belongs to; empty: one of ours."""
    undo: str = ""
    """Name of the tool that undoes it; empty: nothing does."""
    takes: tuple[str, ...] = ()
    """Names of the arguments it takes; empty: not known."""
    undoable: tuple[UndoablePair, ...] = ()
    """Requests that can be undone although the tool's others cannot."""
    agent: str = ""
    """Name of the agent that a call asks; empty: it is no agent."""
    handoff: bool = False
    """Whether a call hands the conversation over to that agent."""

    def of_call(self, arguments: Mapping[str, Any], ref: str | None = None) -> "ToolCard":
        """Return the card as it holds for one call; arguments by reference are not looked at, and so not undoable."""
        if ref is None and any(pair.inverse_of(arguments) is not None for pair in self.undoable):
            return self.model_copy(update={"effect": Effect.WRITE})
        return self


class AgentTool(Contract):
    """An agent that another one may ask as it calls a tool."""

    name: str
    """Name of the agent."""
    description: str
    """What it is good at, in words; the model chooses by it."""
    handoff: bool = False
    """Whether the conversation is handed over to it."""


class ToolsetRequest(Contract):
    """The tools of one agent, by the names in its file."""

    names: tuple[str, ...]
    """Names of tools, `mcp__server__tool`, `mcp__server` for all of a server, or `*` for all there are."""
    without: tuple[str, ...] = ()
    """Names of those that it may not have."""
    agents: tuple[AgentTool, ...] = ()
    """Agents that it may ask."""


class Toolset(Contract):
    """The tools of one agent, recorded when a run first needs them, so that a running execution never sees others."""

    tools: tuple[ToolCard, ...] = ()
    """Cards of the tools."""
    specs: Part = Part()
    """Their names, descriptions and schemas in the content store: a JSON list of `ToolSpec`."""
    missing: tuple[str, ...] = ()
    """Names for which no tool was found."""
    notices: tuple[str, ...] = ()
    """What else is otherwise than the file or the server has it, in words."""

    def get(self, name: str) -> ToolCard | None:
        """Return the card of that name, or None."""
        return next((card for card in self.tools if card.name == name), None)


class ToolRequest(Contract):
    """One call of a tool."""

    tool: str
    """Name of the tool."""
    key: str
    """Idempotency key for the service that the tool calls: the same in every attempt and every run of this workflow id."""
    specs: Part
    """Specs of the toolset, so that arguments are checked against the schema that the model saw."""
    input: Mapping[str, Any] = Field(default_factory=dict)
    """Arguments of the call; empty where they are in the content store."""
    ref: str | None = None
    """Arguments as JSON in the content store, in place of `input`."""
    server: str = ""
    """Name of the MCP server that the tool belongs to; empty: one of ours."""
    effect: Effect | None = None
    """What the run's card says of a tool that is none of ours; None is taken for irreversible."""
    approval: Approval | None = None
    """The approval of exactly this call, which a call that cannot be undone needs."""
    agent: str = ""
    """Name of the agent that makes the call; the approval names it, too."""
    attempts: int = 3
    """How often the call itself may fail."""
    changes: bool = False
    """Whether it changes something: then an outage of the service does not count, as giving up would undo other calls."""


class ToolResult(Contract):
    """What a tool gave."""

    content: Content
    """Its result, or its own error as text for the model."""
    failed: bool = False
    """Whether it is an error."""
    ms: int = 0
    """Time inside the activity, in milliseconds."""
    attempt: int = 1
    """Which attempt of the activity gave it, from 1 on."""
    undo: Mapping[str, Any] = Field(default_factory=dict)
    """Arguments for the tool that undoes the call; empty: nothing to undo. A failed call may have some, too."""


class UndoRequest(Contract):
    """The undo of one call by the tool that undoes it."""

    tool: str
    """Name of the tool that undoes."""
    key: str
    """Idempotency key of the call to undo."""
    input: Mapping[str, Any] = Field(default_factory=dict)
    """Arguments of the undo as far as they were reported: a call that never reported is found by its key."""


class UndoResult(Contract):
    """What an undo reports."""

    said: Summary = ""
    """What was undone, in words, at most 200 characters."""
    happened: bool = True
    """Whether there was anything to undo; false where the call never got as far as its effect."""
    attempt: int = 1
    """Which attempt of the activity gave it, from 1 on."""


class Transcript(Contract):
    """A conversation in the content store, in which each entry names the one before it, so each text is kept once."""

    ref: str
    """Key of the last entry in the content store."""
    messages: int = 0
    """Count of its messages."""


class AppendRequest(Contract):
    """Messages to put at the end of a transcript without asking a model."""

    transcript: Transcript | None
    """The conversation so far; None begins one."""
    messages: tuple[Message, ...]
    """The messages to add, in order."""
