"""What is given to a worker wrongly: each message names the argument and says what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.common import VersioningBehavior
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from outlast.contracts import Effect
from outlast.plugin import OutlastPlugin
from outlast.settings import Settings, SettingsError
from outlast.testing import scripted
from outlast.tools.tool import Tool, Undo, tool
from outlast.worker.arguments import (
    WorkerArgumentError,
    check_activities,
    check_limits,
    check_tools,
    check_workflows,
    unknown_gate_tools,
)
from outlast.worker.registry import Registry
from outlast.worker.serving import runner_of
from outlast.worker.task_order import in_task_order
from outlast.worker.versioning import VersionedRunner, check_unversioned, deployment_of, with_build
from outlast.workflow.base import AgentWorkflow
from tests.real_process import PROJECT
from tests.served import EVERY_WORKFLOW


class Nothing(BaseModel):
    pass


def named(name: str, **options: Any) -> Tool:
    def call(nothing: Nothing) -> str:
        """Do nothing."""
        return name

    call.__name__ = name
    return tool(**options)(call)


@workflow.defn
class Triage:
    @workflow.run
    async def run(self) -> None: ...


@workflow.defn(name="Triage")
class Other:
    @workflow.run
    async def run(self) -> None: ...


class Undecorated:
    pass


class Pager:
    @activity.defn
    async def page(self) -> None: ...


@activity.defn(name="page")
def page_too() -> None: ...


def plain() -> None: ...


@pytest.mark.parametrize(
    ("workflows", "message"),
    [
        ([Undecorated], "workflows: Undecorated is not a workflow; put @workflow.defn above the class"),
        ([Triage()], "is not a class; give the class, not an instance"),
        ([Triage.run], r"workflows: Triage\.run is not a class"),
        ([Triage, Other], "workflows: two are named 'Triage'; give one another name, @workflow.defn"),
        ([Triage, Triage], "workflows: two are named 'Triage'"),
    ],
)
def test_wrong_workflows(workflows: list[Any], message: str) -> None:
    with pytest.raises(WorkerArgumentError, match=message):
        check_workflows(workflows)
    check_workflows([Triage])


@pytest.mark.parametrize(("limits", "named"), [((0, 9), "max_activities=0"), ((9, -1), "max_cached_workflows=-1")])
def test_a_worker_that_could_do_nothing_is_refused(limits: tuple[int, int], named: str) -> None:
    with pytest.raises(WorkerArgumentError, match=rf"{named}: give a number from \d to 100000"):
        check_limits(*limits)
    check_limits(1, 0)


@pytest.mark.parametrize(
    ("activities", "message"),
    [
        ([plain], "activities: plain is not an activity; put @activity.defn above the function"),
        ([Pager()], "is not an activity; .* give a method of an object as Pager"),
        ([Pager.page], r"activities: Pager\.page is a method without its object; make the object"),
        ([Pager().page, page_too], "activities: two are named 'page'; give one another name: @activity.defn"),
    ],
)
def test_wrong_activities(activities: list[Any], message: str) -> None:
    with pytest.raises(WorkerArgumentError, match=message):
        check_activities(activities)
    check_activities([Pager().page])


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([plain], r"tools: plain is not a tool; put @tool\(effect=…\)"),
        ([named("page_oncall"), named("page_oncall")], "tools: two are named 'page_oncall'; .* rename one"),
        ([named("read_file")], "tools: 'read_file' is the name of a standard tool; rename"),
        ([named("send_mail")], "tools: 'send_mail' is the name of a standard tool"),
        ([named("grep")], "tools: in agent files, 'grep' means the standard tool 'search_files'; rename"),
        (
            [named("page", effect=Effect.WRITE, undo="unpage")],
            "tools: 'page' is undone by 'unpage', which is not among",
        ),
    ],
)
def test_wrong_tools(settings: Settings, tools: list[Any], message: str) -> None:
    """Also those that the settings of this worker do not switch on: tomorrow they may."""
    with pytest.raises(WorkerArgumentError, match=message):
        Registry(settings, scripted("x"), tools=tools)
    check_tools([named("page", effect=Effect.WRITE, undo="unpage"), named("unpage")])


def test_a_tool_that_changes_what_nothing_undoes_is_warned_of(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    free = named("free", effect=Effect.WRITE)  # undoes another tool, and is given to no agent
    Registry(
        settings,
        scripted("x"),
        tools=[named("book", effect=Effect.WRITE, undo="free", prepare=lambda *_: Undo({})), free],
    )
    assert caplog.messages == []
    Registry(
        settings,
        scripted("x"),
        tools=[named("book", effect=Effect.WRITE, undo="free"), free, named("send", effect=Effect.WRITE)],
    )
    assert caplog.messages == [
        f"tools: {name!r} is Effect.WRITE without {lacking}, so its calls wait for nobody and cannot be undone; "
        "give it undo=… and prepare=…, or make it Effect.IRREVERSIBLE"
        for name, lacking in (("book", "prepare"), ("send", "undo"))
    ]


def test_an_activity_of_the_application_must_not_be_named_like_ours(settings: Settings) -> None:
    @activity.defn(name="call_tool")
    async def mine() -> None: ...

    with pytest.raises(
        WorkerArgumentError, match=r"activities: 'call_tool' is an activity of outlast; .* another name"
    ):
        Registry(settings, scripted("x"), activities=[mine])


def test_a_folder_of_agents_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(
        WorkerArgumentError, match=rf"agents_dir='agents/no': there is no folder {Path.cwd()}/agents/no"
    ):
        OutlastPlugin(settings=settings, agents_dir="agents/no")
    OutlastPlugin(settings=settings, agents_dir=tmp_path)
    with pytest.raises(SettingsError, match=r"AGENTS_DIR=agents/no: there is no such folder"):
        OutlastPlugin(settings=settings.model_copy(update={"agents_dir": Path("agents/no")}))


def test_the_sandbox_can_be_switched_off(settings: Settings) -> None:
    assert isinstance(runner_of(settings), SandboxedWorkflowRunner)
    assert isinstance(runner_of(settings.model_copy(update={"workflow_sandbox": "off"})), UnsandboxedWorkflowRunner)


def test_a_build_needs_its_deployment_and_names_that_the_server_takes(settings: Settings) -> None:
    assert deployment_of(settings) is None
    build = deployment_of(with_build(settings, "agents", "1.0"))
    assert build is not None
    assert build.version.to_canonical_string() == "agents.1.0"
    assert build.default_versioning_behavior is VersioningBehavior.PINNED
    for deployment, build_id, message in (
        ("agents", "", "is missing: a worker of deployment 'agents' has to say which build it is"),
        ("", "1.0", "needs the deployment's name beside it"),
        ("my.agents", "1.0", "a deployment's name holds no '.', ':' or blank"),
        ("agents", "two words", "a build's id holds no blank"),
    ):
        with pytest.raises(WorkerArgumentError, match=message):
            with_build(settings, deployment, build_id)


@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class Upgraded:
    @workflow.run
    async def run(self) -> None: ...


def test_a_behavior_in_a_decorator_needs_a_build() -> None:
    """The server refuses each task of it from a worker that has none, and the run would stand still."""
    message = r"Upgraded has a versioning_behavior.*--build-id.*versioning_behavior = VersioningBehavior.AUTO_UPGRADE"
    with pytest.raises(WorkerArgumentError, match=message):
        check_unversioned([Triage, Upgraded])


def test_classes_report_their_behavior_in_a_runner_that_is_not_somebody_elses(settings: Settings) -> None:
    class TheirRunner(UnsandboxedWorkflowRunner):
        pass

    theirs = TheirRunner()
    assert in_task_order(theirs, VersionedRunner) is theirs
    assert isinstance(in_task_order(UnsandboxedWorkflowRunner(), VersionedRunner), VersionedRunner)
    assert getattr(in_task_order(runner_of(settings), VersionedRunner), "runner_class", None) is VersionedRunner


def test_the_guide_says_the_behavior_of_each_workflow_with_the_reason() -> None:
    guide = (PROJECT / "docs" / "deploy.md").read_text()
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (pinned|auto-upgrade) \| \w.* \|$", guide, re.MULTILINE)
    said = {name.strip("`"): behavior for names, behavior in rows for name in names.split(", ")}
    assert said == {
        each.__name__: each.versioning_behavior.name.lower().replace("_", "-")
        for each in EVERY_WORKFLOW
        if issubclass(each, AgentWorkflow)
    }


def test_a_policy_for_a_tool_that_is_not_there_is_told() -> None:
    """Its name may be misspelt, and then its gate waits for anybody."""
    own = [named("pay_invoice")]
    assert unknown_gate_tools(["pay_invoice", "send_mail", "mcp__bank__pay"], own) == []
    misspelt, theirs, other = unknown_gate_tools(["pay_invoce", "Write", "fly"], own)
    assert (
        "this worker has no tool 'pay_invoce', so [tools.pay_invoce] holds for nothing; did you mean pay_invoice?"
        in misspelt
    )
    assert theirs.endswith("did you mean write_file?")
    assert other.endswith("[tools.fly] holds for nothing")
