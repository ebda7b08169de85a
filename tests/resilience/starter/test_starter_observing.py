"""The commands that look at runs, stop them, or hand in documents, against real processes."""

import json
from pathlib import Path

import pytest

from tests.processes import running_starter, wait_for
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    file = tmp_path / "contract.txt"
    file.write_text("A contract between Alpha and Beta.\n\nAlpha pays 100 EUR by May.")
    return file


def test_document_shows_type_summary_analysis_and_cost(stack: Stack, contract: Path) -> None:
    analysis = "Alpha must pay. " * 100
    stack.api.script(rules=[{"system": "You are a legal analyst", "text": analysis}])

    shown = stack.done("document", str(contract))

    assert "contract.txt · legal · 1 part" in shown
    assert 'summary: Answer to: <part label="analysis">' in shown
    assert f"analysis: {analysis.strip()}" in shown
    assert "completed · 1 document · 3 calls" in shown


def test_one_bad_document_leaves_the_others_alone(stack: Stack, contract: Path) -> None:
    junk = contract.with_name("junk.bin")
    junk.write_bytes(b"\x00\x01\x02\xff\xfe")

    ended = stack.run("document", str(contract), str(junk), "--json", "--max-parallel", "1")

    assert ended.returncode == 1
    assert "1 of 2 documents failed: DocumentUnsupported: junk.bin is binary" in ended.stderr.splitlines()[-1]
    good, bad = json.loads(ended.stdout)["documents"]
    assert (good["type"], good["error"], good["spend"]["calls"]) == ("legal", "", 3)
    assert (bad["type"], bad["error_kind"], bad["spend"]["calls"]) == (None, "DocumentUnsupported", 0)


def test_only_bad_documents_fail_the_run_with_its_page(stack: Stack, tmp_path: Path) -> None:
    junk = tmp_path / "junk.bin"
    junk.write_bytes(b"\x00\x01\x02\xff\xfe")

    ended = stack.run("document", str(junk))

    assert ended.returncode == 1
    assert "junk.bin · failed" in ended.stdout
    assert ended.stderr.splitlines()[-1].startswith("starter: DocumentUnsupported: junk.bin")


def test_files_that_cannot_be_handed_in_are_all_named_and_nothing_starts(stack: Stack, contract: Path) -> None:
    before = stack.runs()
    empty = contract.with_name("empty.txt")
    empty.touch()
    files = (contract.with_name("missing.txt"), contract.parent, empty, contract)

    ended = stack.run("document", *map(str, files), MAX_DOCUMENT_BYTES="10")

    assert ended.returncode == 2
    assert f"{files[0]} cannot be read (No such file or directory)" in ended.stderr
    assert f"{files[1]} is a directory; pass files" in ended.stderr
    assert f"{files[2]} is empty" in ended.stderr
    assert f"{contract} has {contract.stat().st_size} bytes, over MAX_DOCUMENT_BYTES=10" in ended.stderr
    assert stack.runs() == before


def test_list_is_newest_first_and_limited(stack: Stack) -> None:
    for name in ("older", "newer"):
        stack.done("plan", "Compare", "--id", name)

    newest, following = stack.json("list", "--limit", "2")

    assert (newest["id"], newest["status"], newest["type"]) == ("newer", "completed", "PlanAndExecuteWorkflow")
    assert following["id"] == "older"
    assert newest["seconds"] > 0
    assert stack.done("list", "--limit", "1").splitlines()[1].startswith("newer  PlanAndExecute")


def test_list_takes_state_age_and_kind(stack: Stack, tmp_path: Path) -> None:
    junk = tmp_path / "junk.bin"
    junk.write_bytes(b"\x00\x01\x02\xff\xfe")
    stack.run("document", str(junk), "--id", "broken")
    stack.done("plan", "Compare", "--id", "whole")

    def listed(*options: str) -> set[str]:
        return {run["id"] for run in stack.json("list", *options)}

    wait_for(lambda: "broken" in listed("--failed", "--since", "2d"), "it is listed")
    assert "whole" not in listed("--failed")
    assert "broken" in listed("--type", "document", "--type", "route", "--since", "1h")
    assert "broken" not in listed("--type", "plan")
    assert "whole" not in listed("--running")
    assert stack.done("list", "--running", "--type", "refund") == "no such runs; 'python starter.py list' shows all\n"
    wrong = stack.run("list", "--since", "soon")
    assert (wrong.returncode, "--since soon: write how long ago (90m, 12h, 2d, 1w) or a date" in wrong.stderr) == (
        2,
        True,
    )


def test_status_and_trace_of_an_ended_run(stack: Stack, tmp_path: Path) -> None:
    stack.done("plan", "Compare", "--id", "seen")
    file = tmp_path / "calls.jsonl"

    status = stack.json("status", "seen")
    stack.done("trace", "seen", "--jsonl", str(file))
    calls = [json.loads(line) for line in file.read_text().splitlines()]

    assert [step["state"] for step in status["steps"]] == ["done", "done", "done"]
    assert "seen · plan and execute · completed · 4 calls" in stack.done("status", "seen")
    assert {call["step"] for call in calls} == {"plan", "1", "2", "3"}
    assert {(call["workflow_id"], call["success"], call["attempt"]) for call in calls} == {("seen", True, 1)}
    assert stack.done("trace", "seen", "--jsonl", "-") == file.read_text()
    tree = stack.done("trace", "seen")
    assert [line for line in tree.splitlines() if "planner · claude-opus-5-5 · " in line and "✓" in line]
    assert [line for line in tree.splitlines() if " 3 · writer · " in line and "after 1, 2" in line]
    unwritable = stack.run("trace", "seen", "--jsonl", str(tmp_path))
    assert (unwritable.returncode, "--jsonl" in unwritable.stderr) == (2, True)


def test_a_trace_is_followed_call_by_call(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    stack.api.script(rules=[{"system": "writer", "status": 400, "error_type": "invalid_request_error"}], hold=True)
    stack.done("plan", "Compare", "--id", "followed", "--detach")
    watched = ("trace", "followed", "--follow", "--jsonl", str(file))
    with running_starter(tmp_path, *watched, env=stack.env, name="follow") as following:
        stack.api.script(hold=False)
        assert following.wait() == 0

    followed = [json.loads(line) for line in file.read_text().splitlines()]
    whole = [json.loads(line) for line in stack.done("trace", "followed", "--jsonl", "-").splitlines()]
    assert [(call["step"], call["success"]) for call in followed] == [(call["step"], call["success"]) for call in whole]
    assert stack.done("trace", "followed").splitlines()[-1].startswith("first failure: step 3, writer: ")


def test_watch_follows_a_running_plan_to_its_end(stack: Stack, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"step": "first", "agent": "researcher", "input": "Find."}]')
    stack.api.script(hold=True)
    stack.done("plan", "--plan", str(plan), "--id", "watched", "--detach")

    with running_starter(tmp_path, "watch", "watched", env=stack.env, name="watch") as watching:
        watching.wait_until(lambda: "running · first · researcher\n" in watching.output, "the step is seen running")
        stack.api.script(hold=False)
        assert watching.wait() == 0

    _, done, end = watching.output.splitlines()
    assert done.startswith("done · first · researcher · ")
    assert done.endswith(" · 1 of 1 steps")
    assert end.startswith("watched is done (completed · 1 of 1 steps · 1 call · ")
    assert end.endswith("): python starter.py result watched")


def test_a_report_says_what_a_call_is_at_also_where_the_run_was_cut_off(stack: Stack) -> None:
    stack.api.script(hold=True)
    stack.done("plan", "Compare", "--id", "cut-off", "--detach")
    wait_for(stack.api.hits, "the planner is asked")
    assert stack.json("report", "cut-off")["seconds_by"]["model"] > 0
    stack.temporal("workflow", "terminate", "--workflow-id", "cut-off")
    stack.api.script(hold=False)
    ended = stack.json("report", "cut-off")
    assert 0 < ended["seconds_by"]["model"] <= ended["seconds"], "it was no longer at work than the run"
    assert stack.json("report", "cut-off")["seconds_by"] == ended["seconds_by"], "it goes on growing"


def test_result_waits_unless_told_not_to(stack: Stack) -> None:
    stack.api.script(hold=True)
    stack.done("plan", "Compare", "--id", "awaited", "--detach")

    assert stack.done("result", "awaited", "--no-wait") == "awaited is still running: python starter.py watch awaited\n"
    assert stack.json("result", "awaited", "--no-wait") == {"id": "awaited", "state": "running"}
    stack.api.script(hold=False)
    assert stack.json("result", "awaited")["done"] == 3
    assert stack.json("result", "awaited", "--no-wait")["done"] == 3


def test_cancel_stops_a_run_and_its_model_call(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(hold=True)
    with running_starter(tmp_path, "plan", "Compare", "--id", "stopped", env=stack.env, name="stopped") as waiting:
        wait_for(stack.api.hits, "the planner is asked")

        assert stack.done("cancel", "stopped") == "stopped is cancelled\n"

        assert waiting.wait() == 1
        assert waiting.output.splitlines()[-1].startswith("starter: Cancelled: ")
    wait_for(lambda: stack.api.hits()[0]["outcome"] == "abandoned", "the model call is abandoned")
    assert stack.done("cancel", "stopped") == "stopped had ended already (cancelled); nothing was cancelled\n"


@pytest.mark.parametrize("command", ["status", "watch", "result", "trace", "cancel"])
def test_unknown_id_is_named(stack: Stack, command: str) -> None:
    ended = stack.run(command, "no-such-run")

    assert ended.returncode == 2
    assert ended.stderr == "starter: there is no run 'no-such-run'; 'python starter.py list' shows those there are\n"
