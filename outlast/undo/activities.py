"""Undoes one call of a tool, whether or not the call was ever reported.

An undo must be safe to make for a call that may have had its effect or not. What the call left under its key
before the effect decides; where it left nothing, it never happened, and never will. The arguments are those that the call
left, never those of a request.
"""

import asyncio
from collections.abc import Sequence

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.activity.heartbeat import heartbeats
from outlast.contracts import SUMMARY_LENGTH, UndoRequest, UndoResult
from outlast.errors import ErrorKind, non_retryable, retryable, text_of
from outlast.storage.activities import ContentStore
from outlast.tools.tool import NeverHappenedError, Tool, ToolError
from outlast.undo.records import UndoRecords


class UndoActivities:
    """Undoes the calls of tools."""

    def __init__(self, store: ContentStore, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._records = UndoRecords(store)

    @activity.defn
    async def undo_call(self, request: UndoRequest) -> UndoResult:
        """Undo one call; doing it again changes nothing.

        Raises UndoRefused and ToolUnknown (non-retryable), ToolUnavailable (retryable), and the content store's errors.
        """
        async with heartbeats():
            undoing = asyncio.ensure_future(self._undo(request))
            try:
                return await asyncio.shield(undoing)
            except asyncio.CancelledError:
                return await undoing  # an undo that stops halfway would leave neither state

    async def _undo(self, request: UndoRequest) -> UndoResult:
        tool = self._tools.get(request.tool)
        if tool is None:
            names = ", ".join(sorted(self._tools))
            raise non_retryable(ErrorKind.TOOL_UNKNOWN, f"this worker has no tool {request.tool!r}; it has {names}")
        attempt = activity.info().attempt
        await self._records.close(request.key)
        record = await self._records.find(request.key)
        if record is None and not request.input:
            return UndoResult(said="it never happened", happened=False, attempt=attempt)
        if record is None or record.undo not in ("", request.tool):
            # What a request says alone proves no call: anybody who starts a run could have an undo of their own carried out.
            raise non_retryable(
                ErrorKind.UNDO_REFUSED,
                f"the content store knows of no call {request.key!r} that {request.tool} undoes; nothing was undone",
            )
        try:
            arguments = tool.arguments.model_validate(dict(record.arguments))
            output = await tool.run(arguments, request.key)
        except NeverHappenedError as error:
            return UndoResult(said=str(error)[:SUMMARY_LENGTH], happened=False, attempt=attempt)
        except (ToolError, ValidationError) as error:
            raise non_retryable(ErrorKind.UNDO_REFUSED, text_of(error)) from error
        except ApplicationError:
            raise
        except OSError as error:
            raise retryable(ErrorKind.TOOL_UNAVAILABLE, f"{request.tool}: {text_of(error)}") from error
        except Exception as error:
            raise retryable(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}") from error
        return UndoResult(said=output[:SUMMARY_LENGTH], attempt=attempt)
