"""Calls tools for agents (founder's placeholder with the agreed signatures; the tools' author replaces this file)."""

from temporalio import activity

from activities.contracts import ToolRequest, ToolResult, Toolset, ToolsetRequest
from activities.errors import ErrorKind, final


class ToolActivities:
    """Calls tools on behalf of agents."""

    @activity.defn
    async def read_toolset(self, request: ToolsetRequest) -> Toolset:
        """Read the tools of an agent."""
        return Toolset(missing=request.names)

    @activity.defn
    async def call_tool(self, request: ToolRequest) -> ToolResult:
        """Call one tool."""
        raise final(ErrorKind.TOOL_UNKNOWN, f"there is no tool {request.tool!r}")
