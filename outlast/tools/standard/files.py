"""Files in a workspace: read, write, edit, list and search them."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from outlast.contracts import Effect
from outlast.storage.activities import reference
from outlast.tools.standard.workspace import Workspace
from outlast.tools.tool import Tool, ToolError, Undo, tool

LISTED = 500
MATCHES = 200
LINE_LENGTH = 300
RESTORE = "restore_file"
"""The tool that undoes a write or an edit."""


class ReadFile(BaseModel):
    """Arguments of read_file."""

    path: str = Field(description="the file, within the workspace")
    first_line: int = Field(default=1, ge=1, description="first line to read")
    lines: int = Field(default=2000, ge=1, description="how many lines at most")


class WriteFile(BaseModel):
    """Arguments of write_file."""

    path: str = Field(description="the file, within the workspace")
    content: str = Field(description="all of its new text")


class EditFile(BaseModel):
    """Arguments of edit_file."""

    path: str = Field(description="the file, within the workspace")
    old: str = Field(min_length=1, description="the text to replace; it must occur exactly once")
    new: str = Field(description="what takes its place")


class ListFiles(BaseModel):
    """Arguments of list_files."""

    pattern: str = Field(default="**/*", description="a glob, for instance **/*.md")


class SearchFiles(BaseModel):
    """Arguments of search_files."""

    expression: str = Field(min_length=1, max_length=500, description="the text to find, word for word")
    pattern: str = Field(default="**/*", description="which files, as a glob")


def file_tools(workspace: Workspace) -> list[Tool]:
    """Make the tools of one workspace."""

    def prepare(arguments: WriteFile | EditFile, _: str) -> Undo:
        # In this order: a path that leads out shall be refused as what it is.
        former = workspace.former(arguments.path)
        after = reference(_changed(workspace, arguments))
        return Undo({"path": arguments.path, "after": after}, kept={"ref": former})

    def made(arguments: WriteFile | EditFile, undo: Mapping[str, Any]) -> str:
        present = workspace.former(arguments.path)
        there = present is not None and reference(present) == undo.get("after")
        return _done_message(arguments) if there else ""

    @tool()
    def read_file(arguments: ReadFile) -> str:
        """Read a text file of the workspace."""
        lines = _text(workspace, arguments.path).splitlines()
        chosen = lines[arguments.first_line - 1 : arguments.first_line - 1 + arguments.lines]
        left = len(lines) - (arguments.first_line - 1 + len(chosen))
        return "\n".join(chosen) + (f"\n[… {left} more lines]" if left > 0 else "")

    @tool()
    def list_files(arguments: ListFiles) -> str:
        """List the files of the workspace that match a glob."""
        names = workspace.names(arguments.pattern)
        more = f"\n[… {len(names) - LISTED} more]" if len(names) > LISTED else ""
        return "\n".join(names[:LISTED]) + more or "no file matches"

    @tool()
    def search_files(arguments: SearchFiles) -> str:
        """Find a text in the files of the workspace; gives path, line number and line, upper and lower case alike."""
        wanted = re.compile(re.escape(arguments.expression), re.IGNORECASE)
        found: list[str] = []
        for name in workspace.names(arguments.pattern):
            try:
                lines = _text(workspace, name).splitlines()
            except ToolError:
                continue  # not a text, or too large: nothing to find there
            found += [f"{name}:{at}: {line[:LINE_LENGTH]}" for at, line in enumerate(lines, 1) if wanted.search(line)]
            if len(found) >= MATCHES:
                return "\n".join([*found[:MATCHES], "[… search more narrowly]"])
        return "\n".join(found) or "nothing found"

    @tool(effect=Effect.WRITE, undo=RESTORE, prepare=prepare, made=made)
    def write_file(arguments: WriteFile) -> str:
        """Write a text file of the workspace; what it held before is replaced."""
        workspace.write(arguments.path, _changed(workspace, arguments))
        return _done_message(arguments)

    @tool(effect=Effect.WRITE, undo=RESTORE, prepare=prepare, made=made)
    def edit_file(arguments: EditFile) -> str:
        """Replace one place in a text file of the workspace."""
        workspace.write(arguments.path, _changed(workspace, arguments))
        return _done_message(arguments)

    return [read_file, list_files, search_files, write_file, edit_file]


def _text(workspace: Workspace, path: str) -> str:
    try:
        return workspace.read(path).decode()
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not a text file") from None


def _changed(workspace: Workspace, arguments: WriteFile | EditFile) -> bytes:
    if isinstance(arguments, WriteFile):
        return arguments.content.encode()
    text = _text(workspace, arguments.path)
    times = text.count(arguments.old)
    if times != 1:
        raise ToolError(f"{arguments.path}: the old text occurs {times} times; give a piece that occurs exactly once")
    return text.replace(arguments.old, arguments.new).encode()


def _done_message(arguments: WriteFile | EditFile) -> str:
    if isinstance(arguments, WriteFile):
        return f"{arguments.path} written, {len(arguments.content)} characters"
    return f"{arguments.path} edited"
