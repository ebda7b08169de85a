"""Rollback when a person asks for it, and in plans: parallel branches, checkpoints, partial success."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowHandle

from outlast.contracts import (
    ROLL_BACK_ALL,
    Extent,
    Plan,
    PlanReport,
    PlanRequest,
    PlanStep,
    RollbackAnswer,
    RollbackPolicy,
    RunState,
    StopReason,
    ToolCall,
    Usage,
)
from outlast.errors import ErrorKind, kind_of, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.tools.tool import Tool
from tests.workflow.talking.test_agent_session import task
from tests.workflow.undo.rolling_back import (
    EDITS,
    PLAN,
    SESSION,
    WRITES,
    Bench,
    D,
    U,
    bench,
    changes_of,
    states,
    then_holding,
)
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]


async def wait_until_asked(bench: Bench, send: Callable[["WorkflowHandle[Any, Any]"], Awaitable[Any]]) -> Any:
    asked = asyncio.Event()
    async with bench.runner.worker(then_holding(asked, WRITES, EDITS)):
        handle = await bench.runner.start(SESSION, task())
        await asked.wait()
        answer = await send(handle)
        error = await bench.fails(handle)
        changes = await changes_of(handle)
    assert kind_of(error) is ErrorKind.ROLLED_BACK
    assert "rolled back as asked: 3 undone" in str(error)
    assert (states(changes), changes.reason, bench.files) == ([U, U, U], "a person asked for it", {"a.md": "old"})
    return answer


@pytest.mark.parametrize("given", [[], ["all"], [None], [{"extent": "all"}], ['{"extent": "all"}'], [{}]])
async def test_a_running_session_is_rolled_back_by_a_signal(bench: Bench, given: list[Any]) -> None:
    await wait_until_asked(bench, lambda handle: handle.signal("rollback", args=given))


async def test_a_running_session_is_rolled_back_by_an_update_that_answers(bench: Bench) -> None:
    async def send(handle: "WorkflowHandle[Any, Any]") -> list[RollbackAnswer]:
        wrong: list[list[Any]] = [[1, 2], ["nowhere"], [5], [{"extent": "sometimes"}], ["{"], [{"extent": "keep"}]]
        update = AgentSessionWorkflow.roll_back_asked
        return [await handle.execute_update(update, args=given) for given in [*wrong, []]]

    *refused, taken = await wait_until_asked(bench, send)
    assert [answer.accepted for answer in refused] == [False] * 6
    assert "there is no checkpoint 'nowhere'; none was reached yet" in refused[1].reason
    assert taken == RollbackAnswer(accepted=True)


def files_plan(*steps: tuple[str, tuple[str, ...]]) -> Plan:
    return Plan(steps=tuple(PlanStep(step=n, agent="file-clerk", input=f"do {n}", depends_on=on) for n, on in steps))


def step_of(call: ModelCall) -> str:
    """Name the step that a call is for, wherever in its conversation it is."""
    found = re.search(r"do (one|two|bad|p|q|r)\b", f"{call.history} {call.messages}")
    assert found, call
    return found[1]


def writing_step(call: ModelCall) -> Any:
    """Write the file that the step is named after, then end; step `bad` cannot."""
    step = step_of(call)
    if step == "bad":
        raise non_retryable(ErrorKind.MODEL_REJECTED, "no")
    if any(message["role"] == "assistant" for message in call.history):
        return "done"
    given = {"path": f"{step}.md", "content": "x"}
    made = ToolCall(id="one", name="write_file", input=given)
    return ModelReply("", StopReason.TOOL_USE, Usage(), "m", tool_calls=(made,))


async def test_parallel_branches_are_undone_in_the_order_of_their_ends(bench: Bench) -> None:
    order = {"p": asyncio.Event(), "q": asyncio.Event(), "r": asyncio.Event()}
    order["r"].set()
    after = {"r": "p", "p": "q", "q": ""}

    async def around(inner: Tool, arguments: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        name = str(getattr(arguments, "path", "")).removesuffix(".md")
        if inner.name != "write_file":
            return await run()
        await order[name].wait()
        return await run()

    bench.around = around

    def script(call: ModelCall) -> Any:
        step = step_of(call)
        if any(message["role"] == "assistant" for message in call.history) and after[step]:
            order[after[step]].set()  # only once the call before it has reached the workflow
        return writing_step(call)

    def scripted(call: ModelCall) -> Any:
        return writing_step(call) if step_of(call) == "bad" else script(call)

    plan = files_plan(("p", ()), ("q", ()), ("r", ()), ("bad", ("p", "q", "r")))
    request = PlanRequest(plan=plan, on_failure=ROLL_BACK_ALL)
    async with bench.runner.worker(scripted):
        handle = await bench.runner.start(PLAN, request)
        error = await bench.fails(handle)
        changes = await changes_of(handle)
    assert kind_of(error) is ErrorKind.MODEL_REJECTED
    assert (states(changes), bench.undone) == ([U, U, U], ["q.md", "p.md", "r.md"])
    assert bench.files == {"a.md": "old"}


async def test_a_plan_goes_back_to_a_checkpoint(bench: Bench) -> None:
    plan = files_plan(("one", ()), ("two", ("one",)), ("bad", ("two",)))
    policy = RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint="one")
    async with bench.runner.worker(writing_step):
        handle = await bench.runner.start(PLAN, PlanRequest(plan=plan, on_failure=policy))
        await bench.fails(handle)
        changes = await changes_of(handle)
    assert states(changes) == [D, U]
    assert changes.summary == "1 undone, 1 kept"
    assert bench.files == {"a.md": "old", "one.md": "x"}


async def test_a_plan_that_succeeds_in_part_is_rolled_back_and_says_so_in_result_and_report(bench: Bench) -> None:
    request = PlanRequest(plan=files_plan(("one", ()), ("bad", ())), on_failure=ROLL_BACK_ALL)
    result, _ = await bench.runner.run(writing_step, PLAN, request)
    assert (result.state, result.rollback) == (RunState.PARTIAL, "1 undone")
    report = PlanReport.model_validate_json(await bench.runner.text(result.report))
    assert states(report.rollback) == [U]
    assert "step bad" in report.rollback.reason
    assert bench.files == {"a.md": "old"}
