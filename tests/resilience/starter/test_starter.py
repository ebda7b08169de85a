"""The command line against real processes: what it starts, what it shows, and with which code it leaves."""

import fcntl
import json
import signal
from pathlib import Path

import pytest

from tests.processes import running_starter, wait_for
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

REFUSED = {"status": 401, "error_type": "authentication_error", "message": "invalid x-api-key"}
PLAN = [
    {"step": 1, "agent": "researcher", "input": "Find the facts."},
    {"step": "b", "agent": "Writer Agent", "input": "Write [bold]this[/bold].", "depends_on": [1]},
    {"step": 3, "agent": "analyst", "input": "Weigh them.", "depends_on": [1]},
    {"step": 4, "agent": "reviewer", "input": "Review all.", "depends_on": ["b", 3]},
]


@pytest.fixture
def own_plan(tmp_path: Path) -> str:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": PLAN}))
    return str(file)


def test_plan_shows_whole_answers_steps_and_cost(stack: Stack) -> None:
    stack.api.script(rules=[{"system": "You are a writer", "text": "A long [b]answer[/b]. " * 200 + "The \x1b[2Jend."}])

    shown = stack.done("plan", "Compare tea and coffee", "--id", "compare")

    assert "A long [b]answer[/b]. " * 200 in shown, "longer than what travels inline, and as it was said"
    assert "The �[2Jend." in shown, "but it must not steer the terminal"
    assert shown.count("✓ done") == 3
    assert "completed · 3 done, 0 failed, 0 skipped · 4 calls" in shown
    assert len(stack.api.hits()) == 4


def test_plan_json_is_data_alone(stack: Stack) -> None:
    data = stack.json("plan", "Compare tea and coffee")

    assert data["state"] == "completed"
    assert [answer["step"] for answer in data["answers"]] == ["3"]
    assert data["answers"][0]["text"].startswith("Answer to: Write it up.")
    assert [(step["step"], step["state"]) for step in data["steps"]] == [("1", "done"), ("2", "done"), ("3", "done")]
    assert data["spend"]["calls"] == 4


def test_dry_run_shows_the_checked_plan_and_asks_no_model(stack: Stack, own_plan: str) -> None:
    # Nobody listens there: to check a plan of one's own needs no server.
    ended = stack.run("plan", "--plan", own_plan, "--dry-run", TEMPORAL_ADDRESS="127.0.0.1:9")
    assert ended.returncode == 0, ended.stderr
    shown = ended.stdout

    assert "critical path: 1 → b → 4 (3 of 4 steps)" in shown
    assert "b, 3 (side by side)" in shown
    assert "Write [bold]this[/bold]." in shown
    assert "agent 'Writer Agent' is read as 'writer'" in shown
    assert stack.api.hits() == []


def test_own_plan_comes_from_a_file_or_from_stdin(stack: Stack, own_plan: str) -> None:
    from_file = stack.json("plan", "--plan", own_plan)
    from_stdin = json.loads(stack.run("plan", "--plan", "-", "--json", stdin=json.dumps(PLAN)).stdout)

    assert from_file["done"] == from_stdin["done"] == 4
    assert {hit["model"] for hit in stack.api.hits()} == {"claude-sonnet-5-5"}, "no planner was asked"


def test_a_result_schema_gives_json_that_fits_it(stack: Stack, own_plan: str, tmp_path: Path) -> None:
    grade = {"type": "object", "properties": {"grade": {"enum": ["good", "bad"]}}, "required": ["grade"]}
    (tmp_path / "grade.json").write_text(json.dumps(grade))
    (tmp_path / "text.json").write_text('{"type": "string"}')
    given = ("plan", "--plan", own_plan, "--result-schema")
    assert stack.json(*given, str(tmp_path / "grade.json"))["data"] == {"grade": "good"}
    assert '"grade": "good"' in stack.done(*given, str(tmp_path / "grade.json"))
    refused = stack.run(*given, str(tmp_path / "text.json"))
    assert (refused.returncode, "--result-schema" in refused.stderr) == (2, True)


def test_planner_is_asked_with_the_given_limits(stack: Stack, tmp_path: Path) -> None:
    task = tmp_path / "task.txt"
    task.write_text("From a file.\n")

    data = stack.json("plan", "--task-file", str(task), "--agents", "researcher, writer", "--max-steps", "7")

    asked = stack.api.hits()[0]["user"]
    assert "From a file." in asked
    assert "- researcher:" in asked
    assert "- analyst:" not in asked
    assert data["done"] == 3


def test_fallback_plan_runs_when_the_planner_gives_none(stack: Stack, own_plan: str) -> None:
    stack.api.script(rules=[{"system": "You plan work", **REFUSED}])

    data = stack.json("plan", "a task", "--fallback-plan", own_plan, "--max-parallel", "1")

    assert data["done"] == 4
    assert data["changes"][-1]["stage"] == "fallback"


def test_failed_plan_shows_its_steps_and_the_cause_in_one_line(stack: Stack) -> None:
    stack.api.script(rules=[{"system": "researcher", **REFUSED}, {"system": "generalist", **REFUSED}])

    ended = stack.run("plan", "Compare tea and coffee", "--on-step-failure", "skip_dependents", "--id", "refused")

    assert ended.returncode == 1
    assert (ended.stdout.count("✗ failed"), ended.stdout.count("– skipped")) == (2, 1)
    started, cause = ended.stderr.splitlines()
    assert started == "started refused"
    assert cause.startswith("starter: ModelNotAllowed: no last step of the plan succeeded: step ")
    assert "invalid x-api-key" in cause
    for command in ("result", "watch"):
        again = stack.run(command, "refused")
        assert (again.returncode, again.stderr.splitlines()) == (1, [cause])
    as_json = stack.run("result", "refused", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["failed"]) == (1, 2)


def test_invalid_own_plan_fails_with_every_problem(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps([{"step": 1, "agent": "nobody", "input": "x", "depends_on": [9]}]))

    ended = stack.run("plan", "--plan", str(file), "--dry-run")

    assert ended.returncode == 1
    assert "there is no agent 'nobody'; use one of academic-researcher, analyst" in ended.stderr
    assert "step 1 depends on step 9, which does not exist" in ended.stderr


def test_same_id_attaches_while_it_runs_and_pays_once(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(hold=True)
    command = ("plan", "Compare", "--id", "twice", "--json")

    assert stack.json("plan", "Compare", "--id", "twice", "--detach") == {"id": "twice", "attached": False, "page": ""}
    with running_starter(tmp_path, *command, env=stack.env, name="second") as second:
        second.wait_until(lambda: "{" in second.output or "attached" in second.output, "the second attaches")
        stack.api.script(hold=False)
        assert second.wait() == 0, second.output
    said, _, data = second.output.partition("\n")
    third = stack.run(*command)

    assert said == "attached to twice, which is already going with the input it was started with"
    assert json.loads(data)["done"] == 3
    assert len(stack.api.hits()) == 4
    assert third.returncode == 2
    assert "run 'twice' has ended already (completed): see: python starter.py result twice" in third.stderr


def test_same_id_of_another_kind_of_run_is_refused(stack: Stack, own_plan: str) -> None:
    stack.api.script(hold=True)
    stack.done("plan", "Compare", "--id", "taken", "--detach")

    ended = stack.run("document", own_plan, "--id", "taken")

    stack.done("cancel", "taken")
    assert ended.returncode == 2
    assert "id 'taken' belongs to a running PlanAndExecuteWorkflow; choose another --id" in ended.stderr


def test_ctrl_c_leaves_the_run_going_and_says_how_to_come_back(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(hold=True)
    with running_starter(tmp_path, "plan", "Compare", "--id", "left", env=stack.env, name="left") as waiting:
        wait_for(stack.api.hits, "the planner is asked")
        waiting.send(signal.SIGINT)
        assert waiting.wait() == 130
    stack.api.script(hold=False)

    assert "python starter.py watch left" in waiting.output
    assert "python starter.py cancel left" in waiting.output
    assert "Traceback" not in waiting.output
    assert stack.json("result", "left")["state"] == "completed"


def test_page_in_the_web_ui_is_named_where_the_embedded_stack_runs(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"address": stack.server.address, "ui": "http://127.0.0.1:8233"}))
    with (tmp_path / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        ended = stack.run("plan", "x", "--id", "a run", "--detach", STATE_DIR=str(tmp_path))

    stack.done("result", "a run")
    assert ended.stderr == "started a run · http://127.0.0.1:8233/namespaces/default/workflows/a%20run\n"


def test_priority_and_tenant_reach_the_server_and_a_wrong_tenant_is_named(stack: Stack, own_plan: str) -> None:
    stack.done("plan", "--plan", own_plan, "--priority", "1", "--tenant", "acme", "--id", "ordered", "--detach")
    shown = json.loads(stack.temporal("workflow", "describe", "-w", "ordered", "-o", "json"))
    assert shown["workflowExecutionInfo"]["priority"] == {"priorityKey": 1, "fairnessKey": "acme"}
    stack.done("result", "ordered")  # its calls must not count in the next test
    ended = stack.run("plan", "--plan", own_plan, "--tenant", "a" * 65)
    assert (ended.returncode, "--tenant: write a name of 1 to 64 bytes" in ended.stderr) == (2, True)
