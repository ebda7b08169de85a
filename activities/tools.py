"""Calls tools for agents: arguments checked against the schema that the model saw, results by reference.

A tool's own error is a result that the model reads; what is the world's fault is an error that Temporal tries again. The
trap: a finished call must never run twice, so its result is kept before it is reported, and a later attempt finds it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.approvals import check_approved
from activities.content import ContentStore
from activities.contracts import Effect, Part, ToolCard, ToolRequest, ToolResult, Toolset, ToolsetRequest, ToolSpec
from activities.errors import ErrorKind, final, passing, text_of
from activities.heartbeat import beating
from activities.observing import tool_called
from activities.parsing.pool import PARSERS
from activities.schemas import SchemaInvalidError, schema_problem, violations
from activities.toolbox.mcp_servers import McpServers, McpTool
from activities.toolbox.names import McpName, mcp_name, our_name
from activities.toolbox.tool import Tool, ToolError
from activities.undo_records import UndoRecord, UndoRecords, digest

SPECS = TypeAdapter(tuple[ToolSpec, ...])
LISTINGS = 2
"""How often a server is asked for its tools before an agent goes without them."""
NAME_LENGTH = 128
"""Longest tool name that the Messages API takes."""
UNDO_BYTES = 1000
"""Longest arguments of an undo, as JSON, that are reported; longer ones stay in the content store, under the call's key."""


class ToolActivities:
    """Calls tools on behalf of agents: ours, and those of MCP servers."""

    def __init__(self, store: ContentStore, tools: Sequence[Tool], servers: McpServers | None = None) -> None:
        self._store = store
        self._tools = {tool.name: tool for tool in tools}
        self._undos = {tool.undo for tool in tools} - {""}
        self._servers = servers or McpServers({})
        self._records = UndoRecords(store)

    @activity.defn
    async def read_toolset(self, request: ToolsetRequest) -> Toolset:
        """Read the tools of an agent; names that nothing answers to are listed with the reason, not fatal."""
        async with beating():
            found: dict[str, tuple[ToolCard, ToolSpec]] = {}
            missing: list[str] = []
            asked = {name: mcp_name(name) for name in request.names}
            listings = await self._listings([each.server for each in asked.values() if each])
            for name, theirs in asked.items():
                tool = self._tools.get(our_name(name))
                undoes = tool is not None and tool.name in self._undos
                if theirs:
                    tools, why = await PARSERS.off_loop(_chosen, theirs, listings.get(theirs.server))
                    found.update({each.card.name: (each.card, each.spec) for each in tools})
                    missing += [f"{name} ({why})"] if why else []
                elif undoes:
                    missing.append(f"{name} (it undoes calls of other tools, and no agent calls it)")
                elif tool:
                    found[tool.name] = (tool.card, tool.spec)
                else:
                    missing.append(name)
            specs = SPECS.dump_json(tuple(spec for _, spec in found.values())).decode()
            kept = await self._store.keep(specs, media_type="application/json", by_reference=True)
            cards = tuple(card for card, _ in found.values())
            return Toolset(tools=cards, specs=Part.of(kept), missing=tuple(missing))

    @activity.defn
    async def call_tool(self, request: ToolRequest) -> ToolResult:
        """Call one tool.

        Raises ToolUnknown (final), ToolUnavailable (passing), and the content store's errors.
        """
        async with beating():
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
        finished = await self._store.recall(_call_name()) if activity.info().attempt > 1 else None
        if finished is not None:
            return ToolResult.model_validate_json(finished)
        self._check_known(request)
        self._check_approved(request)
        if request.approval is not None:
            check_approved(request, request.approval)  # an undoable call, too, is held to the approval it comes with
        try:
            said, failed, undo = await self._outcome(request)
        except ApplicationError:
            raise
        except OSError as error:
            raise passing(ErrorKind.TOOL_UNAVAILABLE, f"{request.tool}: {text_of(error)}") from error
        except Exception as error:
            raise passing(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}") from error
        result = ToolResult(
            content=await self._store.keep(said),
            failed=failed,
            ms=round((time.monotonic() - started) * 1000),
            attempt=activity.info().attempt,
            undo=_reported(undo, request.key),
        )
        await self._store.remember(_call_name(), result.model_dump_json().encode())
        tool_called(request, result)
        return result

    async def _listings(self, servers: Sequence[str]) -> dict[str, list[McpTool] | str]:
        """Ask each configured server for its tools, side by side; gives why it cannot where it does not answer."""

        async def listing(server: str) -> list[McpTool] | str:
            reason = ""
            for _ in range(LISTINGS):
                try:
                    return await self._servers.tools(server)
                except OSError as error:
                    reason = text_of(error)
            return reason

        known = [server for server in dict.fromkeys(servers) if server in self._servers.names]
        return dict(zip(known, await asyncio.gather(*map(listing, known)), strict=True))

    def _check_known(self, request: ToolRequest) -> None:
        if request.server and request.server not in self._servers.names:
            names = ", ".join(self._servers.names) or "none"
            raise final(
                ErrorKind.TOOL_UNKNOWN, f"this worker has no MCP server {request.server!r} (MCP_CONFIG: {names})"
            )
        if not request.server and request.tool not in self._tools:
            names = ", ".join(sorted(self._tools))
            raise final(ErrorKind.TOOL_UNKNOWN, f"this worker has no tool {request.tool!r}; it has {names}")

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
        wrong = await self._wrong(arguments, request)
        if wrong:
            return wrong, True, {}
        if request.server:
            answer = await self._servers.call(request.server, request.tool, arguments, request.key)
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
            return str(error), True, {}

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
            said = await asyncio.to_thread(tool.made, arguments, record.arguments) if earlier and tool.made else ""
            return said or await tool.run(arguments, key), False, record.arguments
        except ToolError as error:
            # This attempt changed nothing; whether an earlier one did, the undo can tell.
            return str(error), True, earlier.arguments if earlier else {}

    async def _recorded(self, tool: Tool, arguments: BaseModel, key: str, call: str) -> UndoRecord:
        assert tool.prepare is not None
        undo = await asyncio.to_thread(tool.prepare, arguments, key)
        kept = {name: None if data is None else await self._store.put(data) for name, data in undo.kept.items()}
        record = UndoRecord(call=call, arguments={**undo.arguments, **kept}, undo=tool.undo)
        await self._records.keep(key, record)
        return record

    async def _wrong(self, arguments: Any, request: ToolRequest) -> str:
        """Say how arguments break the schema that the model saw, if they do."""
        specs = SPECS.validate_json(await self._store.text(request.specs))
        schema = next((spec.input_schema for spec in specs if spec.name == request.tool), None)
        if schema is None:
            return f"{request.tool} is none of this agent's tools"
        try:
            wrong = await PARSERS.off_loop(violations, arguments, schema)
        except SchemaInvalidError as error:
            return f"the schema of {request.tool} cannot be used: {error}"
        return "wrong arguments: " + "; ".join(wrong) if wrong else ""


def _reported(undo: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Shorten the arguments of an undo to what history shall hold: with the key, the undo finds the rest."""
    return undo if len(_UNDO.dump_json(dict(undo))) <= UNDO_BYTES else {"key": key}


_UNDO: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def _chosen(asked: McpName, listing: list[McpTool] | str | None) -> tuple[list[McpTool], str]:
    """Pick the tools that a name means; gives also what is wrong, in words."""
    if listing is None:
        return [], f"no MCP server {asked.server!r} is configured"
    if isinstance(listing, str):
        return [], listing
    wanted = [each for each in listing if asked.tool in ("", each.card.name)]
    usable = [each for each in wanted if _usable(each.spec)]
    if not wanted:
        return [], f"the MCP server {asked.server} has no such tool"
    unusable = [each.name for each in wanted if each not in usable]
    return usable, f"its name or schema cannot be used: {', '.join(unusable)}" if unusable else ""


def _usable(spec: ToolSpec) -> bool:
    """Whether a model can be told of a tool, and arguments be checked against its schema."""
    fits = len(spec.name) <= NAME_LENGTH and spec.input_schema.get("type") == "object"
    return fits and not schema_problem(spec.input_schema, patterns=False)


def _call_name() -> str:
    """Name this call, the same in every attempt; with the run's id, so that a run that was reset calls anew."""
    info = activity.info()
    return f"tool/{info.namespace}/{info.workflow_id}/{info.workflow_run_id}/{info.activity_id}"
