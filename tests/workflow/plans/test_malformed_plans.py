"""Every malformed plan as a planner's first answer, on the real server: mended or sent back, and never run as it stands.

All runs share one worker, because what is tested is what each of them does, and one after the other they take a minute.
"""

import asyncio
import json
import re
from collections import defaultdict
from typing import Any

from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings
from outlast.contracts import PlanReport, PlanRequest, PlanResult, RunState
from outlast.llm.base import ModelCall
from outlast.storage.activities import ContentStore
from tests.unit.patterns.malformed_plans import MALFORMED, READABLE, UNREADABLE, Malformed
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_plan_and_execute import is_planner, report_of
from workflows.plan_and_execute import PlanAndExecuteWorkflow

GOOD = "good plan for "
AT_ONCE = 8
"""Runs at the same time: more, and on a busy machine their first tasks, which import the workflows, run out of time."""

NAMES = sorted((malformed.name for malformed in MALFORMED), key=len, reverse=True)


def plan_named_in(text: str) -> str:
    return next(name for name in NAMES if f"<{name}>" in text)


class Planner:
    """Gives each run its malformed plan first and a good one afterwards, and keeps which inputs were called."""

    def __init__(self) -> None:
        self.asked: dict[str, list[str]] = defaultdict(list)
        self.called: dict[str, list[str]] = defaultdict(list)

    def __call__(self, call: ModelCall) -> str:
        said = call.messages[-1][1]
        name = plan_named_in(said)
        if not is_planner(call):
            self.called[name].append(re.split(r"<|\n", said)[0])
            return "done"
        self.asked[name].append(said)
        if len(self.asked[name]) > 1:
            return json.dumps({"steps": [{"step": 1, "agent": "writer", "input": f"{GOOD}<{name}>"}]})
        return next(malformed.text for malformed in MALFORMED if malformed.name == name)


async def run(runner: Runner, malformed: Malformed, turn: asyncio.Semaphore) -> tuple[PlanResult, PlanReport]:
    request = PlanRequest(task=f"the task of <{malformed.name}>")
    async with turn:
        handle = await runner.start(PlanAndExecuteWorkflow.run, request)
        result: PlanResult = await handle.result()
    return result, await report_of(runner, result)


async def test_every_run_completes_and_no_invalid_plan_is_executed(
    env: WorkflowEnvironment, settings: Settings, store: ContentStore
) -> None:
    runner, planner, turn = Runner(env, settings, store), Planner(), asyncio.Semaphore(AT_ONCE)
    # Each waiting for a result would lift the lock on time once more, and time would run on while tasks are worked on.
    with env.auto_time_skipping_disabled():
        async with runner.worker(planner):
            ended = await asyncio.gather(*(run(runner, malformed, turn) for malformed in MALFORMED))
    runs = {malformed.name: outcome for malformed, outcome in zip(MALFORMED, ended, strict=True)}
    assert {name for name, (result, _) in runs.items() if result.state is not RunState.COMPLETED} == set()
    for malformed in READABLE:
        _expect_mended(malformed, runs[malformed.name][1], planner)
    for malformed in UNREADABLE:
        _expect_sent_back(malformed, runs[malformed.name][1], planner)


def _expect_mended(malformed: Malformed, report: PlanReport, planner: Planner) -> None:
    name = malformed.name
    assert len(planner.asked[name]) == 1, name
    assert {each.step: set(each.depends_on) for each in report.plan.steps} == malformed.runs, name
    assert {change.stage for change in report.changes} <= {"deterministic"}, name
    assert _missing(malformed, [change.change for change in report.changes]) == [], name
    assert len(planner.called[name]) == len(report.plan.steps), name
    assert not any(GOOD in said for said in planner.called[name]), name


def _expect_sent_back(malformed: Malformed, report: PlanReport, planner: Planner) -> None:
    name = malformed.name
    assert planner.called[name] == [GOOD], name
    assert len(planner.asked[name]) == 2, name
    assert _missing(malformed, [planner.asked[name][1]]) == [], name
    back: list[Any] = [change.change for change in report.changes if change.stage == "planner"]
    assert len(back) == 1, name
    assert back[0].startswith("sent back: "), name
    assert _missing(malformed, back) == [], name


def _missing(malformed: Malformed, texts: list[str]) -> list[str]:
    said = "\n".join(texts)
    return [piece for piece in malformed.told if piece not in said]
