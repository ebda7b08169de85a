"""Temporal's own tools at work: activities ended by hand, paused and moved, and workflows that are none of ours."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.processes import PROJECT, wait_for
from tests.stacks import Stack, whole_stack

pytestmark = pytest.mark.xdist_group("by_hand")

GONE = "mcp__gone__search"
PLAN = json.dumps({"steps": [{"step": "dig", "agent": "summariser", "input": "Collect the facts"}]})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    agents = tmp_path_factory.mktemp("agent-files") / "agents"
    shutil.copytree(PROJECT / "agents", agents)
    (agents / "README.md").write_text("# The team\n")
    (agents / "seeker.md").write_text(f"---\nname: The Seeker\ndescription: d\ntools: Read, {GONE}\n---\nYou seek.\n")
    with whole_stack(tmp_path_factory.mktemp("stack"), AGENTS_DIR=str(agents)) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    with whole.lent():
        whole.api.script(hold=True)
        yield whole


def pending(stack: Stack, run: str) -> list[dict[str, Any]]:
    described = json.loads(stack.temporal("workflow", "describe", "-w", run, "-o", "json"))
    found: list[dict[str, Any]] = described.get("pendingActivities", [])
    return found


def calling(stack: Stack, run: str, plan: str = PLAN) -> str:
    """Start a plan whose first model call waits; returns the id of that activity."""
    file = stack.directory / "plan.json"
    file.write_text(plan)
    stack.done("plan", "--plan", str(file), "--id", run, "--detach")
    wait_for(
        lambda: any(one["activityType"]["name"] == "call_model" for one in pending(stack, run)), "the call to begin"
    )
    return str(pending(stack, run)[0]["activityId"])


def by_hand(stack: Stack, run: str, verb: str, *options: str) -> None:
    activity = str(pending(stack, run)[0]["activityId"])
    stack.temporal("activity", verb, "--workflow-id", run, "--activity-id", activity, *options)


@pytest.mark.parametrize(
    ("result", "answer"), [('"done"', "done"), ('{"facts": ["one"]}', '{"facts": ["one"]}'), ("7", "7")]
)
def test_an_answer_given_by_hand_is_used_and_shown_as_what_it_is(stack: Stack, result: str, answer: str) -> None:
    run = f"by hand {len(answer)}"
    calling(stack, run)
    by_hand(stack, run, "complete", "--result", result)
    assert stack.json("result", run)["answers"] == [{"step": "dig", "text": answer}]
    assert f"given by hand: {answer}" in stack.done("status", run)
    assert "given by hand" in stack.done("trace", run, "--jsonl", "-")
    why = stack.done("why", run, "dig")
    assert "was completed by hand, by temporal-cli" in why
    assert answer in why
    report = stack.directory / "report.html"
    stack.done("report", run, "-o", str(report))
    assert "was completed by hand" in report.read_text()


def test_a_result_that_is_none_is_a_failure_of_its_step(stack: Stack) -> None:
    calling(stack, "null")
    by_hand(stack, "null", "complete", "--result", "null")
    ended = stack.run("result", "null")
    assert ended.returncode == 1
    assert "ResultInvalid: " in ended.stderr
    assert "was it completed by hand?" in ended.stderr
    assert "failed" in stack.done("status", "null")
    assert "was completed by hand" in stack.done("why", "null")
    stack.done("report", "null", "--json")


def test_a_call_failed_by_hand_is_a_failure_of_its_step(stack: Stack) -> None:
    calling(stack, "failed")
    by_hand(stack, "failed", "fail", "--reason", "I know better", "--detail", '["odd"]')
    ended = stack.run("result", "failed")
    assert ended.returncode == 1
    assert "I know better" in ended.stderr
    why = stack.done("why", "failed")
    assert "was failed by hand, by temporal-cli" in why
    assert "I know better" in why


def test_signals_that_cannot_be_read_and_a_reset_do_no_harm(stack: Stack) -> None:
    calling(stack, "bothered")
    for name in ("approve", "pause", "answer", "nonsense"):
        for encoding in ("encoding=odd/kind", "encoding=binary/encrypted", "encoding=json/protobuf"):
            given = ("--name", name, "--input", "{}", "--input-meta", encoding)
            stack.temporal("workflow", "signal", "--workflow-id", "bothered", *given)
    assert stack.json("status", "bothered")["state"] == "running"
    by_hand(stack, "bothered", "complete", "--result", '"once"')
    assert stack.json("result", "bothered")["answers"][0]["text"] == "once"
    stack.temporal("workflow", "reset", "--workflow-id", "bothered", "--type", "LastWorkflowTask", "--reason", "again")
    assert stack.json("result", "bothered")["answers"][0]["text"] == "once"


def test_what_is_paused_moved_or_reset_is_shown_with_the_way_back(stack: Stack) -> None:
    run = "held; up"
    activity = calling(stack, run)
    by_hand(stack, run, "update-options", "--task-queue", "nobody's")
    assert 'waits on the task queue "nobody\'s"' in stack.done("status", run)
    by_hand(stack, run, "update-options", "--task-queue", "agents")
    by_hand(stack, run, "pause", "--reason", "lunch")
    shown = stack.done("status", run)
    assert f"call_model (activity {activity}) is paused by temporal-cli" in shown
    assert f"(lunch) → temporal activity unpause --workflow-id 'held; up' --activity-id {activity}" in shown
    assert len(stack.json("status", run)["held"]) == 1
    by_hand(stack, run, "unpause")
    by_hand(stack, run, "reset")
    stack.api.script(hold=False)
    assert stack.json("result", run)["state"] == "completed"
    assert "is paused" not in stack.done("status", run)


def test_a_run_whose_agent_lacks_a_tool_says_so_wherever_it_is_shown(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(hold=False)
    said = f"{GONE} (no MCP server 'gone' is configured)"
    run = stack.run("agent", "The Seeker", "Find it", "--id", "seek")
    assert run.returncode == 1
    assert f"missing tool: the-seeker: {said}" in run.stdout
    assert "partial" in run.stdout
    assert f"the run is partial, because tools were missing: the-seeker: {said}" in run.stderr
    again = stack.run("result", "seek", "--json")
    assert again.returncode == 1
    found = json.loads(again.stdout)
    assert (found["state"], found["tools_missing"]) == ("partial", [f"the-seeker: {said}"])
    assert stack.run("watch", "seek").returncode == 1
    assert f"missing tool: the-seeker: {said}" in stack.done("status", "seek")
    assert f"the-seeker lacks a tool that it names: {said}" in stack.done("why", "seek")
    report = tmp_path / "report.html"
    stack.done("report", "seek", "-o", str(report))
    assert '<b class="warn" id="state">partial</b>' in report.read_text()
    assert "the-seeker lacks a tool that it names" in report.read_text()


ODD = "büro; rm -rf ../\"x\" 'y' `ls` $(id) %41"


def test_a_run_of_any_id_and_a_file_of_any_name_are_dealt_with_by_every_command(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(hold=False)
    file = tmp_path / "b\udcfcro.md"
    file.write_text("# Lease\n\nThe tenant shall pay rent.\n")
    left = stack.run("document", str(file), "--id", ODD, "--detach")
    assert left.returncode == 0, left.stderr
    stack.done("watch", ODD)
    assert "b\\xfcro.md" in stack.done("result", ODD)
    assert stack.json("status", ODD)["workflow_id"] == ODD
    assert ODD in [run["id"] for run in stack.json("list", "--limit", "1000")]
    stack.done("trace", ODD, "--jsonl", str(tmp_path / "trace.jsonl"))
    stack.done("why", ODD)
    stack.done("audit", ODD)
    stack.done("report", ODD, "-o", str(tmp_path / "report.html"))
    assert "b\\xfcro.md" in (tmp_path / "report.html").read_text()
    again = stack.run("document", str(file), "--id", ODD)
    assert again.returncode == 2
    assert "has ended already" in again.stderr
    wrong = stack.run("status", "b\udcfcro")
    assert (wrong.returncode, "is not UTF-8" in wrong.stderr) == (2, True)


@workflow.defn
class Strange:
    """A workflow of somebody else, which answers no query of ours."""

    @workflow.run
    async def run(self, how: str) -> dict[str, Any]:
        if how == "fail":
            raise ApplicationError("it broke", type="TheirError")
        await workflow.wait_condition(lambda: how != "wait")
        return {"how": how, "many": [1, 2]}


@pytest.fixture
def strangers(stack: Stack) -> Callable[..., None]:
    """Run workflows of somebody else to their end, or leave them open."""

    async def run(how: str, run_id: str) -> None:
        client = await Client.connect(stack.server.address)
        runner = UnsandboxedWorkflowRunner()
        async with Worker(client, task_queue="theirs", workflows=[Strange], workflow_runner=runner):
            handle = await client.start_workflow(Strange.run, how, id=run_id, task_queue="theirs")
            if how != "wait":
                with suppress(WorkflowFailureError):
                    await handle.result()

    return lambda how, run_id: asyncio.run(run(how, run_id))


def test_a_workflow_that_is_none_of_ours_has_a_plain_page(
    stack: Stack, strangers: Callable[..., None], tmp_path: Path
) -> None:
    strangers("well", "strange")
    strangers("fail", "broken")
    stack = replace(stack, env=stack.env | {"QUERY_WAIT": "0.5"})  # nobody will answer
    stack.temporal("workflow", "start", "--type", "Nobody", "--task-queue", "agents", "--workflow-id", "unknown")
    assert "strange · Strange · completed" in stack.done("status", "strange")
    shown = stack.done("result", "strange")
    assert '"many": [' in shown
    assert "strange · Strange · completed" in shown
    assert stack.json("result", "strange")["result"] == {"how": "well", "many": [1, 2]}
    broken = stack.run("result", "broken")
    assert (broken.returncode, "TheirError: it broke" in broken.stderr) == (1, True)
    assert "unknown · Nobody · running" in stack.done("status", "unknown")
    assert "is still running" in stack.done("result", "unknown", "--no-wait")
    stack.done("report", "broken", "-o", str(tmp_path / "report.html"))
    assert "broken" in (tmp_path / "report.html").read_text()
    assert stack.json("report", "unknown")["pattern"] == "Nobody"
    stack.done("why", "strange")


def test_replay_of_open_runs_tries_those_that_this_worker_serves(stack: Stack, strangers: Callable[..., None]) -> None:
    strangers("wait", "waiting")
    calling(stack, "open")
    command = [sys.executable, "worker.py", "--replay", "open"]
    env = stack.env | {"STATE_DIR": str(stack.directory)}
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "open: replays" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "of workflows that this code does not have: " in last
    assert "Strange (1)" in last
