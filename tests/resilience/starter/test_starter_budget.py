"""Budgets from the command line, on real processes: shown, raised, denied, and kept where the worker is killed in the middle."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import binary
from tests.processes import wait_for
from tests.stacks import Stack, whole_stack

STEPS = [{"step": "1", "agent": "writer", "input": "Do job 1."},
         {"step": "2", "agent": "writer", "input": "Do job 2.", "depends_on": ["1"]}]  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def plan(tmp_path: Path) -> str:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": STEPS}))
    return str(file)


def decide(stack: Stack, run: str, name: str, value: str) -> None:
    """Send a decision as a person does without our starter."""
    wait_for(lambda: stack.json("status", run)["gates"], "the run waits at its gate")
    command = [binary("temporal"), "workflow", "signal", "-w", run, "--name", name, "--input", value]
    subprocess.run([*command, "--address", stack.server.address], check=True, capture_output=True)


def test_a_run_stops_at_its_budget_or_goes_on_as_people_decide(stack: Stack, plan: str) -> None:
    stack.done("plan", "--plan", plan, "--budget-calls", "1", "--budget-usd", "5", "--id", "denied", "--detach")
    decide(stack, "denied", "deny", '{"by": "bob", "reason": "enough"}')
    ended = stack.run("result", "denied")
    assert ended.returncode == 1
    assert "starter: BudgetReached: " in ended.stderr
    assert "denied by bob (enough)" in ended.stderr
    assert "1 of 1 calls" in ended.stdout
    assert "of $5.0000 · " in stack.done("trace", "denied")
    _is_retried(stack)
    stack.done("plan", "--plan", plan, "--budget-calls", "1", "--id", "raised", "--detach")
    decide(stack, "raised", "approve", '{"by": "alice"}')
    assert "budget: 2 of 2 calls · raised once" in stack.done("result", "raised")
    assert "budget: 2 of 2 calls · raised once" in stack.done("status", "raised")


def _is_retried(stack: Stack) -> None:
    """What is left is done with the same budget, unspent, or with another one; what was paid is kept."""
    before = len(stack.api.hits())
    again = stack.run("retry", "denied", "--id", "denied-2")
    assert again.returncode == 0, again.stderr
    assert "note: run denied had used up its budget ($" in again.stderr
    assert "retry with --budget-usd, --budget-tokens or --budget-calls" in again.stderr
    assert len(stack.api.hits()) == before + 1
    assert "1 of 1 calls" in stack.done("status", "denied-2")
    shown = stack.run("retry", "denied", "--budget-calls", "7", "--dry-run", "--json")
    assert '"calls": 7' in shown.stdout
    assert '"usd": 5.0' in shown.stdout
    assert "used up" not in shown.stderr + shown.stdout


def test_a_call_whose_worker_was_killed_counts_as_the_worst_it_can_have_cost(stack: Stack, plan: str) -> None:
    stack.api.reset()
    stack.api.script(rules=[{"user": "Do job 2", "times": 1, "breaks": "silence"}])
    stack.done("plan", "--plan", plan, "--budget-usd", "5", "--id", "killed", "--detach")
    wait_for(lambda: len(stack.api.hits()) == 2, "job 2 is streaming")
    stack.worker.kill()
    stack.worker.start()

    result = stack.json("result", "killed")

    assert (result["state"], len(stack.api.hits())) == ("completed", 3)
    assert result["spend"]["calls"] == 3
    # The writer's 8,192 tokens and the 16,000 that its model may think, at 10 USD a million.
    assert 0.24192 <= result["spend"]["usd"] < 0.26
    assert result["budget"]["reserved"]["usd"] == 0
