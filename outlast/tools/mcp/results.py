"""A session with an MCP server that checks what its tools return as everything else from outside is checked: in bounded time.

The SDK checks it on the event loop, where one regular expression of a server would stop the whole worker.
"""

from functools import cache
from typing import TYPE_CHECKING

from outlast.documents.parsing.pool import PARSERS
from outlast.documents.parsing.schemas import SchemaInvalidError, violations

if TYPE_CHECKING:
    from mcp import ClientSession, types


@cache
def checking_session() -> "type[ClientSession]":
    """Return the class of such sessions; the SDK is imported only by a worker that has servers."""
    from mcp import ClientSession

    class CheckingSession(ClientSession):
        async def _validate_tool_result(self, name: str, result: "types.CallToolResult") -> None:
            if name not in self._tool_output_schemas:
                await self.list_tools()
            schema = self._tool_output_schemas.get(name)
            if schema is None:
                return
            if result.structuredContent is None:
                raise RuntimeError(f"Tool {name} has an output schema but did not return structured content")
            try:
                wrong = await PARSERS.off_loop(violations, result.structuredContent, schema)
            except SchemaInvalidError as error:
                raise RuntimeError(f"Invalid schema for tool {name}: {error}") from None
            if wrong:
                raise RuntimeError(f"Invalid structured content returned by tool {name}: {'; '.join(wrong)}")

    return CheckingSession
