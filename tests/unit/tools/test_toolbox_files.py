"""Tools on a workspace beyond single calls: undo, documents, races with links, and how a tool is made."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from outlast.contracts import Effect
from outlast.file_names import original, readable
from outlast.storage.activities import ContentStore
from outlast.tools.standard import standard_tools
from outlast.tools.standard.workspace import Workspace
from outlast.tools.tool import Tool, ToolError, tool
from outlast.tools.toolsets import choose


class Nothing(BaseModel):
    """No arguments."""


async def run(tools: list[Tool], name: str, **arguments: Any) -> str:
    [chosen] = [each for each in tools if each.name == name]
    return await chosen.run(chosen.arguments.model_validate(arguments))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def tools(root: Path, store: ContentStore) -> list[Tool]:
    return standard_tools(store, root)


async def test_what_is_not_configured_is_not_there(root: Path, store: ContentStore, tools: list[Tool]) -> None:
    always = {"read_file", "list_files", "search_files", "write_file", "edit_file", "restore_file", "document_text"}
    always |= {"ask_person"}
    assert {each.name for each in tools} == always
    ours = {each.name: each for each in tools}
    assert "ask_person" not in choose(["*"], [], ours, {}).tools, (
        "an agent waits for people only where its file says so"
    )
    assert list(choose(["AskUserQuestion"], [], ours, {}).tools) == ["ask_person"]
    more = standard_tools(store, root, fetch_allow=["example.org"], database_url=f"sqlite:///{root}/a.db")
    assert {each.name for each in more} - always == {"fetch_url", "query_database"}


def test_what_writes_names_its_undo(tools: list[Tool]) -> None:
    assert {each.name: each.card.undo for each in tools if each.effect is not Effect.READ} == {
        "write_file": "restore_file",
        "edit_file": "restore_file",
        "restore_file": "",
    }


async def test_former_bytes_come_back_and_new_files_go(root: Path, store: ContentStore, tools: list[Tool]) -> None:
    former = b"\xff\x00 not a text"
    ref = await store.put(former)
    (root / "new.md").write_text("new")
    for _ in range(2):
        await run(tools, "restore_file", path="old.bin", ref=ref)
        await run(tools, "restore_file", path="new.md")
        assert ((root / "old.bin").read_bytes(), (root / "new.md").exists()) == (former, False)
    with pytest.raises(ToolError):
        await run(tools, "restore_file", path="../out.bin", ref=ref)


async def test_documents_are_read_in_parts(root: Path, tools: list[Tool]) -> None:
    (root / "page.html").write_text("<html><body><h1>Tides</h1><p>Twice a day.</p></body></html>")
    (root / "long.txt").write_text("A sentence of some length. " * 2000)
    (root / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    assert await run(tools, "document_text", path="page.html") == "Tides\n\nTwice a day."
    assert (await run(tools, "document_text", path="long.txt", part=2)).endswith("[part 2 of 4]")
    for path, part, said in (
        ("long.txt", 9, "no part 9"),
        ("image.png", 1, "PNG"),
        ("../x", 1, "within the workspace"),
    ):
        with pytest.raises(ToolError, match=said):
            await run(tools, "document_text", path=path, part=part)


def test_a_link_made_between_check_and_use_is_not_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "door").mkdir()
    exists = os.path.lexists

    def swapping(path: Any) -> bool:
        found = exists(path)
        (root / "door").rmdir()
        (root / "door").symlink_to(outside)
        return found

    monkeypatch.setattr(os.path, "lexists", swapping)
    with pytest.raises(ToolError, match="door is not a folder"):
        Workspace(root).write("door/a.txt", b"x")
    assert list(outside.iterdir()) == []


def test_a_folder_that_keeps_turning_into_a_link_never_shows_what_is_outside(root: Path) -> None:
    outside = root.parent / "outside"
    for folder, text in ((outside, "secret"), (root / "door", "fine")):
        folder.mkdir()
        (folder / "a.txt").write_text(text)
    (root / "link").symlink_to(outside)
    workspace, stop, seen = Workspace(root), threading.Event(), set[bytes]()

    def swap() -> None:
        while not stop.is_set():
            for old, new in (("door", "kept"), ("link", "door"), ("door", "link"), ("kept", "door")):
                os.rename(root / old, root / new)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(3000):
            with suppress(ToolError):
                seen.add(workspace.read("door/a.txt"))
    finally:
        stop.set()
        swapping.join()
    assert seen == {b"fine"}


async def test_results_are_text_models_or_data() -> None:
    class Found(BaseModel):
        n: int

    @tool()
    def model(arguments: Nothing) -> Found:
        """Give a model."""
        return Found(n=1)

    @tool(effect=Effect.IRREVERSIBLE, timeout=5)
    async def data(arguments: Nothing) -> list[str]:
        """Give data."""
        return ["é"]

    assert (await model.run(Nothing()), await data.run(Nothing())) == ('{"n":1}', '["é"]')
    assert (data.card.effect, data.card.timeout) == (Effect.IRREVERSIBLE, 5)


def test_functions_that_are_no_tools_are_refused() -> None:
    def untyped(arguments: dict[str, str]) -> str:
        """Take no model."""
        return ""

    with pytest.raises(TypeError, match="one argument"):
        tool()(untyped)

    def silent(arguments: Nothing) -> str:
        return ""

    with pytest.raises(TypeError, match="docstring"):
        tool()(silent)


async def test_a_name_that_is_not_utf_8_is_listed_and_opened_as_it_is_listed(root: Path, tools: list[Tool]) -> None:
    folder = os.fsencode(root)
    (root / "b\udcfcro.md").write_text("The lamp is on.")
    (root / r"c\xe9.md").write_text("a name of its own")
    assert await run(tools, "list_files") == "b\\xfcro.md\nc\\xe9.md"
    assert await run(tools, "read_file", path="b\\xfcro.md") == "The lamp is on."
    assert await run(tools, "read_file", path="c\\xe9.md") == "a name of its own"
    assert await run(tools, "search_files", expression="lamp") == "b\\xfcro.md:1: The lamp is on."
    await run(tools, "write_file", path="b\\xfcro.md", content="off")
    assert sorted(os.listdir(folder)) == [b"b\xfcro.md", b"c\\xe9.md"]
    with pytest.raises(ToolError, match="is not a folder of the workspace"):
        await run(tools, "read_file", path="\\x2e\\x2e/secret")


@pytest.mark.parametrize(
    ("name", "text"), [("büro", "büro"), ("b\udcfcro", "b\\xfcro"), ("\udce2\udc82", "\\xe2\\x82")]
)
def test_a_name_becomes_a_text_that_can_be_written_anywhere(tmp_path: Path, name: str, text: str) -> None:
    assert readable(name) == text
    assert json.loads(json.dumps(readable(name)).encode()) == text
    (tmp_path / name).touch()
    assert original(tmp_path, text) == name
    assert original(tmp_path / "elsewhere", text) == text
