"""The text of a document in the workspace: PDF, DOCX, HTML, Markdown, plain text.

A document can be longer than any model reads, so it comes in parts that are asked for by number.
"""

import asyncio

from pydantic import BaseModel, Field
from temporalio.exceptions import ApplicationError

from outlast.documents.activities import read_document
from outlast.tools.standard.workspace import Workspace
from outlast.tools.tool import Tool, ToolError, tool

PART_CHARACTERS = 20_000
READING_SECONDS = 120.0


class DocumentText(BaseModel):
    """Arguments of document_text."""

    path: str = Field(description="the document, within the workspace")
    part: int = Field(default=1, ge=1, description="which part of a long document")


def document_tools(workspace: Workspace, max_bytes: int) -> list[Tool]:
    """Make the tool that reads documents of up to `max_bytes`."""

    @tool(timeout=READING_SECONDS)
    async def document_text(arguments: DocumentText) -> str:
        """Read the text of a document of the workspace: PDF, DOCX, HTML, Markdown or plain text; long ones in parts."""
        data = await asyncio.to_thread(workspace.read, arguments.path, max_bytes)
        try:
            parts = (await read_document(data, arguments.path, part_characters=PART_CHARACTERS)).texts
        except ApplicationError as error:
            raise ToolError(error.message) from None
        if arguments.part > len(parts):
            raise ToolError(f"{arguments.path} has {len(parts)} parts; there is no part {arguments.part}")
        more = f"\n[part {arguments.part} of {len(parts)}]" if len(parts) > 1 else ""
        return parts[arguments.part - 1] + more

    return [document_text]
