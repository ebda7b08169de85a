"""Scripts and stages for runs of staged delivery: who is asked what, told apart by the words of the request."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from outlast.contracts import RunReport, StepRow
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall
from outlast.stages.contracts import Stage, StagedRequest, StagedResult
from tests.workflow.conftest import Runner
from workflows.staged_delivery import StagedDeliveryWorkflow

RUN = StagedDeliveryWorkflow.run
TASK = "Write a product brief for a bicycle light."
PRICES = {
    "type": "object",
    "properties": {"price": {"type": "integer"}},
    "required": ["price"],
    "additionalProperties": False,
}

CRITIC = "Judge the draft by these criteria"
REWRITE = "Rewrite the draft"
JOIN = "Put the results of the steps together"

Says = Callable[[ModelCall], Any]


def said(call: ModelCall) -> str:
    """Return all that an agent was told."""
    return "\n".join(text for _, text in call.messages)


def asked(call: ModelCall) -> str:
    """Return the question, without the material around it."""
    return re.sub(r'<part label="[^"]*">\n.*?\n</part>', "", call.messages[0][1], flags=re.DOTALL).strip()


def part(call: ModelCall, label: str) -> str:
    """Return what stands in the part of that label; fails if there is none."""
    found = re.search(rf'<part label="{re.escape(label)}">\n(.*?)\n</part>', said(call), re.DOTALL)
    assert found, f"no part {label!r} in {said(call)}"
    return found.group(1)


def labels(call: ModelCall) -> list[str]:
    """Return the labels of the material, in order."""
    return re.findall(r'<part label="([^"]*)">', call.messages[0][1])


def kind_of_call(call: ModelCall) -> str:
    """Name what a call is for: plan, critique, revision, join, or work."""
    if call.system.startswith("You plan work"):
        return "plan"
    for words, kind in ((CRITIC, "critique"), (REWRITE, "revision"), (JOIN, "join")):
        if words in asked(call):
            return kind
    return "work"


def stage_of(call: ModelCall) -> str:
    """Name the stage that a planner or an agent was given to do."""
    found = re.search(r"Do the stage '([^']*)'", asked(call))
    return found.group(1) if found else ""


def plan_json(*steps: tuple[Any, str, str, Sequence[Any]]) -> str:
    """Write a plan of (id, agent, input, depends_on)."""
    fields = ("step", "agent", "input", "depends_on")
    return json.dumps({"steps": [dict(zip(fields, step, strict=True)) for step in steps]})


def critique(score: int, remark: str = "fine") -> str:
    """Write a critique that fits its schema."""
    return json.dumps({"remarks": [{"criterion": "clear", "remark": remark}], "score": score})


def one_step(call: ModelCall) -> str:
    """Plan a stage as one step of its first allowed agent."""
    agent = re.findall(r"^- (\S+):", said(call), re.MULTILINE)[0]
    return plan_json((1, agent, f"do {stage_of(call)}", []))


def scripted(
    plan: Says = one_step,
    work: Says = lambda call: f"result of {asked(call)}",
    scores: Sequence[Any] = (90,),
    revision: Says | None = None,
) -> Says:
    """Answer each kind of call; `scores` are the critic's in turn, of which an exception is raised."""
    left = list(scores)
    revisions = 0

    def answer(call: ModelCall) -> Any:
        nonlocal revisions
        kind = kind_of_call(call)
        if kind == "critique":
            score = left.pop(0)
            if isinstance(score, Exception):
                raise score
            return score if isinstance(score, str) else critique(score, f"remark with {score}")
        if kind == "revision":
            revisions += 1
            return revision(call) if revision else f"revision {revisions}"
        return plan(call) if kind == "plan" else work(call)

    return answer


def stage(name: str, *agents: str, **fields: Any) -> Stage:
    """Build a stage by the writer that needs no plan."""
    given = {"goal": f"the {name}", "agents": agents or ("writer",), "max_steps": 1, "attempts": 1}
    return Stage.model_validate({"name": name} | given | fields)


async def deliver(runner: Runner, script: Any, **fields: Any) -> tuple[StagedResult, list[ModelCall]]:
    result, llm = await runner.run(script, RUN, StagedRequest.model_validate({"task": TASK} | fields))
    assert isinstance(result, StagedResult)
    return result, llm.calls


async def failure(runner: Runner, script: Any, **fields: Any) -> tuple[ApplicationError, list[ModelCall]]:
    async with runner.worker(script) as llm:
        handle = await runner.start(RUN, StagedRequest.model_validate({"task": TASK} | fields))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause, llm.calls


async def rows_of(runner: Runner, result: StagedResult) -> dict[str, StepRow]:
    report = RunReport.model_validate_json(await runner.text(result.report))
    return {row.step: row for row in report.steps}


def refusing(*words: str) -> Any:
    """Refuse work whose question holds one of the words."""

    def answer(call: ModelCall) -> str:
        if any(word in asked(call) for word in words):
            raise non_retryable(ErrorKind.MODEL_REJECTED, f"cannot do {asked(call)[:20]}")
        return f"result of {asked(call)}"

    return answer
