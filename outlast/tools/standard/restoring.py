"""The undo of a write or an edit: a file gets its former bytes back.

An undo runs long after the call and perhaps on another worker, so it takes a reference, never the bytes. Somebody may have
changed the file since: content that the call did not write is never overwritten.
"""

import asyncio

from pydantic import BaseModel, Field

from outlast.contracts import Effect
from outlast.storage.activities import ContentStore, reference
from outlast.tools.standard.files import RESTORE
from outlast.tools.standard.workspace import Workspace
from outlast.tools.tool import Tool, ToolError, tool


class RestoreFile(BaseModel):
    """Arguments of restore_file; they come from the result of the call that is undone."""

    path: str = Field(description="the file, within the workspace")
    ref: str | None = Field(default=None, description="content reference of its former bytes; none: it did not exist")
    after: str | None = Field(default=None, description="content reference of what the call wrote")


def restoring_tools(workspace: Workspace, store: ContentStore) -> list[Tool]:
    """Make the undo of the tools that write files; calling it twice changes nothing."""

    @tool(effect=Effect.WRITE)
    async def restore_file(arguments: RestoreFile) -> str:
        """Give a file of the workspace its former bytes back, or remove it where there was none."""
        data = await store.get(arguments.ref) if arguments.ref is not None else None
        present = await asyncio.to_thread(workspace.former, arguments.path)
        now = None if present is None else reference(present)
        if arguments.after is not None and now not in (arguments.ref, arguments.after):
            raise ToolError(f"{arguments.path} was changed by somebody else since; it is left as it stands")
        if now != arguments.ref:
            await asyncio.to_thread(workspace.restore, arguments.path, data)
        return f"{arguments.path} is as it was" if data is not None else f"{arguments.path} is gone again"

    assert restore_file.name == RESTORE
    return [restore_file]
