"""Schedules and delays on a real server: what they start, how they are operated, and what a run says that has not begun."""

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import Client

from outlast.client import data_converter
from tests.processes import wait_for
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

OPTIONS = ("--priority", "2", "--tenant", "acme", "--gate-deadline", "2h", "--budget-calls", "9", "--requester", "ada")


def begun_with(stack: Stack, run: str) -> dict[str, Any]:
    """All that a run was started with, as its first event has it."""

    async def first_event() -> Any:
        client = await Client.connect(stack.server.address, data_converter=data_converter(512 * 1024))
        return await anext(client.get_workflow_handle(run).fetch_history_events())

    event = asyncio.run(first_event())
    started = event.workflow_execution_started_event_attributes
    return {
        "input": started.input.payloads[0].data,
        "type": started.workflow_type.name,
        "queue": started.task_queue.name,
        "priority": (started.priority.priority_key, started.priority.fairness_key),
        "summary": event.user_metadata.summary.data,
    }


def listed(stack: Stack, name: str) -> dict[str, Any] | None:
    return next((each for each in stack.json("schedule", "list") if each["name"] == name), None)


def refused(stack: Stack, *arguments: str, code: int = 2) -> str:
    ended = stack.run(*arguments)
    assert ended.returncode == code, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stderr


def test_a_schedule_starts_what_its_command_would_and_is_paused_and_deleted(stack: Stack) -> None:
    task = stack.directory / "task.txt"
    task.write_text("Compare tea and coffee")
    command = ("plan", "--task-file", str(task), *OPTIONS)
    stack.done(*command, "--id", "by-hand", "--detach")
    times = ("--cron", "0 9 * * 1-5", "--timezone", "Europe/Berlin")
    assert "daily is added; first run: 20" in stack.done("schedule", "add", "daily", *times, "--", *command)
    task.write_text("Something else, after the schedule was added")

    said = stack.done("schedule", "trigger", "daily")
    run = said.split()[1].rstrip(":")
    assert run.startswith("daily-20")
    assert stack.json("result", run)["state"] == "completed"
    assert begun_with(stack, run) == begun_with(stack, "by-hand")
    assert run in stack.runs()

    wait_for(lambda: (listed(stack, "daily") or {}).get("last_run") == run, "the list to know the run")
    found = listed(stack, "daily")
    assert found is not None
    assert (found["cron"], found["timezone"], found["paused"]) == (["0 9 * * 1-5"], "Europe/Berlin", False)
    assert found["next"]
    assert found["command"].startswith("plan --task-file")
    stack.done("schedule", "pause", "daily", "--reason", "holidays")
    wait_for(lambda: "holidays" in stack.done("schedule", "list"), "the list to say that it is paused")
    stack.done("schedule", "resume", "daily")
    assert "there is a schedule 'daily' already" in refused(stack, "schedule", "add", "daily", *times, "--", *command)
    stack.done("schedule", "delete", "daily")
    assert "there is no schedule 'daily'" in refused(stack, "schedule", "pause", "daily")


def test_a_run_that_goes_on_makes_a_trigger_skip_and_a_backfill_wait(stack: Stack) -> None:
    stack.api.script(hold=True)
    stack.done("schedule", "add", "early", "--cron", "0 7 * * 1-5", "--", "plan", "Compare tea and coffee")
    run = stack.done("schedule", "trigger", "early").split()[1].rstrip(":")
    assert "skipped: a run of early still goes on" in refused(stack, "schedule", "trigger", "early", code=1)
    week = ("--from", "2026-06-01T07:00Z", "--to", "2026-06-02T07:00Z")  # both ends count
    assert "2 runs of early" in stack.done("schedule", "backfill", "early", *week)
    late = ("--from", "2026-06-06", "--to", "2026-06-07")
    assert "0 times lie between them" in refused(stack, "schedule", "backfill", "early", *late)
    assert not [each for each in stack.runs() if each.startswith("early-2026-06")]
    stack.api.script(hold=False)

    assert stack.json("result", run)["state"] == "completed"
    filled = ["early-2026-06-01T07:00:00Z", "early-2026-06-02T07:00:00Z"]
    wait_for(lambda: set(filled) <= set(stack.runs()), "the runs of the backfill")
    assert stack.json("result", filled[-1])["state"] == "completed"
    repeated = ("--from", "2026-06-02T00:00Z", "--to", "2026-06-03T23:00Z")
    assert f"1 of 2 runs were started before ({filled[-1]}); --again" in refused(
        stack, "schedule", "backfill", "early", *repeated
    )
    assert "2 runs of early" in stack.done("schedule", "backfill", "early", *repeated, "--again")
    stack.done("schedule", "delete", "early")


def test_nothing_is_added_for_what_could_not_start(stack: Stack) -> None:
    add = ("schedule", "add", "never", "--cron")
    task = ("plan", "Compare tea and coffee")
    assert "--cron: CronString" in refused(stack, *add, "nonsense", "--", *task)
    assert "that time never comes" in refused(stack, *add, "0 0 30 2 *", "--", *task)
    long = refused(stack, "schedule", "add", "n" * 990, "--cron", "@daily", "--", *task)
    assert "NAME: WorkflowId exceeds maximum allowed length" in long, "its runs have longer ids than it has itself"
    assert "--timezone: unknown time zone" in refused(stack, *add, "@daily", "--timezone", "Mars/X", "--", *task)
    assert "--id: leave it out" in refused(stack, *add, "@daily", "--", *task, "--id", "mine")
    assert "--delay: leave it out" in refused(stack, *add, "@daily", "--", *task, "--delay", "2h")
    assert "TASK: say what to do" in refused(stack, *add, "@daily", "--", "plan", "")
    assert "list is no command that starts a run" in refused(stack, *add, "@daily", "--", "list")
    given = ("plan", "--plan", "samples/plans/launch-brief.json", "--dry-run")
    assert "starts no run; nothing was added" in refused(stack, *add, "@daily", "--", *given)
    assert listed(stack, "never") is None


def test_a_delayed_run_says_when_it_begins_and_takes_no_message_but_to_cancel(stack: Stack) -> None:
    started = stack.run("plan", "Compare tea and coffee", "--delay", "2h", "--id", "later", "--detach")
    assert "later begins at 20" in started.stderr
    status = stack.json("status", "later")
    assert (status["state"], status["begins"] > status["started"]) == ("running", True)
    assert "delayed\nbegins 20" in stack.done("status", "later")
    assert "begins 20" in next(line for line in stack.done("list").splitlines() if line.startswith("later "))
    for command in (("trace", "later"), ("pause", "later"), ("rollback", "later"), ("approve", "later")):
        assert "'later' begins at" in refused(stack, *command)
    assert begun_with(stack, "later")["type"] == "PlanAndExecuteWorkflow"
    assert "later is cancelled" in stack.done("cancel", "later")

    waited = stack.run("plan", "Compare tea and coffee", "--delay", "2s", "--id", "soon", "--json")
    assert json.loads(waited.stdout)["state"] == "completed"
    assert waited.stderr.splitlines() == [line for line in waited.stderr.splitlines() if "soon begins at" in line]

    stack.done("plan", "Compare tea and coffee", "--delay", "2s", "--id", "watched-late", "--detach")
    watching = stack.run("watch", "watched-late")
    assert watching.returncode == 0, watching.stderr
    assert "watched-late begins at 20" in watching.stderr
    assert "no worker answers" not in watching.stdout + watching.stderr
