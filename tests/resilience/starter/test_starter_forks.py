"""`starter.py fork`, `retry` and `diff` against real processes: what is asked again, what they say, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

BROKEN = {"user": "Part 4", "status": 400, "error_type": "invalid_request_error", "message": "no fours"}


@pytest.fixture
def plan(tmp_path: Path) -> str:
    steps = [
        {"step": n, "agent": "writer", "input": f"Part {n}: write", "depends_on": [n - 1] * (n > 1)}
        for n in range(1, 6)
    ]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": steps}))
    return str(file)


def asked(stack: Stack) -> list[str]:
    return [hit["user"].partition(":")[0] for hit in stack.api.hits()]


def test_a_failed_run_is_retried_forked_and_compared(stack: Stack, plan: str, tmp_path: Path) -> None:
    stack.api.script(rules=[BROKEN])
    assert stack.run("plan", "--plan", plan, "--id", "parts").returncode == 1
    stack.api.reset()

    retried = stack.run("retry", "parts", "--id", "parts-2")

    assert retried.returncode == 0, retried.stderr
    assert asked(stack) == ["Part 4", "Part 5"]
    assert "started parts-2: goes on from parts, with what had not ended well" in retried.stderr
    assert "taken over, and not paid again: 1, 2, 3" in retried.stderr
    again = stack.run("retry", "parts-2")
    assert again.returncode == 2
    assert (
        "nothing failed in run parts-2; to do a step of it again all the same: python starter.py fork" in again.stderr
    )
    stack.api.reset()

    data: Any = stack.json("fork", "parts-2", "--from-step", "4", "--input", "Part 4: write less", "--id", "parts-3")

    assert (data["state"], data["plan"]["steps"][3]["input"]) == ("completed", "Part 4: write less")
    assert asked(stack) == ["Part 4", "Part 5"]
    assert "forked from parts-2, from step 4 on" in stack.done("status", "parts-3")
    assert "forked from parts-2, from step 4 on" in stack.done("trace", "parts-3")
    assert stack.json("why", "parts-3") == []  # to take over an answer is nothing that went wrong
    shown = stack.done("diff", "parts-2", "parts-3")
    assert "step 4 · input, answer" in shown
    assert "the same in both: 1, 2, 3" in shown
    page = tmp_path / "diff.html"
    compared = stack.json("diff", "parts", "parts-3", "--html", str(page))
    assert [pair["step"] for pair in compared["steps"] if pair["changes"]] == ["4", "5"]
    assert "state" in compared["steps"][3]["changes"]
    assert "Part 4: write less" in page.read_text()
    report = stack.done("report", "parts-3", "--output", "-")
    assert "forked from parts-2, from step 4 on" in report
    assert json.loads(stack.temporal("workflow", "describe", "-w", "parts-3", "-o", "json"))["workflowExecutionInfo"][
        "memo"
    ]


def test_what_cannot_be_forked_is_refused_with_what_to_do(stack: Stack, plan: str, tmp_path: Path) -> None:
    stack.done("plan", "--plan", plan, "--id", "forkable")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"taks": "x"}')
    nested = tmp_path / "nested.json"
    nested.write_text('{"gate": {"neded": 2}}')
    stack.api.script(hold=True)
    stack.done("plan", "--plan", plan, "--id", "held", "--detach")
    refused = {
        ("retry", "nobody"): "there is no run 'nobody': none was started under that id, or the server has deleted it",
        (
            "retry",
            "held",
        ): "run held still runs, and what fails in it is tried again by itself; end it first: python starter.py",
        ("fork", "forkable", "--from-step", "9"): "run forkable has no step '9'; its steps are 1, 2, 3, 4, 5",
        ("fork", "forkable", "--from-step", "3", "--agent", "nobody", "--dry-run"): "has no agent 'nobody'; there are ",
        ("fork", "forkable"): "say from where on (--from-step STEP)",
        ("fork", "forkable", "--edit", str(wrong)): "--edit: a request of this run has no taks; it has",
        ("fork", "forkable", "--edit", str(nested)): "--edit: gate.neded: there is no such field; known are ",
        ("fork", "forkable", "--from-step", "2", "--id", "forkable"): "run 'forkable' has ended already (completed)",
    }
    for arguments, why in refused.items():
        ended = stack.run(*arguments)
        assert (ended.returncode, why in ended.stderr) == (2, True), ended.stderr
    stack.api.script(hold=False)
    shown = stack.done("fork", "forkable", "--from-step", "3", "--dry-run")
    assert "taken over  2 · writer" in shown
    assert "to do       3 · writer" in shown
    assert "nothing was started" in shown
