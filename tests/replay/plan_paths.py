"""The paths of plans and of documents."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from outlast.contracts import OnStepFailure, PlanRequest, StopReason, Usage
from outlast.documents.contracts import DocumentSource
from outlast.errors import ErrorKind, non_retryable
from outlast.forks.preparing import Wanted, prepare
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_document_analysis import LEASE, source
from tests.workflow.plans.test_document_analysis import scripted as reading
from tests.workflow.plans.test_plan_and_execute import (
    BRANCHES,
    failing,
    is_planner,
    plan_json,
    plan_of,
    said,
    scripted,
    step,
)
from workflows.contracts.documents import DocumentAnalysisRequest
from workflows.document_analysis import DocumentAnalysisWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow

PLAN = PlanAndExecuteWorkflow.run
DOCUMENTS = DocumentAnalysisWorkflow.run


def planned(script: Callable[[], Script], *, cancel: bool = False, local: bool = True, **fields: Any) -> Path:
    async def request(runner: Runner) -> PlanRequest:
        return PlanRequest(**fields)

    return Path(PLAN, request, script, cancel, local)


def documents(script: Callable[[], Script], **files: str | bytes) -> Path:
    async def request(runner: Runner) -> DocumentAnalysisRequest:
        sources: list[DocumentSource] = [
            await source(runner, name.replace("_", "."), data) for name, data in files.items()
        ]
        return DocumentAnalysisRequest(documents=tuple(sources))

    return Path(DOCUMENTS, request, script)


def refusing(call: ModelCall) -> Any:
    if call.system.startswith("You are a writer"):
        return ModelReply("", StopReason.REFUSAL, Usage(input_tokens=5), call.model)
    return "from the generalist"


def cutting(call: ModelCall) -> ModelReply:
    reason = StopReason.MAX_TOKENS if len(call.messages) == 1 else StopReason.END_TURN
    return ModelReply("part ", reason, Usage(output_tokens=1), call.model)


def narrow(call: ModelCall) -> str:
    if sum(len(text) for _, text in call.messages) > 20_000:
        raise non_retryable(ErrorKind.CONTEXT_EXCEEDED, "prompt is too long")
    return "long " * 8000 if said(call).startswith("do 1") else "short"


def planless(call: ModelCall) -> str:
    if is_planner(call):
        raise non_retryable(ErrorKind.MODEL_REJECTED, "no planner today")
    return "fine"


async def _never() -> str:
    await asyncio.sleep(3600)
    return "late"


GRAPH = plan_json(step(1), step(2, "researcher", depends_on=[1]), step(3, depends_on=[1, 2]))
CIRCLE = plan_json(step(1, depends_on=[2]), step(2, depends_on=[1]))
NOBODY = plan_json(step(1, "nobody"))
EDGES = json.dumps({"nodes": [step(1), step(2)], "edges": [[1, 2]]})
LONG = "\n\n".join(f"Clause {n}. " + "The tenant shall keep the premises in good repair. " * 8 for n in range(60))


async def _forked(runner: Runner) -> PlanRequest:
    """Go on from a step of a plan that has ended, with another agent on another model."""
    first = await runner.start(PLAN, PlanRequest(plan=BRANCHES))
    await first.result()
    wanted = Wanted(from_step=BRANCHES.steps[-1].step, agent="analyst", model="haiku")
    prepared = await prepare(runner.env.client, runner.store, first.id, wanted)
    return PlanRequest.model_validate(prepared.request)


PLAN_PATHS: dict[str, Path] = {
    "plan-generated": planned(lambda: scripted(GRAPH), task="write about tides"),
    "plan-repaired": planned(lambda: scripted(plan_json(step(2, "WRITER", depends_on=[1, 1]), step(1))), task="t"),
    "plan-sent-back": planned(lambda: scripted(CIRCLE, plan_json(step(1))), task="t"),
    "plan-edges": planned(lambda: scripted(f"Here it is: {EDGES}"), task="t"),
    "plan-fallback": planned(lambda: scripted(NOBODY, NOBODY, NOBODY), task="boil an egg"),
    "plan-planner-fails": planned(lambda: planless, task="t", fallback_plan=plan_of(step("a"))),
    "plan-given": planned(lambda: scripted(), plan=BRANCHES),
    "plan-narrow": planned(lambda: scripted(), plan=BRANCHES, max_parallel=1),
    "plan-dry-run": planned(lambda: scripted(), plan=BRANCHES, dry_run=True),
    "plan-forked": Path(PLAN, _forked, lambda: scripted()),
    "plan-refused": planned(lambda: scripted(), plan=plan_of(step(1, "nobody"))),
    "plan-nothing-to-do": planned(lambda: scripted()),
    "plan-skips-dependents": planned(lambda: failing("1"), plan=BRANCHES),
    "plan-fails-fast": planned(lambda: failing("1"), plan=BRANCHES, on_step_failure=OnStepFailure.FAIL_FAST),
    "plan-replans": planned(
        lambda: scripted(
            plan_json(step(1), step(2, depends_on=[1])),
            plan_json(step(3, "researcher", depends_on=[1])),
            steps=failing("2"),
        ),
        task="t",
        on_step_failure=OnStepFailure.REPLAN,
    ),
    "plan-fallback-agent": planned(lambda: refusing, plan=plan_of(step(1))),
    "plan-continued": planned(lambda: cutting, local=False, plan=plan_of(step(1))),
    "plan-compacted": planned(lambda: narrow, plan=plan_of(step(1), step(2, depends_on=[1]))),
    "plan-of-a-class": replace(
        planned(lambda: scripted(), local=False, plan=plan_of(step(1), step(2, "request-classifier", depends_on=[1]))),
        settings={"model_classes": {"dear": {"models": ["sonnet"]}}},
    ),
    "plan-cancelled": planned(lambda: lambda call: _never(), plan=plan_of(step(1), step(2)), cancel=True),
}

DOCUMENT_PATHS: dict[str, Path] = {
    "documents-one": documents(reading, lease_md=LEASE),
    "documents-one-bad-of-two": documents(reading, lease_md=LEASE, photo_png=b"\x89PNG\r\n\x1a\n" + bytes(500)),
    "documents-all-bad": documents(reading, empty_txt=b"  "),
    "documents-unknown-type": documents(lambda: reading("recipe"), soup_md=LEASE),
    "documents-in-parts": documents(reading, long_md=LONG),
}
