"""A wrong result leads back to the step that made it: `why` and `trace` against real processes, one seeded fault each."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")


def steps(*agents: str, first: str = "Collect the facts", **second: Any) -> list[dict[str, Any]]:
    """A chain of two steps, the second made of the first."""
    one, two = agents
    return [
        {"step": "dig", "agent": one, "input": first},
        {"step": "tell", "agent": two, "input": "Write it up", "depends_on": ["dig"]} | second,
    ]


@dataclass(frozen=True)
class Fault:
    """A plan, what the model does wrong in it, which step is to blame, and words that must say why."""

    rules: list[dict[str, Any]]
    says: str
    plan: list[dict[str, Any]] = field(default_factory=lambda: steps("generalist", "writer"))
    blamed: str = "dig"
    code: int = 0


ASKED = "Collect the facts"
FAULTS = {
    "truncated answer": Fault(
        [{"user": ASKED, "text": "The facts are", "stop_reason": "max_tokens"}], "was cut off after"
    ),
    "refusal": Fault([{"user": ASKED, "text": "No.", "stop_reason": "refusal"}], "refused to answer", code=1),
    "rejected request": Fault(
        [{"user": ASKED, "status": 400, "error_type": "invalid_request_error", "message": "no such thing"}],
        "ModelRejected: ",
        code=1,
    ),
    "busy, then fine": Fault(
        [{"user": ASKED, "status": 529, "error_type": "overloaded_error", "headers": {"retry-after": "0"}, "times": 1}],
        "was tried 2 times, because: ",
    ),
    "connection broken off": Fault([{"user": ASKED, "breaks": "stream", "times": 1}], "was tried 2 times, because: "),
    "fallback agent": Fault(
        [{"system": "researcher", "status": 404, "error_type": "not_found_error", "message": "gone"}],
        "researcher was given up for generalist",
        plan=steps("researcher", "writer"),
    ),
    "wrong tool output": Fault(
        [{"user": ASKED, "tool": "read_file", "input": {"path": "figures.csv"}, "before_turn": 1}],
        "tool read_file gave an error: ",
        plan=steps("file-clerk", "writer"),
    ),
    "tool that is not there": Fault(
        [{"user": ASKED, "tool": "Fetch", "input": {}, "before_turn": 1}],
        "could not call a tool: ",
        plan=steps("file-clerk", "writer"),
    ),
    "nothing said": Fault([{"user": ASKED, "text": ""}], "answered nothing"),
}


def wrong(stack: Stack, run: str, *step: str) -> list[str]:
    """What `why` says is wrong, a line each."""
    return [line for line in stack.done("why", run, *step).splitlines() if line.startswith(("✗ ", "! "))]


def test_why_names_the_gate_that_expired(stack: Stack) -> None:
    plan = steps("generalist", "writer")
    plan[0]["confirm"] = True
    request = json.dumps({"plan": {"steps": plan}, "gate": {"deadline": 1}})
    typed = ("--type", "PlanAndExecuteWorkflow", "--task-queue", "agents", "-w", "why-expired-gate")
    stack.temporal("workflow", "start", *typed, "--input", request, "--address", stack.server.address)

    assert stack.run("result", "why-expired-gate").returncode == 1

    blamed = [line for line in wrong(stack, "why-expired-gate", "tell") if "skipped" not in line]
    assert len(blamed) == 1, blamed
    assert blamed[0].startswith("✗ step dig: failed: gate-1: "), blamed
    assert "nobody approved it in time" in blamed[0]
    assert "gate-1: nobody approved it in time" in " ".join(stack.done("trace", "why-expired-gate").split())
    assert stack.api.hits() == [], "nothing was done"


@pytest.mark.parametrize("name", FAULTS)
def test_why_names_the_step_and_the_reason(stack: Stack, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": fault.plan}))
    stack.api.script(rules=fault.rules)

    ended = stack.run("plan", "--plan", str(file), "--id", f"why-{name.replace(' ', '-').replace(',', '')}")

    run = stack.runs()[0]
    assert ended.returncode == fault.code, ended.stderr
    *said, last = wrong(stack, run)
    if fault.code == 0:
        said.append(last)
    else:
        assert last.startswith("✗ the run: failed: "), last
    assert said
    assert all(f"step {fault.blamed}: " in line for line in said if "skipped" not in line), said
    assert any(fault.says in line for line in said), said
    if fault.code == 0:
        assert any(f"step {fault.blamed}: " in line and fault.says in line for line in wrong(stack, run, "tell"))
    assert fault.blamed in stack.done("trace", run)


BEFORE_THE_FIRST_STEP = {
    "no steps": ('{"plan": {"steps": []}}', "PlanAndExecuteWorkflow", "PlanInvalid: ", "step"),
    "no such agent": ('{"agent": "nobody", "task": "x"}', "AgentSessionWorkflow", "UnknownAgent: ", "nobody"),
    "a wrong value": ('{"agent": 5}', "AgentSessionWorkflow", "InputInvalid: agent: ", "valid string"),
    "a missing field": ("{}", "AgentSessionWorkflow", "InputInvalid: agent: ", "Field required"),
}


@pytest.mark.parametrize("name", BEFORE_THE_FIRST_STEP)
def test_a_run_that_failed_before_its_first_step_says_why_everywhere(stack: Stack, name: str) -> None:
    request, workflow, kind, what = BEFORE_THE_FIRST_STEP[name]
    run = f"early-{name.replace(' ', '-')}"
    where = ("--task-queue", "agents", "-w", run, "--address", stack.server.address)
    stack.temporal("workflow", "start", "--type", workflow, "--input", request, *where)
    ended = stack.run("result", run)
    assert (ended.returncode, kind in ended.stderr, what in ended.stderr) == (1, True, True), ended.stderr
    assert "pydantic" not in ended.stderr
    failure = ended.stderr.strip().partition(": ")[2]

    assert f"failed: {failure}" in stack.done("status", run).splitlines()
    assert stack.json("status", run)["error"] == failure
    assert f"failed: {failure}" in stack.done("trace", run).splitlines()
    assert f"✗ the run: failed: {failure}" in wrong(stack, run)
    assert stack.json("report", run, "-o", "-")["error"] == failure
    page = stack.done("report", run, "-o", "-")
    assert "Why it failed" in page
    assert "Nothing failed" not in page
    if kind.startswith("InputInvalid"):
        nothing = f"run {run} failed before it began, so there is nothing to go on from; start it anew: {failure}"
        for command in (("fork", run, "--from-turn", "1"), ("retry", run)):
            refused = stack.run(*command)
            assert (refused.returncode, nothing in refused.stderr) == (2, True), refused.stderr


def test_why_names_a_routing_that_went_wrong(stack: Stack) -> None:
    stack.api.script(
        rules=[
            {"system": "You sort requests", "data": {"category": "gardening", "confidence": 0.9}},
            {"user": "charged twice", "text": "Please water it daily."},
        ]
    )
    stack.run("route", "I was charged twice", "--id", "why-routed")
    said = wrong(stack, "why-routed")
    assert all("step request · route: " in line for line in said), said
    assert any("the classifier said 'gardening', which is not a category here" in line for line in said), said
    # The answer's own step leads back to the routing.
    assert any("'gardening'" in line for line in wrong(stack, "why-routed", "request · general_inquiry"))
    assert "first failure: step request · route" in stack.done("trace", "why-routed")
