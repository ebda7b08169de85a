"""The workspace tools as a worker calls them: what they do, what they refuse, and that no call runs twice."""

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import Part, ToolRequest, ToolResult, Toolset, ToolsetRequest
from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore, reference
from outlast.tools.activities import ToolActivities
from outlast.tools.standard.files import file_tools
from outlast.tools.standard.workspace import READ_LIMIT, Workspace

ALL = ("Read", "Write", "Edit", "Glob", "Grep")


class Tools:
    """Calls tools on one workspace the way a worker does."""

    def __init__(self, root: Path, store: ContentStore) -> None:
        self.root = root
        self.store = store
        self.activities = ToolActivities(store, file_tools(Workspace(root)))

    async def toolset(self, *names: str) -> Toolset:
        return await ActivityEnvironment().run(self.activities.read_toolset, ToolsetRequest(names=names))

    async def call(
        self,
        name: str,
        attempt: int = 1,
        was_reset: bool = False,
        ref: str | None = None,
        key: str = "",
        **arguments: Any,
    ) -> ToolResult:
        toolset = await self.toolset(*ALL)
        request = ToolRequest(tool=name, key=key or uuid4().hex, specs=toolset.specs, input=arguments, ref=ref)
        environment = ActivityEnvironment()
        later = environment.info.scheduled_time + timedelta(seconds=was_reset)
        environment.info = replace(environment.info, attempt=attempt, current_attempt_scheduled_time=later)
        result: ToolResult = await environment.run(self.activities.call_tool, request)
        return result

    async def said(self, name: str, **arguments: Any) -> str:
        result = await self.call(name, **arguments)
        assert not result.failed, result.content.text
        return await self.store.text(result.content)

    async def refusal(self, name: str, **arguments: Any) -> str:
        result = await self.call(name, **arguments)
        assert result.failed
        return await self.store.text(result.content)


@pytest.fixture
def tools(tmp_path: Path, store: ContentStore) -> Tools:
    root = tmp_path / "work"
    root.mkdir()
    return Tools(root, store)


async def test_files_are_written_read_edited_listed_and_searched(tools: Tools) -> None:
    await tools.said("write_file", path="notes/a.md", content="one\ntwo\nthree")
    assert await tools.said("read_file", path="notes/a.md", first_line=2, lines=1) == "two\n[… 1 more lines]"
    await tools.said("edit_file", path="notes/a.md", old="two", new="TWO")
    assert (tools.root / "notes/a.md").read_text() == "one\nTWO\nthree"
    assert await tools.said("list_files", pattern="**/*.md") == "notes/a.md"
    assert await tools.said("search_files", expression="two") == "notes/a.md:2: TWO"
    assert await tools.said("search_files", expression="four") == "nothing found"


@pytest.mark.parametrize(
    "path", ["../out.txt", "/etc/passwd", "a/../../out.txt", "", ".", "link.txt", "folder/inner.txt"]
)
async def test_no_path_and_no_link_leads_out(tools: Tools, path: str) -> None:
    outside = tools.root.parent / "outside"
    outside.mkdir()
    (outside / "inner.txt").write_text("secret")
    (tools.root / "link.txt").symlink_to(outside / "inner.txt")
    (tools.root / "folder").symlink_to(outside)
    assert "secret" not in await tools.refusal("read_file", path=path)
    if path != "link.txt":  # writing replaces a link, it does not follow it
        await tools.refusal("write_file", path=path, content="x")
    else:
        await tools.said("write_file", path=path, content="x")
    assert (outside / "inner.txt").read_text() == "secret"
    assert sorted(each.name for each in tools.root.parent.iterdir() if each.name == "out.txt") == []
    assert await tools.said("search_files", expression="secret") == "nothing found"


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "a/../../*"])
async def test_no_pattern_leads_out(tools: Tools, pattern: str) -> None:
    assert "within the workspace" in await tools.refusal("list_files", pattern=pattern)


async def test_what_the_model_can_mend_is_told_to_it(tools: Tools) -> None:
    (tools.root / "b.bin").write_bytes(b"\xff\xfe\x00")
    (tools.root / "big.txt").write_bytes(b"x" * (READ_LIMIT + 1))
    (tools.root / "twice.txt").write_text("a a")
    assert "cannot be opened" in await tools.refusal("read_file", path="nothing.md")
    assert "not a text file" in await tools.refusal("read_file", path="b.bin")
    assert "larger than" in await tools.refusal("read_file", path="big.txt")
    assert "occurs 2 times" in await tools.refusal("edit_file", path="twice.txt", old="a", new="b")
    assert "path" in await tools.refusal("read_file")
    assert "first_line" in await tools.refusal("read_file", path="twice.txt", first_line=0)
    assert "none of this agent's tools" in await _foreign(tools)


async def _foreign(tools: Tools) -> str:
    toolset = await tools.toolset("Read")
    request = ToolRequest(tool="write_file", key="k", specs=toolset.specs, input={"path": "x", "content": "y"})
    result = await ActivityEnvironment().run(tools.activities.call_tool, request)
    assert result.failed
    assert not (tools.root / "x").exists()
    return await tools.store.text(result.content)


async def test_a_tool_that_this_worker_lacks_ends_the_call(tools: Tools) -> None:
    with pytest.raises(ApplicationError) as caught:
        await tools.call("launch_rocket")
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TOOL_UNKNOWN, True)


async def test_a_workspace_that_is_not_there_is_tried_again(tools: Tools) -> None:
    os.rmdir(tools.root)
    with pytest.raises(ApplicationError) as caught:
        await tools.call("read_file", path="a.md")
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TOOL_UNAVAILABLE, False)


@pytest.mark.parametrize("again", [{"attempt": 2}, {"was_reset": True}], ids=str)
async def test_a_finished_call_is_not_made_again(tools: Tools, again: dict[str, Any]) -> None:
    """A person who resets the activity makes its attempts count from 1 again."""
    first = await tools.call("write_file", path="a.md", content="once")
    (tools.root / "a.md").unlink()
    second = await tools.call("write_file", **again, path="a.md", content="once")
    assert second == first
    assert not (tools.root / "a.md").exists()


async def test_large_arguments_come_by_reference(tools: Tools) -> None:
    text = "long " * 1000
    kept = await tools.store.keep(json.dumps({"path": "long.md", "content": text}))
    result = await tools.call("write_file", ref=kept.ref)
    assert not result.failed
    assert (tools.root / "long.md").read_text() == text


async def test_names_of_claude_code_are_ours_and_missing_ones_are_listed(tools: Tools) -> None:
    toolset = await tools.toolset("Read", "read_file", "Grep", "Bash", "NotebookEdit")
    assert [tool.name for tool in toolset.tools] == ["read_file", "search_files"]
    assert toolset.missing == ("Bash", "NotebookEdit")
    specs = json.loads(await tools.store.text(Part(ref=toolset.specs.ref)))
    assert [spec["name"] for spec in specs] == ["read_file", "search_files"]
    assert specs[0]["description"] == "Read a text file of the workspace."
    assert specs[0]["input_schema"]["required"] == ["path"]


async def test_a_write_says_how_it_is_undone(tools: Tools) -> None:
    (tools.root / "a.md").write_text("before")
    first = await tools.call("write_file", path="a.md", content="after")
    assert first.undo == {"path": "a.md", "ref": reference(b"before"), "after": reference(b"after")}
    assert await tools.store.get(reference(b"before")) == b"before"
    second = await tools.call("write_file", path="b.md", content="new")
    assert second.undo == {"path": "b.md", "ref": None, "after": reference(b"new")}
    assert (await tools.call("read_file", path="b.md")).undo == {}


class CrashError(Exception):
    pass


async def test_an_attempt_after_a_crash_remembers_what_stood_there_before_the_first(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools.root / "a.md").write_text("before")
    remember = tools.store.remember

    async def crashing(name: str, data: bytes, **given: bool) -> None:
        if name.startswith("tool/"):
            raise CrashError
        await remember(name, data, **given)

    monkeypatch.setattr(tools.store, "remember", crashing)
    with pytest.raises(CrashError):
        await tools.call("write_file", key="k", path="a.md", content="after")
    monkeypatch.undo()
    second = await tools.call("write_file", attempt=2, key="k", path="a.md", content="after")
    assert (tools.root / "a.md").read_text() == "after"
    assert second.undo["ref"] == reference(b"before")
