"""`replay`, the deploy gate: files, folders, ids and open runs; what is skipped and why; the exit code for CI."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from outlast.storage.garbage.references import payloads_in
from outlast.storage.payload_codec import EncryptionCodec, new_key, read_keys
from tests.processes import clean_environment, starter, wait_for
from tests.real_process import PROJECT
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

RECORDED = PROJECT / "tests" / "replay" / "histories"
OUTLAST = "tests/doubles/outlast_command.py"


def test_files_and_folders_need_no_server_and_say_which_event_differs(tmp_path: Path) -> None:
    given = (RECORDED / "plan-given.json").read_text()
    (tmp_path / "same.json").write_text(given)
    (tmp_path / "other.json").write_text(given.replace('"call_model"', '"call_another"'))
    env = clean_environment(STATE_DIR=str(tmp_path), TEMPORAL_ADDRESS="127.0.0.1:1")
    done = starter("replay", str(tmp_path), str(RECORDED / "refund-approved.json"), env=env)
    other, same, refund, *advice, last = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert other.startswith(
        f"{tmp_path}/other.json: PlanAndExecuteWorkflow does not replay from event 6 on (activity task scheduled call_another): "
    )
    assert "Nondeterminism" in other
    assert [each.rpartition(": ")[2] for each in (same, refund)] == ["replays", "replays"]
    assert "workflow.patched" in " ".join(advice)
    assert "Builds side by side" in " ".join(advice)
    assert last == "tried 3: 2 replay, 1 does not"
    assert "TMPRL1100" not in done.stderr, "the SDK's own dump is left out"


async def test_a_history_whose_key_is_missing_is_not_taken_for_one_that_does_not_replay(tmp_path: Path) -> None:
    key = new_key("first")
    codec = EncryptionCodec(read_keys(key))
    history = WorkflowHistory.from_json("x", (RECORDED / "plan-given.json").read_text())
    for event in history.events:
        for payload in () if event.HasField("marker_recorded_event_attributes") else list(payloads_in(event)):
            payload.CopyFrom((await codec.encode([payload]))[0])
    (tmp_path / "sealed.json").write_text(history.to_json())
    said = {
        "": (2, "not tried, PAYLOAD_KEYS is not set"),
        new_key("other"): (2, "'first', which is not there"),
        key: (0, "replays"),
    }
    for given, (code, why) in said.items():
        done = starter(
            "replay", str(tmp_path / "sealed.json"), env=clean_environment(PAYLOAD_KEYS=given, STATE_DIR=str(tmp_path))
        )
        assert (done.returncode, why in done.stdout) == (code, True), done.stdout + done.stderr
        assert "workflow.patched" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--module", "workflows.plan_and_execute"], 0, "tried 1: 1 replay"),
        (["--module", "workflows"], 0, "tried 1: 1 replay"),
        ([], 2, "skipped, it is a PlanAndExecuteWorkflow, which is not among the workflows here"),
        ([], 2, "tried 0: 0 replay; skipped 1 of workflows that this code does not have: PlanAndExecuteWorkflow (1)"),
        (["--module", "no.such"], 2, "--module no.such: cannot be imported: No module named 'no'"),
        (["--module", "outlast.errors"], 2, "--module outlast.errors: holds no class with @workflow.defn"),
        ([str(PROJECT / "docs")], 2, "the folder holds no history (*.json)"),
        ([str(PROJECT / "README.md")], 2, "README.md: is not an event history"),
    ],
)
def test_only_the_workflows_of_given_modules_are_tried(arguments: list[str], code: int, said: str) -> None:
    file = str(RECORDED / "plan-given.json")
    done = starter("replay", *([file] if not arguments or arguments[0] == "--module" else []), *arguments,
                   env=clean_environment(), program=OUTLAST)  # fmt: skip
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_runs_of_the_server_by_id_and_all_open_ones(stack: Stack, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"steps": [{"step": 1, "agent": "analyst", "input": "Weigh it.", "depends_on": []}]}))
    stack.done("plan", "--plan", str(plan), "--id", "replay-ended")
    stack.api.script(hold=True)
    stack.done("plan", "--plan", str(plan), "--id", "replay-open", "--detach")
    wait_for(lambda: any(hit["outcome"] == "running" for hit in stack.api.hits()), "its call is under way")
    stack.done("plan", "--plan", str(plan), "--delay", "1h", "--id", "replay-late", "--detach")
    said = stack.done("replay", "replay-ended", "open", "replay-late")
    assert {"replay-ended: replays", "replay-open: replays", "replay-late: replays"} <= set(said.splitlines())
    wrong = stack.run("replay", "nobody")
    assert (wrong.returncode, "nobody: there is neither such a file nor such a run" in wrong.stderr) == (2, True)
    alone = starter("replay", "open", env=stack.env, program=OUTLAST)
    assert alone.returncode == 0, "open runs of others are counted, and stop no deploy"
    assert "of workflows that this code does not have: " in alone.stdout, "with those that other tests have left open"
    assert "PlanAndExecuteWorkflow (2)" in alone.stdout
    stack.api.script(hold=False)
    stack.done("cancel", "replay-late")
    assert stack.json("result", "replay-open")["state"] == "completed"
    gone = starter("replay", "open", env=stack.env | {"TEMPORAL_ADDRESS": "127.0.0.1:1"})
    assert gone.returncode == 3


def test_the_gate_that_the_guide_shows_for_ci(stack: Stack, tmp_path: Path) -> None:
    """The commands as they stand there, of a library that is installed, about modules and a folder of this project."""
    (tmp_path / "one.json").write_text((RECORDED / "plan-given.json").read_text())
    guide = (PROJECT / "docs" / "deploy.md").read_text().partition("### A gate in CI")[2]
    gates = [line.removeprefix("- run: outlast ") for line in guide.splitlines() if line.startswith("- run: outlast ")]
    assert gates == ["replay histories --module my.workflows", "replay open --module my.workflows"]
    said = []
    for gate in gates:
        arguments = gate.replace("my.workflows", "workflows").replace("histories", str(tmp_path)).split()
        done = starter(*arguments, env=stack.env, program=OUTLAST)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout.splitlines()[-1])
    assert said[0] == "tried 1: 1 replay"
    assert said[1].startswith("tried ")
