"""`starter.py staged` against real processes: a stage that fails, and later runs that go on from there."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes import wait_for
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

TASK = "Write a brief about tides"
STAGES: list[dict[str, Any]] = [
    {"name": "facts", "goal": "All facts.", "agents": ["researcher"], "max_steps": 1},
    {"name": "draft", "goal": "A brief.", "agents": ["writer"], "max_steps": 1, "attempts": 1},
    {"name": "final", "goal": "The end.", "agents": ["analyst"], "max_steps": 1},
]
BROKEN = {"user": "Do the stage 'draft'", "status": 400, "error_type": "invalid_request_error", "message": "no drafts"}


@pytest.fixture
def stages(tmp_path: Path) -> str:
    file = tmp_path / "stages.json"
    file.write_text(json.dumps(STAGES))
    return str(file)


def stages_asked(stack: Stack) -> list[str]:
    told = [hit["user"] for hit in stack.api.hits()]
    return [next(stage["name"] for stage in STAGES if f"Do the stage '{stage['name']}'" in user) for user in told]


def test_a_failed_stage_is_named_with_the_way_on_and_the_next_run_starts_there(stack: Stack, stages: str) -> None:
    stack.api.script(rules=[BROKEN])

    failed = stack.run("staged", TASK, "--stages", stages, "--id", "brief")

    assert failed.returncode == 1
    assert "ModelRejected: stage 'draft' failed: step 1: writer failed" in failed.stderr
    assert "stage 'draft' failed; go on from there: python starter.py staged --resume brief" in failed.stdout
    assert "facts" in failed.stdout
    stack.api.reset()

    data: Any = stack.json("staged", "--resume", "brief")

    assert (data["state"], data["failed"]) == ("completed", "")
    assert [stage["stage"] for stage in data["stages"]] == ["facts", "draft", "final"]
    assert stages_asked(stack) == ["draft", "final"]
    assert all(TASK in hit["user"] for hit in stack.api.hits())


def test_a_complete_run_is_done_again_from_a_named_stage_only(stack: Stack, stages: str) -> None:
    shown = stack.done("staged", TASK, "--stages", stages, "--id", "whole-staged")

    assert "completed · 3 calls" in shown
    stack.api.reset()
    asked = stack.run("staged", "--resume", "whole-staged")
    assert asked.returncode == 2
    assert "that run is complete; name the stage to do again with --from-stage: facts, draft, final" in asked.stderr
    wrong = stack.run("staged", "--resume", "whole-staged", "--from-stage", "end")
    assert "--from-stage end: that run did not get so far; choose from facts, draft, final" in wrong.stderr

    stack.done("staged", "--resume", "whole-staged", "--from-stage", "final")

    assert stages_asked(stack) == ["final"]


def test_stages_that_people_changed_are_gone_on_with(stack: Stack, stages: str, tmp_path: Path) -> None:
    ahead = [STAGES[1], {"name": "letter", "goal": "A letter.", "agents": ["writer"], "max_steps": 1}]
    (tmp_path / "edit.json").write_text(json.dumps({"stages": ahead}))
    stack.done("staged", TASK, "--stages", stages, "--id", "changed", "--checkpoint", "every-stage", "--detach")
    wait_for(lambda: stack.json("status", "changed").get("gates"), "the first checkpoint")
    edit = ("--verdict", "approve", "--edit-file", str(tmp_path / "edit.json"), "--as", "ada")
    stack.done("decide", "changed", *edit)
    wait_for(lambda: [gate["name"] for gate in stack.json("status", "changed").get("gates", [])] == ["gate-2"], "again")
    stack.done("deny", "changed", "--as", "ada")
    stack.run("result", "changed")

    stack.done("staged", "--resume", "changed", "--id", "changed-on", "--detach")
    data: Any = stack.json("result", "changed-on")

    assert [stage["stage"] for stage in data["stages"]] == ["facts", "draft", "letter"]


def test_a_cancelled_run_is_gone_on_from_as_well(stack: Stack, stages: str) -> None:
    stack.api.script(rules=[{"user": "Do the stage 'draft'", "latency": 600}])
    stack.done("staged", TASK, "--stages", stages, "--id", "left-staged", "--detach")
    wait_for(lambda: stages_asked(stack) == ["facts", "draft"], "the second stage")
    running = stack.run("staged", "--resume", "left-staged")
    assert running.returncode == 2
    assert "it is still running; wait for it, or end it: python starter.py cancel left" in running.stderr
    stack.done("cancel", "left-staged")
    stack.api.reset()

    data: Any = stack.json("staged", "--resume", "left-staged")

    assert data["state"] == "completed"
    assert stages_asked(stack) == ["draft", "final"]


def test_what_is_wrong_is_said_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text('[{"name": "draft", "goal": "A brief.", "rubrik": {}}]')
    stack.done("plan", "Compare tea and coffee", "--id", "a-plan")
    before = stack.runs()
    wrong = {
        (): "TASK: say what to deliver, or go on from an earlier run with --resume ID",
        (TASK, "--resume", "x"): "TASK: the task of the run to go on from holds",
        (TASK, "--from-stage", "x"): "--from-stage names a stage of an earlier run",
        (TASK, "--stages", str(file)): "stage 1 ('draft'), rubrik: there is no such field; write rubric",
        ("--resume", "nowhere"): "there is no run 'nowhere'",
        ("--resume", "a-plan"): "it is of type PlanAndExecuteWorkflow; name a run of 'python starter.py staged'",
    }
    for arguments, told in wrong.items():
        ended = stack.run("staged", *arguments)
        assert ended.returncode == 2, arguments
        assert told in ended.stderr
    assert stack.runs() == before
