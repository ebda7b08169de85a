"""Two builds side by side on a real server: whose runs stay, whose move, where new ones go, what is said of a missing build."""

import asyncio
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from tests.conftest import binary
from tests.processes import RealProcess, wait_for, worker
from tests.stacks import Stack, whole_stack

pytestmark = pytest.mark.xdist_group("versions")

DRAINS_AT_ONCE = tuple(
    part
    for name in ("VersionDrainageStatusVisibilityGracePeriod", "VersionDrainageStatusRefreshInterval")
    for part in ("--dynamic-config-value", f'matching.wv.{name}="1s"')
)
"""A server looks every three minutes whether the runs of an old build have ended."""

PLAN = {
    "steps": [
        {"step": 1, "agent": "analyst", "input": "Weigh it.", "depends_on": []},
        {"step": 2, "agent": "writer", "input": "Write it down.", "depends_on": [1]},
    ]
}
OLD, NEW = "1.0", "2.0"
NAMED = ("--deployment-name", "agents", "--build-id")
RAMPED = [f"ramped-{number}" for number in range(8)]


def planned(stack: Stack, workflow_id: str) -> None:
    plan = stack.directory / "plan.json"
    plan.write_text(json.dumps(PLAN))
    stack.done("plan", "--plan", str(plan), "--id", workflow_id, "--detach")


def builds_of(stack: Stack, *workflow_ids: str) -> dict[str, list[str]]:
    """The build that did each workflow task of a run, in order."""

    async def read() -> dict[str, list[str]]:
        client = await Client.connect(stack.server.address)
        found = {}
        for each in workflow_ids:
            events = (await client.get_workflow_handle(each).fetch_history()).events
            done = [one for one in events if one.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
            found[each] = [one.workflow_task_completed_event_attributes.deployment_version.build_id for one in done]
        return found

    return asyncio.run(read())


def drainage(stack: Stack) -> str:
    said = stack.temporal("worker", "deployment", "describe-version", *NAMED, OLD)
    return next(line.split()[-1] for line in said.splitlines() if "DrainageStatus" in line)


def tasks_done(stack: Stack, workflow_ids: list[str]) -> bool:
    return all(builds_of(stack, *workflow_ids).values())


@pytest.mark.timeout(180)
def test_two_builds_side_by_side_finish_their_own_runs(tmp_path: Path) -> None:
    build = {"TEMPORAL_DEPLOYMENT_NAME": "agents", "TEMPORAL_WORKER_BUILD_ID": OLD}
    with whole_stack(tmp_path, options=DRAINS_AT_ONCE, **build) as stack:
        made_current(stack)
        side_by_side(stack)
        stranded(stack)


def route(stack: Stack, command: str, build: str, *more: str) -> None:
    """Tell the server where runs go; it refuses until it has seen the build's worker on each task queue."""
    wanted = ["temporal", "worker", "deployment", command, *NAMED, build, *more, "--yes"]

    def taken() -> bool:
        done = subprocess.run(
            [binary(wanted[0]), *wanted[1:]], env=stack.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or "missing active task queues" in done.stderr, done.stderr
        return done.returncode == 0

    wait_for(taken, "the server has seen the build on all its task queues")


def made_current(stack: Stack) -> None:
    """A build gets no runs before it is made current, and whoever starts one is told so."""
    assert f"build '{OLD}' of deployment 'agents'; it gets no new runs until" in stack.worker.output
    advice = f"temporal worker deployment set-current-version {' '.join(NAMED)} {OLD}"
    said = f"build '{OLD}' of deployment 'agents' is not current. Make one current: {advice}"
    wait_for(lambda: said in stack.run("plan", "A task", "--id", "nowhere").stderr, "the server has seen the worker")
    route(stack, "set-current-version", OLD)


def side_by_side(old: Stack) -> None:
    """Pinned runs stay, others move, new ones go to the new build, and the old one drains."""
    old.api.script(hold=True)
    planned(old, "pinned")
    old.done("agent", "analyst", "Think.", "--id", "moving", "--detach")
    wait_for(lambda: len(old.api.hits()) == 2, "a call of each is under way")
    with worker(
        old.directory, old.server, old.api, "--deployment", "agents", "--build-id", NEW, name="new", SHUTDOWN_GRACE="0"
    ) as newer:
        ramped_up(old, newer)
        route(old, "set-current-version", NEW)
        planned(old, "newest")
        wait_for(lambda: tasks_done(old, ["newest"]), "the newest run begins")
        wait_for(lambda: drainage(old) == "draining", "the old build drains")

        moves = old.done("replay", "open").splitlines()
        assert "moving: replays" in moves
        assert moves[-1] == f"tried 1: 1 replay; skipped {2 + len(RAMPED)} pinned to the build that began them"

        old.api.script(hold=False)
        runs = ["pinned", "moving", "newest", *RAMPED]
        assert [old.json("result", each)["state"] for each in runs] == ["completed"] * len(runs)
        stayed(old)
        wait_for(lambda: drainage(old) == "drained", "nothing needs the old build any more")
        old.api.script(hold=True)
        planned(old, "stranded")
        wait_for(lambda: tasks_done(old, ["stranded"]), "it begins")
    old.api.script(hold=False)


def stayed(stack: Stack) -> None:
    """Each run was done by the build that should, and each of its calls was made once."""
    builds = builds_of(stack, "pinned", "moving", "newest", *RAMPED)
    assert set(builds["pinned"]) == {OLD}
    assert (builds["moving"][0], builds["moving"][-1]) == (OLD, NEW)
    assert set(builds["newest"]) == {NEW}
    assert all(len(set(builds[each])) == 1 for each in RAMPED), "a pinned run never changes its build"
    assert len(stack.api.hits()) == 2 * (2 + len(RAMPED)) + 1


def ramped_up(stack: Stack, newer: RealProcess) -> None:
    """Half of the new runs go to a build that is ramped up by half."""
    assert f"build '{NEW}' of deployment 'agents'; it gets no new runs until" in newer.output
    route(stack, "set-ramping-version", NEW, "--percentage", "50")
    for each in RAMPED:
        planned(stack, each)
    wait_for(lambda: tasks_done(stack, RAMPED), "they begin")
    begun = Counter(builds[0] for builds in builds_of(stack, *RAMPED).values())
    assert begun.keys() == {OLD, NEW}, "the server deals by the id of the run, so always alike"


def stranded(stack: Stack) -> None:
    """A run whose build nobody runs any more: the server forgets who polled when it is started again."""
    stack.server.kill()
    stack.server.start()
    wait_for(
        lambda: f"'{OLD}' of deployment 'agents' does" in stack.run("status", "stranded").stderr, "workers are back"
    )
    missing = f"no worker of build '{NEW}' of deployment 'agents' serves task queue 'agents'"
    there = f" (build '{OLD}' of deployment 'agents' does)"
    start = f"start a worker with --deployment agents --build-id {NEW}"
    move = ("workflow", "update-options", "--versioning-override-behavior", "auto_upgrade", "--workflow-id", "stranded")
    for command in ("status", "result", "rollback"):
        asked = stack.run(command, "stranded")
        assert asked.returncode == 3, command
        assert f"{missing}{there}. The run is pinned to that build: {start}" in asked.stderr
        assert asked.stderr.rstrip().endswith(f"temporal {' '.join(move)}")
    refused = stack.run("plan", "A task", "--id", "nowhere")
    assert f"nothing was started: {missing}{there}. That is the current one: {start}, or make" in refused.stderr
    route(stack, "set-current-version", OLD)
    stack.temporal(*move)
    assert stack.json("result", "stranded")["state"] == "completed"
    assert set(builds_of(stack, "stranded")["stranded"]) == {NEW, OLD}
    ended = stack.done("status", "newest")
    assert f"{missing}{there}. The run is pinned to that build: {start}. Shown is what its history says." in ended
    assert "✓ done  2     writer" in ended
