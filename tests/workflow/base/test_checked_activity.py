"""Results that no activity gives, as a person can enter them by hand: every pattern goes on, or ends with a typed error."""

import asyncio
from typing import Any, get_type_hints

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError

from outlast.agents.sessions import AgentSessionRequest
from outlast.contracts import Plan, PlanRequest, PlanStep, RunState
from outlast.documents.activities import DocumentActivities
from outlast.documents.contracts import DocumentSource
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.llm.activities import AgentActivities
from outlast.routing.requests import RequestText, RouteRequest
from outlast.tools.activities import ToolActivities
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import SESSION, calls, in_turn, results, task
from workflows.agent_session import AgentSessionWorkflow
from workflows.contracts.documents import DocumentAnalysisRequest
from workflows.document_analysis import DocumentAnalysisWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow

SHAPES: list[Any] = ["done", None, {"facts": [1]}, [1, "two"], 7, True, "", {"content": 5}, {"content": {"text": 5}}]


def gives(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, value: Any) -> None:
    """Let an activity give this value, whatever it is asked."""

    async def given(self: object, request: Any) -> Any:
        return value

    given.__annotations__ = {"return": get_type_hints(getattr(owner, name))["return"]}  # what workflows expect of it
    monkeypatch.setattr(owner, name, activity.defn(name=name)(given))


async def ended(runner: Runner, workflow: Any, request: Any, script: Any = lambda call: "never") -> tuple[Any, str]:
    """Run a workflow to its end, which must come; returns its result, or None and its error."""
    async with runner.worker(script):
        handle = await runner.start(workflow, request)
        try:
            return await asyncio.wait_for(handle.result(), 20), ""
        except WorkflowFailureError as failure:
            return None, f"{kind_of(failure.cause)}: {text_of(failure.cause)}"


@pytest.mark.parametrize("value", SHAPES, ids=str)
async def test_a_text_is_taken_as_the_answer_and_nothing_is_none(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    gives(monkeypatch, AgentActivities, "call_model", value)
    plan = Plan(steps=(PlanStep(step="1", agent="summariser", input="go"),))
    result, error = await ended(runner, PlanAndExecuteWorkflow.run, PlanRequest(plan=plan))
    if value is None:
        assert error.startswith(ErrorKind.RESULT_INVALID)
    else:
        assert result.state is RunState.COMPLETED
        assert result.answers[0].content.summary.startswith("given by hand:")
        assert not isinstance(value, str) or result.answers[0].content.text == value


@pytest.mark.parametrize("value", ["done", None, {"type": "legal"}, {"content": {"text": "x"}}], ids=str)
async def test_where_data_were_asked_for_a_text_is_a_failure(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    gives(monkeypatch, AgentActivities, "call_model", value)
    request = RouteRequest(requests=(RequestText(name="r", text={"text": "I was charged twice"}),))
    result, error = await ended(runner, RequestHandlingWorkflow.run, request)
    assert ErrorKind.RESULT_INVALID in f"{error} {result}"  # the general handler answers, and the note says why


@pytest.mark.parametrize("value", SHAPES, ids=str)
async def test_a_tools_result_is_text_whatever_it_is(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    gives(monkeypatch, ToolActivities, "call_tool", value)
    heard: list[str] = []

    def script(call: Any) -> Any:
        heard[:] = [str(results(call))]
        return in_turn(calls(("write_file", {"path": "a.md", "content": "A"}), turn=1), "Written.")(call)

    result, _ = await ended(runner, SESSION, task(), script)
    assert result.answer.text == "Written."
    if value == "done":
        assert "done" in heard[0]
    if value is None:
        assert "could not be used" in heard[0]


@pytest.mark.parametrize("value", ["done", None, 7, [], {"tools": "all"}], ids=str)
async def test_tools_that_are_none_fail_the_step(runner: Runner, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    gives(monkeypatch, ToolActivities, "read_toolset", value)
    _, error = await ended(runner, AgentSessionWorkflow.run, AgentSessionRequest(agent="file-clerk", task="Tidy up"))
    assert error.startswith(ErrorKind.RESULT_INVALID)


@pytest.mark.parametrize("value", ["the text", None, {"parts": "x"}], ids=str)
async def test_a_document_that_is_none_fails_alone(runner: Runner, monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    gives(monkeypatch, DocumentActivities, "extract_text", value)
    request = DocumentAnalysisRequest(documents=(DocumentSource(name="a.txt", ref="r", size=1),))
    _, error = await ended(runner, DocumentAnalysisWorkflow.run, request)
    assert ErrorKind.RESULT_INVALID in error
