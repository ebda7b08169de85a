"""Tools: what an agent may call, one call of one, and the transcript that the calls become part of."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from outlast.contracts.actions import Approval, Effect, UndoablePair
from outlast.contracts.base import Content, Contract, Part, Summary
from outlast.contracts.models import Message


class ToolCard(Contract):
    """A tool as a running execution sees it: `timeout` in seconds for one call, `attempts` how often a call is tried.

    `server` names the MCP server it belongs to (empty: one of ours), `undo` the tool that undoes it, `takes` the arguments it
    takes (empty: not known). `undoable` are the requests that can be undone although the tool's others cannot.
    """

    name: str
    effect: Effect = Effect.READ
    timeout: float = 60.0
    attempts: int = 3
    server: str = ""
    undo: str = ""
    takes: tuple[str, ...] = ()
    undoable: tuple[UndoablePair, ...] = ()

    def of_call(self, arguments: Mapping[str, Any], ref: str | None = None) -> "ToolCard":
        """Return the card as it holds for one call; arguments by reference are not looked at, and so not undoable."""
        if ref is None and any(pair.inverse_of(arguments) is not None for pair in self.undoable):
            return self.model_copy(update={"effect": Effect.WRITE})
        return self


class ToolsetRequest(Contract):
    """The tools of one agent, by the names in its file: ours, Claude Code's, `mcp__server__tool`, `mcp__server` for all of a
    server, `*` for all there are; `without` are names of those that it may not have.
    """

    names: tuple[str, ...]
    without: tuple[str, ...] = ()


class Toolset(Contract):
    """The tools of one agent, recorded when a run first needs them, so that a running execution never sees others.

    `specs` refers to their names, descriptions and schemas in the content store (a JSON list of `ToolSpec`), `missing`
    lists the names that nothing answers to. `notices` say what else is otherwise than the file or the server has it.
    """

    tools: tuple[ToolCard, ...] = ()
    specs: Part = Part()
    missing: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def get(self, name: str) -> ToolCard | None:
        """Return the card of that name, or None."""
        return next((card for card in self.tools if card.name == name), None)


class ToolRequest(Contract):
    """One call of a tool: arguments inline, or as JSON in the content store (`ref`).

    `key` is the same in every attempt and in every run of this workflow id, for the service that the tool calls. `specs` is
    the toolset's, so that arguments are checked against the schema that the model saw. A call that cannot be undone needs the
    `approval` of exactly this call, made by this `agent`; `effect` is what the run's card says of a tool that is none of ours
    (unknown: it cannot be undone). `attempts` is how often the call itself may fail. Where it `changes` something, an outage of
    what it changes does not count: giving up would undo what other calls have done.
    """

    tool: str
    key: str
    specs: Part
    input: Mapping[str, Any] = Field(default_factory=dict)
    ref: str | None = None
    server: str = ""
    effect: Effect | None = None
    approval: Approval | None = None
    agent: str = ""
    attempts: int = 3
    changes: bool = False


class ToolResult(Contract):
    """What a tool gave, or its own error (`failed`) as text for the model; `ms` is the time inside the activity.

    `undo` are the arguments for the tool that undoes this call (empty: there is nothing to undo). A failed call that has them
    may have had its effect in an earlier attempt.
    """

    content: Content
    failed: bool = False
    ms: int = 0
    attempt: int = 1
    undo: Mapping[str, Any] = Field(default_factory=dict)


class UndoRequest(Contract):
    """The undo of one call by the tool that undoes it; `key` is the key of the call.

    `input` are that tool's arguments as far as they were reported: a call that never reported is found by its key.
    """

    tool: str
    key: str
    input: Mapping[str, Any] = Field(default_factory=dict)


class UndoResult(Contract):
    """What an undo says; `happened` is false where the call never got as far as its effect."""

    said: Summary = ""
    happened: bool = True
    attempt: int = 1


class Transcript(Contract):
    """A conversation in the content store: the last entry (`ref`) names the one before it, so each text is kept once.

    `messages` counts its messages.
    """

    ref: str
    messages: int = 0


class AppendRequest(Contract):
    """Messages to put at the end of a transcript without asking a model."""

    transcript: Transcript | None
    messages: tuple[Message, ...]
