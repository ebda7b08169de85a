"""A call that can be undone needs no approval; but one that comes with an approval is held to it."""

import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import Approval, ProposedAction, ToolRequest, ToolsetRequest
from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore
from outlast.tools.activities import ToolActivities
from outlast.tools.standard.files import file_tools
from outlast.tools.standard.workspace import Workspace
from tests.activity.tools.mcp_calling import Making, making
from tests.approving import approved
from tests.processes import PROJECT

__all__ = ["making"]


@pytest.mark.parametrize(("written", "done"), [("approved", True), ("another", False)])
async def test_only_the_approved_change_is_made(
    store: ContentStore, tmp_path: Path, written: str, *, done: bool
) -> None:
    root = tmp_path / "work"
    root.mkdir()
    activities = ToolActivities(store, file_tools(Workspace(root)))
    environment = ActivityEnvironment()
    toolset = await environment.run(activities.read_toolset, ToolsetRequest(names=("write_file",)))
    action = ProposedAction(description="d", tool="write_file", input={"path": "a.md", "content": "approved"})
    approval = Approval(workflow_id=environment.info.workflow_id, gate="gate-1", digest=action.digest, by=("ann",))
    request = ToolRequest(
        tool="write_file",
        key="run/s/1",
        specs=toolset.specs,
        input={"path": "a.md", "content": written},
        approval=approval,
    )
    if done:
        assert not (await environment.run(activities.call_tool, request)).failed
        assert (root / "a.md").read_text() == "approved"
        return
    with pytest.raises(ApplicationError) as caught:
        await environment.run(activities.call_tool, request)
    assert caught.value.type == ErrorKind.NOT_APPROVED
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"server": "theirs"}, "arguments, tool, agent or target were changed"),
        ({"approval": None}, "no person approved"),
    ],
    ids=["another server", "no effect told"],
)
async def test_a_yes_counts_for_its_server_alone_and_an_unknown_effect_needs_one(
    making: Making, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    command = {"command": sys.executable, "args": ["-m", "tests.doubles.mcp_server", "stdio"]}
    mcp = making({name: command | {"env": {"PYTHONPATH": str(PROJECT)}} for name in ("ours", "theirs")})
    notes = tmp_path / "notes"
    toolset = await mcp.toolset("mcp__ours__note_append")
    call = {"tool": "mcp__ours__note_append", "input": {"path": str(notes), "line": "x"}, "server": "ours"}
    request = approved(ToolRequest.model_validate(call | {"key": "k", "specs": toolset.specs}))
    assert request.effect is None, "as an older worker sends it"

    with pytest.raises(ApplicationError, match=said) as caught:
        await ActivityEnvironment().run(mcp.activities.call_tool, request.model_copy(update=changed))

    assert caught.value.type == ErrorKind.NOT_APPROVED
    assert not notes.exists()
    assert not (await ActivityEnvironment().run(mcp.activities.call_tool, request)).failed
    assert notes.read_text() == "x\n"
