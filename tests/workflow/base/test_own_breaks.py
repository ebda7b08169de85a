"""What a user's own workflow does wrong, or in another way than ours do: nothing is lost, and every error names its fix."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from pydantic import BaseModel, RootModel
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

import worker
from outlast.agents.answers import schema_of
from outlast.contracts import ROLL_BACK_ALL, Budget, ChangeState
from outlast.errors import ErrorKind, kind_of
from outlast.llm.base import ModelCall, ModelReply
from outlast.tools.tool import Tool
from tests.workflow.base.own_workflow import Careless, Chatty, TriageRequest, Untyped
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import calls
from tests.workflow.undo.rolling_back import Bench


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WORKFLOWS", (*worker.WORKFLOWS, Careless, Chatty))


async def test_what_an_orphan_changes_is_undone_too(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, undone = Bench(runner, monkeypatch), asyncio.Event()

    async def late(tool: Tool, _: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        if tool.name != "write_file":
            undone.set()
        else:
            with suppress(TimeoutError):  # the undo of a call that is at work must not overtake it
                await asyncio.wait_for(undone.wait(), 1)
        return await run()

    bench.around = late

    def script(call: ModelCall) -> ModelReply | str:
        turn = sum(message["role"] == "assistant" for message in call.history)
        return calls(("write_file", {"path": f"{turn}.md", "content": "new"}), turn=turn) if turn < 2 else "done"

    async with runner.worker(script):
        handle = await runner.start(Careless.run, TriageRequest(ticket="t", on_failure=ROLL_BACK_ALL))
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        changes = await handle.query(Careless.changes)
    assert not list(runner.settings.workspace.glob("[01].md"))
    assert {each.state for each in changes.changes} == {ChangeState.UNDONE}


async def test_an_agent_that_is_asked_before_the_run_begins_is_within_the_budget(runner: Runner) -> None:
    async with runner.worker(lambda _: "answered") as llm:
        handle = await runner.env.client.start_workflow(
            Chatty.run,
            TriageRequest(ticket="t", budget=Budget(tokens=10)),
            id=f"chatty-{id(runner)}",
            task_queue=runner.settings.task_queue,
            start_signal="ask_now",
            start_signal_args=["now"],
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert kind_of(caught.value.cause) is ErrorKind.BUDGET_REACHED
    assert not llm.calls


def test_a_run_without_the_type_of_its_request_names_the_fix() -> None:
    with pytest.raises(ApplicationError, match="dict was given; annotate the request in its run"):
        Untyped({"ticket": "t"})  # type: ignore[arg-type]


class Tagged(RootModel[list[str]]):
    """No object, as every answer is one."""


class Tree(BaseModel):
    """Refers to itself, so that its schema is a reference."""

    name: str
    below: "list[Tree]" = []


def test_a_type_that_no_answer_can_have_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ApplicationError, match="result: Tagged is no object but array"):
        schema_of(Tagged)
    assert "$ref" in schema_of(Tree)
