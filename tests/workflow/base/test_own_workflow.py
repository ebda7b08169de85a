"""A workflow of a user's own gets all that ours have, from its base alone; and answers of a type are what they say."""

import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

import worker
from outlast.client import data_converter
from outlast.contracts import ROLL_BACK_ALL, Budget, ChangeState, RunReport, RunState, RunStatus, StepState
from outlast.errors import ErrorKind, kind_of, retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from outlast.worker.sandbox import TolerantReplayer
from tests.policed import policed
from tests.workflow.base.own_workflow import Letter, LetterRequest, Triage, TriageRequest, TriageResult
from tests.workflow.conftest import Runner
from tests.workflow.people.gating import waiting
from tests.workflow.talking.test_agent_session import calls
from tests.workflow.undo.rolling_back import REFUSAL

LOW, HIGH = json.dumps({"severity": "low"}), json.dumps({"severity": "high", "why": "the shop is down"})
WRITES = calls(("write_file", {"path": "incident.md", "content": "The shop is down."}))


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WORKFLOWS", (*worker.WORKFLOWS, Triage, Letter))


def scripted(*assessments: str, clerk: tuple[ModelReply | str, ...] = (WRITES, "Written.")) -> Script:
    """Both assess in turn by the same texts, however often they are asked; the clerk answers by its turns."""

    def script(call: ModelCall) -> ModelReply | str:
        if not call.tools and "Write the incident down" in str(call.messages):
            return clerk[-1]  # the clerk's fallback
        if call.tools:
            turn: int = sum(message["role"] == "assistant" for message in call.history)
            return clerk[turn]
        return assessments[sum(role == "assistant" for role, _ in call.messages)]

    return script


async def started(runner: Runner, **fields: Any) -> WorkflowHandle[Any, TriageResult]:
    return await runner.start(Triage.run, TriageRequest(ticket="The shop does not answer.", **fields))


async def replayed(handle: WorkflowHandle[Any, Any]) -> None:
    replayer = TolerantReplayer(
        workflows=[Triage, Letter], data_converter=data_converter(512 * 1024), workflow_runner=policed()
    )
    await replayer.replay_workflow(await handle.fetch_history())


async def test_agents_a_gate_and_an_undoable_tool_in_one_run_that_replays(runner: Runner) -> None:
    async with runner.worker(scripted(HIGH)) as llm:
        handle = await started(runner, budget=Budget(calls=10))
        with runner.env.auto_time_skipping_disabled():
            await waiting(handle)
            await handle.signal(Triage.approve, {"by": "ada"})
            result = await handle.result()
        status = await handle.query(Triage.status)
    assert (result.severity, result.approved_by, result.state) == ("high", ("ada",), RunState.COMPLETED)
    assert [change.state for change in result.changes.changes] == [ChangeState.DONE]
    assert (result.spend.calls, len(llm.calls)) == (4, 4)
    assert result.budget is not None
    assert result.budget.spent.calls == 4
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert [row.step for row in report.steps] == ["analyst", "sceptic", "file-clerk"]
    assert (status.pattern, status.state) == ("triage", RunState.COMPLETED)
    await replayed(handle)


async def test_a_run_that_fails_undoes_what_its_tools_changed(runner: Runner) -> None:
    async with runner.worker(scripted(HIGH, clerk=(WRITES, REFUSAL))):
        handle = await started(runner, on_failure=ROLL_BACK_ALL)
        with runner.env.auto_time_skipping_disabled():
            await waiting(handle)
            await handle.signal(Triage.approve)
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
        changes = await handle.query(Triage.changes)
    assert isinstance(caught.value.cause, ApplicationError)
    assert "rolled back" in caught.value.cause.message
    assert [change.state for change in changes.changes] == [ChangeState.UNDONE]
    await replayed(handle)


async def test_outcomes_come_in_the_order_in_which_they_were_asked_for(runner: Runner) -> None:
    """Here the first agent is the last to answer."""
    asked: list[str] = []

    def script(call: ModelCall) -> ModelReply | str:
        asked.append(call.agent)
        if call.agent == "analyst" and asked.count("analyst") == 1:
            raise retryable(ErrorKind.MODEL_UNAVAILABLE, "later", after=timedelta(seconds=2))
        return json.dumps({"severity": "high", "why": call.agent})

    async with runner.worker(script):
        handle = await started(runner)
        await waiting(handle)
        status: RunStatus = await handle.query(Triage.status)
        await handle.signal(Triage.deny)
        await handle.result()
    assert asked[-1] == "analyst"
    assert status.gates[0].description.endswith("analyst; sceptic")
    await replayed(handle)


async def test_a_misspelt_field_of_a_request_is_told_of_and_changes_nothing(runner: Runner) -> None:
    """A newer program may send fields that this one does not know; a person may have misspelt who has to approve."""
    written = {"ticket": "It burns.", "gatee": {"needed": 2}, "budget": {"calls": 9, "usdd": 1}}
    async with runner.worker(scripted(LOW)):
        handle = await runner.env.client.start_workflow(
            "Triage", written, id="misspelt", task_queue=runner.settings.task_queue
        )
        result = await handle.result()
        status: RunStatus = await handle.query("status", result_type=RunStatus)
    assert result["severity"] == "low"
    assert [notice.partition("; known are ")[0] for notice in status.notices] == [
        "of the request was ignored: gatee: there is no such field",
        "of the request was ignored: budget.usdd: there is no such field",
    ]
    await replayed(handle)


async def test_an_answer_that_only_its_type_refuses_is_repaired(runner: Runner) -> None:
    unreasoned = json.dumps({"severity": "high"})
    async with runner.worker(scripted(unreasoned, "no JSON at all", LOW)) as llm:
        handle = await started(runner)
        result = await handle.result()
    assert (result.severity, result.spend.calls) == ("low", 6)
    assert any("say why it is high" in text for call in llm.calls for _, text in call.messages)
    await replayed(handle)


async def test_an_answer_that_never_fits_its_type_is_a_typed_failure(runner: Runner) -> None:
    async with runner.worker(scripted(*[json.dumps({"severity": "high"})] * 9)):
        handle = await started(runner)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        status = await handle.query(Triage.status)
    assert kind_of(caught.value.cause) is ErrorKind.OUTPUT_INVALID
    assert status.state is RunState.FAILED
    assert {row.state for row in status.steps} == {StepState.FAILED}
    await replayed(handle)


async def test_a_budget_holds_for_any_workflow(runner: Runner) -> None:
    async with runner.worker(scripted(HIGH)):
        handle = await started(runner, budget=Budget(tokens=10))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert kind_of(caught.value.cause) is ErrorKind.BUDGET_REACHED


async def test_every_pattern_is_one_call_in_a_users_own_workflow(runner: Runner) -> None:
    def script(call: ModelCall) -> str:
        wanted = (call.output_schema or {}).get("properties", {})
        if "category" in wanted:
            return json.dumps({"category": "bill", "confidence": 0.9})
        if "verdict" in wanted:
            return json.dumps({"evidence": [], "reasons": "r", "verdict": "no", "confidence": 0.8})
        return json.dumps({"remarks": [], "score": 70}) if "score" in wanted else "words"

    async with runner.worker(script):
        handle = await runner.start(Letter.run, LetterRequest(text="Pay me."))
        result = await handle.result()
        status = await handle.query(Letter.status)
    assert (result.category, result.verdict, result.score) == ("bill", "no", 70)
    assert sorted(result.planned) == ["1", "2"]
    assert result.state is RunState.COMPLETED
    assert [row.step for row in status.steps] == [
        "route",
        "1",
        "2",
        "vote · analyst",
        "vote · sceptic",
        "review · critique 1",
    ]
    await replayed(handle)
