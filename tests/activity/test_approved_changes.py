"""A call that can be undone needs no approval; but one that comes with an approval is held to it."""

from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.content import ContentStore
from activities.contracts import Approval, ProposedAction, ToolRequest, ToolsetRequest
from activities.errors import ErrorKind
from activities.toolbox.files import file_tools
from activities.toolbox.workspace import Workspace
from activities.tools import ToolActivities


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
