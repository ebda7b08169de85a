"""Calls tools for agents: arguments checked against the schema that the model saw, results by reference.

A tool's own error is a result that the model reads; what is the world's fault is an error that Temporal tries again. A
finished call must never run twice, so its result is kept before it is reported, and a later attempt finds it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.activity.attempts import tool_called
from outlast.activity.heartbeat import heartbeats
from outlast.approvals.approved_calls import check_approved
from outlast.contracts import Contract, Effect, Part, ToolRequest, ToolResult, Toolset, ToolsetRequest, ToolSpec
from outlast.documents.parsing.pool import PARSERS
from outlast.documents.parsing.schemas import SchemaInvalidError, violations
from outlast.errors import ErrorKind, non_retryable, retryable, text_of
from outlast.file_names import readable
from outlast.redaction import SECRETS
from outlast.storage.activities import ContentStore, encodable
from outlast.storage.names import this_call
from outlast.storage.spool import Spool, is_first_attempt
from outlast.tools.mcp.config import McpConfig
from outlast.tools.mcp.servers import McpServers
from outlast.tools.mcp.session import ServerSlowError
from outlast.tools.mcp.specs import given
from outlast.tools.names import EVERY, mcp_name
from outlast.tools.tool import SPECS, Tool, ToolError, read_specs
from outlast.tools.toolsets import Listing, add_agents, choose, servers_of
from outlast.undo.records import UndoRecord, UndoRecords, digest

LISTINGS = 2
"""How often a server is asked for its tools before an agent goes without them."""
MOST_NOTICES = 20
UNDO_BYTES = 1000
"""Longest arguments of an undo, as JSON, that are reported; longer ones stay in the content store, under the call's key."""


class ToolOutcome(Contract):
    """What a call has done, on record before anything else is done with it."""

    said: str
    failed: bool = False
    ms: int = 0
    attempt: int = 1
    undo: Mapping[str, Any] = Field(default_factory=dict)


class ToolActivities:
    """Calls tools on behalf of agents: ours, and those of MCP servers."""

    def __init__(
        self,
        store: ContentStore,
        tools: Sequence[Tool],
        servers: McpServers | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._store = store
        self._outcomes = spool or Spool(store)
        self._tools = {tool.name: tool for tool in tools}
        self._servers = servers or McpServers(McpConfig())
        self._records = UndoRecords(store)

    @activity.defn
    async def read_toolset(self, request: ToolsetRequest) -> Toolset:
        """Read the tools of an agent; names that nothing answers to are listed with the reason, not fatal."""
        async with heartbeats():
            listings = await self._listings(request.names)
            chosen = choose(request.names, request.without, self._tools, listings)
            add_agents(chosen, request.agents)
            specs = SPECS.dump_json(tuple(spec for _, spec in chosen.tools.values())).decode()
            kept = await self._store.keep(specs, media_type="application/json", by_reference=True)
            return Toolset(
                tools=tuple(card for card, _ in chosen.tools.values()),
                specs=Part.of(kept),
                missing=tuple(chosen.missing),
                notices=tuple(notice[:300] for notice in chosen.notices[:MOST_NOTICES]),
            )

    @activity.defn
    async def call_tool(self, request: ToolRequest) -> ToolResult:
        """Call one tool.

        Raises ToolUnknown (non-retryable), ToolUnavailable (retryable), and the content store's errors.
        """
        async with heartbeats():
            calling = asyncio.ensure_future(self._call(request))
            try:
                return await asyncio.shield(calling)
            except asyncio.CancelledError:
                tool = self._tools.get(request.tool)
                if tool is None or tool.effect is Effect.READ:
                    calling.cancel()
                    await asyncio.wait([calling])
                    raise
                return await calling  # what has begun to change something is finished, and reported

    async def _call(self, request: ToolRequest) -> ToolResult:
        started = time.monotonic()
        finished = await self._outcomes.find(this_call("tool")) if not is_first_attempt() else None
        if finished is not None:
            return await self._result(ToolOutcome.model_validate_json(finished))
        self._check_known(request)
        self._check_approved(request)
        if request.approval is not None:
            check_approved(request, request.approval)  # an undoable call, too, is held to the approval it comes with
        try:
            text, failed, undo = await self._outcome(request)
        except ApplicationError:
            raise
        except OSError as error:
            raise retryable(ErrorKind.TOOL_UNAVAILABLE, f"{request.tool}: {text_of(error)}") from error
        except Exception as error:
            raise retryable(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}") from error
        outcome = ToolOutcome(
            said=encodable(readable(text)),
            failed=failed,
            ms=round((time.monotonic() - started) * 1000),
            attempt=activity.info().attempt,
            undo=_reported(undo, request.key),
        )
        await self._outcomes.keep(this_call("tool"), outcome.model_dump_json().encode())
        result = await self._result(outcome)
        tool_called(request, result)
        return result

    async def _result(self, outcome: ToolOutcome) -> ToolResult:
        return ToolResult(
            content=await self._store.keep(outcome.said),
            failed=outcome.failed,
            ms=outcome.ms,
            attempt=outcome.attempt,
            undo=outcome.undo,
        )

    async def _listings(self, names: Sequence[str]) -> dict[str, Listing]:
        """Ask each server that names mean for its tools, side by side; gives why it cannot where it does not answer.

        A server that is named is asked twice, one that comes with all others once.
        """

        async def listing(server: str, times: int) -> Listing:
            reason = ""
            for _ in range(times):
                try:
                    return await self._servers.tools(server)
                except OSError as error:
                    reason = text_of(error)
                    if isinstance(error, ServerSlowError):
                        break
            return reason

        asked = servers_of(names, self._servers.names)
        named = {meant.server for name in names if (meant := mcp_name(name))}
        times = [LISTINGS if server in named else 1 for server in asked]
        found = dict(zip(asked, await asyncio.gather(*map(listing, asked, times)), strict=True))
        wrong = {server: why for server, why in self._servers.wrong.items() if server in named or EVERY in names}
        return {**wrong, **found}

    def _check_known(self, request: ToolRequest) -> None:
        if request.server and request.server not in self._servers.names:
            names = ", ".join(self._servers.names) or "none"
            raise non_retryable(
                ErrorKind.TOOL_UNKNOWN, f"this worker has no MCP server {request.server!r} (MCP_CONFIG: {names})"
            )
        if not request.server and request.tool not in self._tools:
            names = ", ".join(sorted(self._tools))
            raise non_retryable(ErrorKind.TOOL_UNKNOWN, f"this worker has no tool {request.tool!r}; it has {names}")

    def _check_approved(self, request: ToolRequest) -> None:
        """Refuse what cannot be undone and no person approved: this very call, with these very arguments."""
        card = None if request.server else self._tools[request.tool].card.of_call(request.input, request.ref)
        effect = card.effect if card else request.effect
        if effect in (Effect.IRREVERSIBLE, None):
            check_approved(request, request.approval, agent=request.agent, target=request.server)

    async def _outcome(self, request: ToolRequest) -> tuple[str, bool, Mapping[str, Any]]:
        """Run the tool; returns what the model shall read, whether that is an error, and the undo's arguments."""
        arguments: Any = dict(request.input)
        if request.ref is not None:
            arguments = from_json(await self._store.text(Part(ref=request.ref)))
        spec = await self._spec(request)
        missing = f"{request.tool} is not one of this agent's tools"
        wrong = await PARSERS.off_loop(_wrong, arguments, spec) if spec else missing
        if wrong:
            return wrong, True, {}
        if request.server and spec:
            answer = await self._servers.call(request.server, request.tool, given(spec, arguments), request.key)
            return answer.text, answer.failed, {}
        tool = self._tools[request.tool]
        try:
            checked = tool.arguments.model_validate(arguments)
        except ValidationError as error:
            listed = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            return f"wrong arguments: {listed}", True, {}
        if tool.prepare is not None:
            return await self._change(tool, checked, request.key)
        try:
            return await tool.run(checked, request.key), False, {}
        except ToolError as error:
            return SECRETS(str(error)), True, {}

    async def _change(self, tool: Tool, arguments: BaseModel, key: str) -> tuple[str, bool, Mapping[str, Any]]:
        """Run a tool that can be undone, once its undo is on record; a later attempt would find its own work there."""
        call = digest(tool.name, arguments.model_dump(mode="json"))
        earlier = await self._records.find(key)
        if earlier is not None and earlier.call != call:
            return "the id of this call was used for another change before; make the call anew", True, {}
        try:
            record = earlier or await self._recorded(tool, arguments, key, call)
            if await self._records.closed(key):
                return "this call was rolled back; it is not made any more", True, {}
            earlier_answer = (
                await asyncio.to_thread(tool.made, arguments, record.arguments) if earlier and tool.made else ""
            )
            return earlier_answer or await tool.run(arguments, key), False, record.arguments
        except ToolError as error:
            # This attempt changed nothing; whether an earlier one did, the undo can tell.
            return SECRETS(str(error)), True, earlier.arguments if earlier else {}

    async def _recorded(self, tool: Tool, arguments: BaseModel, key: str, call: str) -> UndoRecord:
        assert tool.prepare is not None
        undo = await asyncio.to_thread(tool.prepare, arguments, key)
        kept = {name: None if data is None else await self._store.put(data) for name, data in undo.kept.items()}
        record = UndoRecord(call=call, arguments={**undo.arguments, **kept}, undo=tool.undo)
        await self._records.keep(key, record)
        return record

    async def _spec(self, request: ToolRequest) -> ToolSpec | None:
        """Return the tool as the model saw it; None where it is none of the agent's."""
        specs = read_specs(await self._store.text(request.specs))
        return next((spec for spec in specs if spec.name == request.tool), None)


def _wrong(arguments: Any, spec: ToolSpec) -> str:
    """Return how arguments break the schema that the model saw, if they do; may wait for a parser."""
    try:
        wrong = violations(arguments, spec.input_schema)
    except SchemaInvalidError as error:
        return f"the schema of {spec.name} cannot be used: {error}"
    return "wrong arguments: " + "; ".join(wrong) if wrong else ""


def _reported(undo: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Shorten the arguments of an undo to what history shall hold: with the key, the undo finds the rest."""
    return undo if len(_UNDO.dump_json(dict(undo))) <= UNDO_BYTES else {"key": key}


_UNDO: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
