"""People decide at real gates, with a real server and worker: through `starter.py`, and the `temporal` command line."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import binary
from tests.processes import running_starter, wait_for, worker
from tests.stacks import Stack, whole_stack

pytestmark = pytest.mark.xdist_group("deciding")

STEPS = [{"step": 1, "agent": "writer", "input": "Write to the customer", "confirm": True}]
EDITED = "'Quoted', and \"twice\".\nAnother line."
"""What a shell would spoil."""
SECRET = "a secret of at least thirty-two characters"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack")) as running:
        (running.directory / "plan.json").write_text(json.dumps({"steps": STEPS}))
        yield running


def temporal(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [binary("temporal"), "workflow", *arguments, "--address", stack.server.address]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def shows_a_gate(stack: Stack, run: str) -> bool:
    """Whether the server alone, without any worker, says that a run has a gate."""
    return '"gates"' in temporal(stack, "describe", "-w", run, "-o", "json").stdout


def waits(stack: Stack, *runs: str, **settings: str) -> None:
    """Start runs that wait at a gate."""
    for run in runs:
        started = stack.run(
            "plan", "--plan", str(stack.directory / "plan.json"), "--id", run, "--detach", "--requester", "", **settings
        )
        assert started.returncode == 0, started.stderr
    for run in runs:
        wait_for(lambda run=run: shows_a_gate(stack, run), f"{run} waits")  # type: ignore[misc]


def code(stack: Stack, run: str) -> int:
    return stack.run("result", run).returncode


def test_whoever_waits_without_a_terminal_is_told_what_waits_for_a_person(stack: Stack) -> None:
    asked = ("plan", "--plan", str(stack.directory / "plan.json"), "--id", "piped", "--requester", "")
    with running_starter(stack.directory, *asked, env=stack.env, name="piped") as waiting:
        waiting.wait_until(lambda: "gate-1 waits for a person: " in waiting.output, "it says what waits")
        stack.done("approve", "piped", "gate-1")
        assert waiting.wait() == 0, waiting.output
    assert "→ python starter.py approve piped gate-1" in waiting.output
    assert waiting.output.count("waits for a person") == 1


def test_the_temporal_command_line_decides_with_nothing_a_text_or_json(stack: Stack) -> None:
    said = {
        "nothing": ("approve",),
        "text": ("approve", "--input", '"ja"'),
        "json": ("approve", "--input", '{"by": "ada", "reason": "fine"}'),
        "denied": ("deny", "--input", '{"by": "bob", "reason": "too early"}'),
    }
    waits(stack, *said, "updated")

    for run, (name, *inputs) in said.items():
        sent = temporal(stack, "signal", "-w", run, "--name", name, *inputs)
        assert sent.returncode == 0, sent.stderr
    decision = '{"verdict": "approve", "by": "ada", "gate": "gate-1"}'
    updated = temporal(stack, "update", "execute", "-w", "updated", "--name", "decide", "--input", decision)
    assert updated.returncode == 0, updated.stderr

    assert {run: code(stack, run) for run in (*said, "updated")} == {
        "nothing": 0,
        "text": 0,
        "json": 0,
        "denied": 1,
        "updated": 0,
    }
    assert "denied by bob (too early)" in stack.run("result", "denied").stderr


def test_the_starter_shows_what_is_decided_and_why_it_is_refused(stack: Stack) -> None:
    waits(stack, "yes", "no", "edited")

    wrong = stack.run("approve", "yes", "gate-9")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "starter: GATE: no gate 'gate-9' waits there; yes has gate-1 waiting\n",
    )
    other = stack.run("approve", "yes", "--digest", "0" * 12, "--as", "ada")
    assert other.returncode == 2
    assert "it is for the action 000000000000, but this gate is about " in other.stderr
    alone = stack.run("approve", "yes", "--at-most", "amount=5", "--as", "ada")
    assert (alone.returncode, alone.stderr) == (
        2,
        "starter: --at-most: a bound goes with --stop-asking; say it, too\n",
    )
    taken = stack.run("approve", "yes", "--as", "ada")
    assert (taken.returncode, taken.stdout) == (0, "gate-1 of yes: approved by ada\n")
    assert 'arguments {"input": "Write to the customer"}' in taken.stderr
    assert (
        stack.run("deny", "no", "gate-1", "--as", "bob", "--reason", "no need").stdout
        == "gate-1 of no: denied by bob\n"
    )

    broken = stack.run("decide", "edited", "--verdict", "approve", "--edit", '{"input": 3}', "--as", "ada")
    assert broken.returncode == 2
    assert "input: give the step's new input as text" in broken.stderr
    file = stack.directory / "edit.json"
    for text, why in (("[1]", "give an object"), ('{"input": ', "line 1, column 11"), ('{"input": 3}', "as text")):
        file.write_text(text)
        broken = stack.run("decide", "edited", "--verdict", "approve", "--edit-file", str(file), "--as", "ada")
        assert (broken.returncode, why in broken.stderr) == (2, True), broken.stderr
    both = stack.run("decide", "edited", "--verdict", "approve", "--edit-file", str(file), "--edit", "{}")
    assert (both.returncode, "--edit is given too" in both.stderr) == (2, True), both.stderr
    file.write_text(json.dumps({"input": f"Write to nobody.\n{EDITED}"}))
    change = stack.done("decide", "edited", "--verdict", "approve", "--edit-file", str(file), "--as", "ada")
    assert change.startswith("gate-1 of edited: edited by ada; it is another action now, ")
    again = stack.run("approve", "edited", "--as", "ada")
    assert again.returncode == 2
    assert "ada changed this action, and another must approve it" in again.stderr
    stack.api.reset()
    assert stack.done("approve", "edited", "--as", "bob").endswith("approved by bob\n")

    assert {run: code(stack, run) for run in ("yes", "no", "edited")} == {"yes": 0, "no": 1, "edited": 0}
    assert any(EDITED in hit["user"] for hit in stack.api.hits()), "the whole file is what was done"
    late = stack.run("approve", "yes")
    assert (late.returncode, late.stderr) == (2, "starter: yes has ended already (completed); nothing was sent\n")


def test_a_decision_without_a_worker_counts_once_one_is_back(stack: Stack) -> None:
    waits(stack, "alone")
    stack.worker.kill()
    try:
        sent = stack.run("approve", "alone", "--as", "ada")
        assert (sent.returncode, "no worker answers now" in sent.stdout) == (0, True), sent.stderr
    finally:
        stack.worker.start()
    assert code(stack, "alone") == 0
    decided = [line for line in stack.done("audit", "alone").splitlines() if " by ada " in line]
    assert ["approved by ada by way of signal:starter" in line for line in decided] == [True], decided
    assert stack.json("status", "alone")["notices"] == []


def test_where_decisions_must_be_signed_only_a_token_counts(stack: Stack) -> None:
    queue = {"TASK_QUEUE": "signed"}
    directory = stack.directory
    with worker(directory, stack.server, stack.api, name="signed", APPROVER_SECRET=SECRET, **queue):
        waits(stack, "signed", "forged", **queue)
        unsigned = stack.run("approve", "signed", **queue)
        assert unsigned.returncode == 2
        assert "APPROVER_TOKEN: decisions at this gate must be signed" in unsigned.stderr
        forged = stack.run("approve", "forged", APPROVER_SECRET=SECRET[::-1], **queue)
        assert (forged.returncode, "was not made with this deployment's secret" in forged.stderr) == (2, True)
        token = stack.run("approver-token", "ada", "--for", "1h", APPROVER_SECRET=SECRET).stdout.strip()
        posing = stack.run("approve", "signed", "--as", "bob", APPROVER_TOKEN=token, **queue)
        assert "--as bob: APPROVER_TOKEN is the token of ada" in posing.stderr
        signed = stack.run("approve", "signed", APPROVER_TOKEN=token, **queue)
        assert signed.stdout == "gate-1 of signed: approved by ada (signed)\n", signed.stderr
        bound = stack.run(
            "approver-token", "eve", "--run", "forged", "--gate", "gate-1", APPROVER_SECRET=SECRET
        ).stdout.strip()
        pasted = json.dumps({"verdict": "deny", "token": bound})
        assert temporal(stack, "signal", "-w", "forged", "--name", "decide", "--input", pasted).returncode == 0
        assert stack.run("result", "signed", **queue).returncode == 0
        ended = stack.run("result", "forged", **queue)
        assert (ended.returncode, "denied by eve" in ended.stderr) == (1, True), ended.stderr


def test_a_token_needs_the_secret_and_a_time() -> None:
    from outlast.cli.decisions.commands import _time
    from outlast.cli.leaving import LeavingError

    assert _time("90m").total_seconds() == 5400
    for wrong in ("8", "0h", "400d", "-1h", "8 hours"):
        with pytest.raises(LeavingError, match="--for"):
            _time(wrong)


def test_the_inbox_lists_what_waits_and_a_run_is_paused_and_resumed(stack: Stack) -> None:
    waits(stack, "listed")
    wait_for(
        lambda: [one["name"] for one in stack.json("inbox") if one["id"] == "listed"] == ["gate-1"], "it is listed"
    )
    assert "→ python starter.py approve listed gate-1" in stack.done("inbox")
    waits(stack, "-dashed")
    wait_for(lambda: len(stack.json("inbox")) == 2, "both are listed")
    assert "→ python starter.py approve -- -dashed gate-1" in stack.done("status", "--", "-dashed")
    pages = [stack.done("inbox", "--limit", "1", "--page", page) for page in ("1", "2", "3")]
    assert ["→ python starter.py approve listed gate-1" in page for page in pages] == [True, False, False]
    assert ["→ python starter.py approve -- -dashed gate-1" in page for page in pages] == [False, True, False]
    assert [page.splitlines()[-1] for page in pages] == [
        "page 1 of 2, 2 wait in all; later deadlines: --page 2",
        "page 2 of 2, 2 wait in all",
        "page 3 of 2, 2 wait in all: there is no page 3; the last is --page 2",
    ]
    live = stack.run("audit", "--", "-dashed")
    assert (live.returncode, "gate-1 opened" in live.stdout, "1 record · head " in live.stdout) == (0, True, True), live
    assert stack.done("approve", "--as", "ada", "--", "-dashed", "gate-1") == "gate-1 of -dashed: approved by ada\n"
    assert stack.run("result", "--", "-dashed").returncode == 0
    unregistered = stack.run("inbox", "--indexed")
    assert (unregistered.returncode, "python starter.py setup-namespace" in unregistered.stderr) == (2, True)
    assert ": deploy" in stack.done("pause", "listed", "--as", "ada", "--reason", "deploy")
    assert stack.done("resume", "listed") == "listed goes on\n"
    again = stack.run("resume", "listed")
    assert (again.returncode, again.stderr) == (2, "starter: listed changes nothing: it is not paused\n")
    assert stack.done("setup-namespace").startswith("default: registered AgentPattern, ")
    assert stack.done("setup-namespace").startswith("default has all search attributes")
    # Only a gate that opens once a worker knows of the attributes is in the index, and the others are not shown.
    stack.worker.kill()
    stack.worker.start()
    waits(stack, "known")
    wait_for(lambda: [one["id"] for one in stack.json("inbox", "--indexed")] == ["known"], "it is in the index")
    assert {one["id"] for one in stack.json("inbox")} == {"known", "listed"}
    stack.done("deny", "known")
    stack.done("deny", "listed")
