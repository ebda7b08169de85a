"""Runs that continue as new after every few events: nothing that is done is done again, and people notice nothing of it."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from outlast.agents.sessions import MessageLog, MessageState
from outlast.cli.reaching import Reach
from outlast.cli.recorded.delegates import whole_tree
from outlast.client import Settings, data_converter
from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    Changes,
    Content,
    DecisionLog,
    DelegationLimits,
    OnStepFailure,
    Part,
    Plan,
    PlanReport,
    PlanRequest,
    PlanStep,
    ProposedAction,
    RunReport,
    RunState,
    StateCarried,
    StepOutcomes,
    StepState,
    Trace,
    breaks,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.forks.forking import fork
from outlast.llm.base import ModelCall, ModelReply
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import Rubric, StagedRequest
from outlast.storage.activities import ContentStore
from tests.processes import dev_server
from tests.replay.test_replay import replayer
from tests.served import EVERY_WORKFLOW
from tests.workflow.base.test_agent_session import SESSION, calls
from tests.workflow.budget.budgeting import chain, dear, fan_out, gate_of, priced, status_of
from tests.workflow.choosing import routing
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.people.steering import status_when
from tests.workflow.plans import staging
from tests.workflow.talking.chats import PAID, Chat, Chatting, answered, pay, said, talk
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow

PLAN = PlanAndExecuteWorkflow.run
EVENTS = 40
"""Events after which the server suggests to continue as new: it refuses nothing below its own 51,200."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = ("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={EVENTS}")
    with dev_server(tmp_path_factory.mktemp("continuing"), options=options) as running:
        yield running.address


@pytest.fixture
async def runner(server: str, settings: Settings, store: ContentStore) -> Runner:
    client = await Client.connect(server, data_converter=data_converter(settings.payload_limit_bytes))
    own = settings.model_copy(update={"task_queue": f"test-{uuid4().hex[:8]}"})
    return Runner(WorkflowEnvironment.from_client(client), own, store)


async def parts_of(handle: WorkflowHandle[Any, Any]) -> int:
    """Count the parts that a run has had."""
    return len(await histories(handle))


async def histories(handle: WorkflowHandle[Any, Any]) -> list[WorkflowHistory]:
    """Return the histories of all parts of a run, the last one first."""
    client, found = handle._client, []
    run_id: str = (await client.get_workflow_handle(handle.id).describe()).run_id
    while run_id:
        found.append(await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history())
        run_id = found[-1].events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return found


async def handed_over(runner: Runner, handle: WorkflowHandle[Any, Any]) -> StateCarried:
    """Return what the last part of a run has taken over."""
    started = (await histories(handle))[0].events[0].workflow_execution_started_event_attributes
    (request,) = await runner.env.client.data_converter.decode(started.input.payloads, [PlanRequest])
    return StateCarried.model_validate_json(await runner.text(request.part_before.state))


async def replays(handle: WorkflowHandle[Any, Any], *more: type) -> None:
    """Replay all parts of a run; `more` are workflows of the test's own."""
    for history in await histories(handle):
        await replayer((*EVERY_WORKFLOW, *more)).replay_workflow(history)


def task_of(call: ModelCall) -> str:
    """Return what an agent with tools was asked at first."""
    return str(call.history[0]["content"] if call.history else call.messages)


def question(call: ModelCall) -> str:
    """Return what a step is asked, without the answers that it is given."""
    return call.messages[-1][1].partition("\n")[0]


def questions(asked: list[ModelCall]) -> Counter[str]:
    """Count the calls by what they ask."""
    return Counter(call.messages[-1][1] for call in asked)


async def test_a_plan_crosses_many_parts_and_no_step_is_done_twice(runner: Runner, tmp_path: Path) -> None:
    """The last step needs the answers of all parts, which take over nothing else of the steps that are done."""
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    async with runner.worker(lambda call: f"answer to {call.messages[-1][1]}") as llm:
        asked = fan_out(20, None, max_parallel=4)
        assert asked.plan is not None
        names = tuple(step.step for step in asked.plan.steps)
        last = PlanStep(step="21", agent="a", input="Question 21?", depends_on=names)
        asked = asked.model_copy(update={"plan": Plan(steps=(*asked.plan.steps, last))})
        handle = await runner.start(PLAN, asked)
        result = await handle.result()
        parts = await parts_of(handle)
        await replays(handle)
        status = await status_of(handle)
        trace = await handle.query("trace", result_type=Trace)
        handed = await handed_over(runner, handle)
    assert parts >= 3
    assert set(questions(llm.calls).values()) == {1}
    assert (len(llm.calls), result.done, result.spend.calls, result.state) == (21, 21, 21, RunState.COMPLETED)
    assert all(f"answer to Question {name}?" in llm.calls[-1].messages[-1][1] for name in names)
    archived = [step for part in handed.archived for step in part.steps]
    assert len(handed.archived) == parts - 1
    assert len(archived) == len(set(archived)) > 20 * (parts - 2) / parts
    assert not any(row.input or row.output or row.ended for row in handed.steps if row.step in archived)
    assert not set(archived) & {name for branch in handed.work.inner.values() for name in branch.inner}
    assert not set(archived) & set(handed.spent)
    report = PlanReport.model_validate_json(await runner.text(result.report))
    assert [row.step for row in report.steps] == [str(number) for number in range(1, 22)]
    assert (await Reach(runner.settings, runner.env.client).in_full(status)).steps == report.steps
    assert {row.state for row in report.steps} == {StepState.DONE}
    assert sorted(call.step for call in report.trace.calls) == sorted(row.step for row in report.steps)
    ended = [row.ended for row in sorted(report.steps, key=lambda row: int(row.step)) if row.ended]
    assert len(set(ended)) > parts, "a row keeps the time at which its step ended"
    assert len(trace.earlier) == parts - 1
    assert len(status.steps) == 21
    assert [answer.step for answer in result.answers] == ["21"]


async def test_a_fork_of_a_run_of_many_parts_asks_what_follows_and_crosses_parts_itself(
    runner: Runner, tmp_path: Path
) -> None:
    """Of 10 steps the fork does the last 7 anew: it crosses borders, too, and is forked in turn."""
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    store, client = runner.store, runner.env.client
    async with runner.worker(lambda call: f"answer to {question(call)}") as llm:
        first = await runner.start(PLAN, chain(10, None))
        answers = [answer.model_dump(mode="json") for answer in (await first.result()).answers]
        assert await parts_of(first) >= 2
        llm.calls.clear()
        second = await fork(client, first.id, store=store, from_step="4")
        result = await second.result()
        assert Counter(map(question, llm.calls)) == {f"Question {number}?": 1 for number in range(4, 11)}
        assert (result["answers"], result["state"], result["spend"]["calls"]) == (answers, RunState.COMPLETED, 7)
        assert await parts_of(second) >= 2
        await replays(second)
        notes = {row.step: row.note for row in (await status_of(second)).steps}
        outcomes = await second.query("outcomes", result_type=StepOutcomes)
        llm.calls.clear()
        result = await (await fork(client, second.id, store=store, from_step="9")).result()
    assert [step for step, note in notes.items() if note == f"taken over from {first.id}"] == [
        str(number) for number in range(1, 4)
    ]
    archived = [StepOutcomes.model_validate_json(await store.text(Part(ref=ref))) for ref in outcomes.earlier]
    asked = [outcome.step for part in (*archived, outcomes) for outcome in part.outcomes]
    assert sorted(map(int, asked)) == list(range(1, 11))
    assert Counter(map(question, llm.calls)) == {f"Question {number}?": 1 for number in (9, 10)}
    assert result["answers"] == answers


async def test_steps_that_fail_are_planned_around_once(runner: Runner, tmp_path: Path) -> None:
    """What failed before a border stays failed behind it, and the planner is asked once."""
    runner = with_agents(
        runner, tmp_path / "agents", {"a": "model: sonnet", "planner": "model: sonnet", "generalist": "model: sonnet"}
    )
    told: list[int] = []

    def script(call: ModelCall) -> str:
        said = call.messages[-1][1]
        if call.system.startswith("You are planner"):
            told.append(said.count('<part label="step '))
            return json.dumps({"steps": [{"step": "n1", "agent": "a", "input": "Once more?", "depends_on": ["1"]}]})
        if said.startswith("Question 15?"):
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not this one")
        return "yes"

    asked = chain(20, None, on_step_failure=OnStepFailure.REPLAN, max_parallel=2)
    assert asked.plan is not None
    free = [step.model_copy(update={"depends_on": ()}) for step in asked.plan.steps[:19]]
    plan = Plan(
        steps=(*free, asked.plan.steps[19].model_copy(update={"depends_on": tuple(step.step for step in free)}))
    )
    async with runner.worker(script) as llm:
        handle = await runner.start(PLAN, asked.model_copy(update={"plan": plan, "max_parallel": 8}))
        result = await handle.result()
        assert await parts_of(handle) >= 2
        await replays(handle)
    assert max(questions(llm.calls).values()) == 1
    assert len(told) == 1
    assert told[0] >= 14, "the planner is given the answers of all parts"
    report = PlanReport.model_validate_json(await runner.text(result.report))
    rows = {row.step: row.state for row in report.steps}
    assert rows["n1"] is StepState.DONE
    assert ("15" in rows, "20" in rows) == (False, False)
    assert [change.stage for change in report.changes] == ["replan"]


async def test_a_tool_agent_of_many_turns_in_a_plan_crosses_borders_between_its_turns(
    runner: Runner, tmp_path: Path
) -> None:
    runner = with_agents(runner, tmp_path / "agents", {"clerk": "model: sonnet\ntools: list_files, write_file"})
    turns = 5

    def script(call: ModelCall) -> ModelReply | str:
        turn = sum(message["role"] == "assistant" for message in call.history)
        name = task_of(call).partition("Write ")[2][0]
        if turn == turns:
            return f"done {name}"
        return calls(("write_file", {"path": f"{name}-{turn}.md", "content": name}), turn=turn)

    steps = tuple(PlanStep(step=name, agent="clerk", input=f"Write {name} now") for name in ("x", "y"))
    async with runner.worker(script) as llm:
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=steps)))
        result = await handle.result()
        assert await parts_of(handle) >= 3
        await replays(handle)
        changes = await handle.query("changes", result_type=Changes)
    assert len(llm.calls) == 2 * (turns + 1)
    assert sorted(path.name for path in runner.settings.workspace.iterdir()) == sorted(
        f"{name}-{turn}.md" for name in ("x", "y") for turn in range(turns)
    )
    assert [change.seq for change in changes.changes] == list(range(1, 2 * turns + 1))
    assert {str(change.state) for change in changes.changes} == {"done"}
    assert {answer.content.text for answer in result.answers} == {"done x", "done y"}
    report = PlanReport.model_validate_json(await runner.text(result.report))
    assert len(report.trace.calls) == 2 * (2 * turns + 1)


async def test_what_was_changed_before_a_border_is_undone_behind_it(runner: Runner, tmp_path: Path) -> None:
    runner = with_agents(runner, tmp_path / "agents", {"clerk": "model: sonnet\ntools: write_file"})

    def script(call: ModelCall) -> ModelReply | str:
        turn = sum(message["role"] == "assistant" for message in call.history)
        number = task_of(call).partition("Question ")[2].partition("?")[0]
        if number == "7":
            raise non_retryable(ErrorKind.MODEL_REJECTED, "no")
        return "ok" if turn else calls(("write_file", {"path": f"{number}.md", "content": "x"}), turn=turn)

    asked = chain(7, None, on_failure=ROLL_BACK_ALL)
    assert asked.plan is not None
    steps = tuple(step.model_copy(update={"agent": "clerk"}) for step in asked.plan.steps)
    async with runner.worker(script):
        handle = await runner.start(PLAN, asked.model_copy(update={"plan": Plan(steps=steps)}))
        with pytest.raises(Exception, match="Workflow execution failed"):
            await handle.result()
        assert await parts_of(handle) >= 2
        changes = await handle.query("changes", result_type=Changes)
    assert Counter(str(change.state) for change in changes.changes) == {"undone": 6}
    assert list(runner.settings.workspace.iterdir()) == []


async def test_a_budget_and_what_people_raised_it_by_go_along(runner: Runner, tmp_path: Path) -> None:
    runner = priced(runner, tmp_path / "agents")
    async with runner.worker(dear) as llm:
        handle = await runner.start(PLAN, chain(8, Budget(calls=6, soft=1)))
        await gate_of(handle)
        assert len(llm.calls) == 6
        assert await parts_of(handle) >= 2
        await replays(handle)
        await handle.signal("decide", {"verdict": "approve", "by": "alice", "edit": {"calls": 2}})
        result = await handle.result()
    assert (len(llm.calls), result.spend.calls, result.state) == (8, 8, RunState.COMPLETED)
    assert result.budget is not None
    assert (result.budget.calls, result.budget.raised) == (8, 1)


async def test_gates_early_decisions_and_a_pause_go_along(runner: Runner, tmp_path: Path) -> None:
    """One gate is open at the border, one is settled before it, one is decided before it opens, and the run is paused there."""
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    asked = chain(14, None)
    assert asked.plan is not None
    confirmed = {"2", "14"}
    steps = [step.model_copy(update={"confirm": step.step in confirmed}) for step in asked.plan.steps]
    beside = PlanStep(step="beside", agent="a", input="Beside?", confirm=True)
    going, paused = asyncio.Event(), asyncio.Event()

    async def answer(call: ModelCall) -> ModelReply:
        if "Question 8?" in call.messages[-1][1] and not going.is_set():
            paused.set()
            await going.wait()
        return ModelReply("yes", model="m", usage=dear(call).usage, stop_reason=dear(call).stop_reason)

    async with runner.worker(answer) as llm:
        handle = await runner.start(PLAN, asked.model_copy(update={"plan": Plan(steps=(*steps, beside))}))
        await _waiting(handle, 1)
        shown = {gate.description: gate.name for gate in (await status_of(handle)).gates}
        await _waiting(handle, 1)
        first = next(name for text, name in shown.items() if "Beside?" in text)
        await _waiting_for(handle, "Question 2?")
        second = next(gate.name for gate in (await status_of(handle)).gates if "Question 2?" in gate.description)
        seen = ProposedAction(description="", agent="a", input={"input": "Question 14?"}).digest
        early = await handle.execute_update(
            "decide", {"gate": "gate-3", "by": "eve", "digest": seen, "verdict": "approve"}
        )
        assert early["kind"] == "early"
        await handle.execute_update("decide", {"gate": second, "verdict": "approve", "by": "bob"})
        await paused.wait()
        assert (await handle.execute_update("pause", {"by": "ann", "reason": "lunch"}))["accepted"]
        going.set()
        before = await parts_of(handle)
        assert before >= 2
        status = await status_of(handle)
        assert status.paused is not None
        assert [gate.name for gate in status.gates] == [first]
        assert (await handle.execute_update("resume"))["accepted"]
        await _calls(llm.calls, 14)
        assert [gate.name for gate in (await status_of(handle)).gates] == [first]
        await handle.execute_update("decide", {"gate": first, "verdict": "approve", "by": "cat"})
        result = await handle.result()
        log = await handle.query("decisions", result_type=DecisionLog)
        assert await parts_of(handle) > before
        await replays(handle)
    assert set(questions(llm.calls).values()) == {1}
    assert (len(llm.calls), result.done) == (15, 15)
    assert breaks(log.records) == ()
    assert [(record.kind.value, record.by) for record in log.records if record.message] == [
        ("early", "eve"),
        ("approved", "bob"),
        ("approved", "cat"),
    ]


async def _waiting(handle: WorkflowHandle[Any, Any], gates: int) -> None:
    async with asyncio.timeout(60):
        while len((await status_of(handle)).gates) < gates:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)


async def _waiting_for(handle: WorkflowHandle[Any, Any], text: str) -> None:
    async with asyncio.timeout(60):
        while not any(text in gate.description for gate in (await status_of(handle)).gates):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _calls(made: list[ModelCall], count: int) -> None:
    async with asyncio.timeout(60):
        while len(made) < count:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)


async def test_stages_with_reviews_cross_borders(runner: Runner) -> None:
    stages = tuple(
        staging.stage(name, attempts=2, rubric=Rubric(criteria=("clear",), good_enough=90, rounds=3))
        for name in ("one", "two", "three")
    )
    scores = (10, 20, 95, 30, 91, 92)
    async with runner.worker(staging.scripted(scores=scores)) as llm:
        handle = await runner.start(staging.RUN, StagedRequest(task=staging.TASK, stages=stages))
        result = await handle.result()
        assert await parts_of(handle) >= 2
    kinds = Counter(staging.kind_of_call(call) for call in llm.calls)
    assert kinds == {"work": 1, "critique": 6, "revision": 3}
    assert [(output.stage, output.score, output.rounds) for output in result.stages] == [
        ("one", 95, 3),
        ("two", 91, 2),
        ("three", 92, 1),
    ]


async def test_requests_cross_borders(runner: Runner) -> None:
    text = next(iter(routing.TEXTS.values()))
    requests = tuple(RequestText(name=f"r{number}", text=Part(text=text)) for number in range(8))
    async with runner.worker(routing.labelling()) as llm:
        handle = await runner.start(RequestHandlingWorkflow.run, RouteRequest(requests=requests, max_parallel=2))
        result = await handle.result()
        assert await parts_of(handle) >= 2
    assert [outcome.name for outcome in result.outcomes] == [request.name for request in requests]
    assert result.spend.calls == len(llm.calls) == sum(1 + len(outcome.answers) for outcome in result.outcomes)
    assert all(outcome.seconds > 0 for outcome in result.outcomes)


async def test_no_message_that_comes_at_a_border_is_lost(runner: Runner, tmp_path: Path) -> None:
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    messages = 20
    async with runner.worker(lambda _: "yes") as llm:
        handle = await runner.start(PLAN, chain(10, None))
        latest = runner.env.client.get_workflow_handle(handle.id)
        for number in range(messages):
            early = {"gate": f"g{number}", "verdict": "approve", "by": f"p{number}"}
            if number % 2:
                await latest.signal("decide", early)
            else:
                assert (await latest.execute_update("decide", early))["kind"] == "early"
        await handle.result()
        log = await handle.query("decisions", result_type=DecisionLog)
        assert await parts_of(handle) >= 3
    assert len(llm.calls) == 10
    assert sorted(record.by for record in log.records) == sorted(f"p{number}" for number in range(messages))
    assert breaks(log.records) == ()


async def test_a_chat_crosses_parts_and_each_message_is_answered_once(runner: Runner, tmp_path: Path) -> None:
    """With messages in the middle of turns, interruptions and gates; what is done long ago is in the content store."""
    runner = with_agents(runner, tmp_path / "agents", {"clerk": "tools: list_files, pay, ask_person"})
    PAID.clear()
    async with runner.worker(agent := Chatting(), tools=[pay]) as llm:
        session = await runner.start(SESSION, talk(agent="clerk"))
        chat = Chat(session, agent)
        for kind in (*("plain",) * 14, "slow", "hold", "pay", "plain", "slow", "ask", "pay"):
            await chat.turn(kind)
        again = await said(session, {"text": "plain #1#", "key": "key 1"})
        await session.execute_update("end", {"by": "ann"})
        result = await session.result()
        parts = await histories(session)
        await replays(session)
    view = result.conversation
    earlier = [MessageLog.model_validate_json(await runner.store.text(Content(ref=ref))) for ref in view.earlier]
    messages = [*(each for log in earlier for each in log.messages), *view.messages]
    assert [each.number for each in messages] == list(range(1, 25))
    assert Counter(each.state for each in messages) == {MessageState.ANSWERED: 23, MessageState.INTERRUPTED: 1}
    assert (again.number, again.repeated) == (1, True)
    assert (len(llm.calls), len(PAID), result.spend.calls) == (24 + 3, 2, 24 + 3)
    spoken = Counter(re.findall(r"#(\d+)#", str([m for m in llm.calls[-1].history if m["role"] == "user"])))
    assert set(spoken.values()) == {1}
    assert len(parts) > 3
    assert view.earlier
    assert max(len(part.events) for part in parts) < 2.5 * EVENTS
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert len([call for call in report.trace.calls if call.model]) == 27


ASKING = {"lead": "agents: [clerk]", "clerk": "tools: write_file\nagents: [thinker]", "thinker": "model: sonnet"}


def asking_others(call: ModelCall) -> Any:
    """A lead has a clerk write a file, who asks a thinker first."""
    turn, name = sum(message["role"] == "assistant" for message in call.history), call.system.split()[-1].rstrip(".")
    said = re.findall(r"Write (\w+)", str([m for m in call.history if m["role"] == "user"] or call.messages))[-1]
    if name == "lead":
        last = call.history[-1]["content"][0]["type"] if call.history else ""
        return (
            "done" if last == "tool_result" else calls(("ask_clerk", {"task": f"Write {said}"}), turn=len(call.history))
        )
    if name == "thinker":
        return "thought"
    acts = ("ask_thinker", {"task": f"Write {said}"}), ("write_file", {"path": f"{said}.md", "content": said})
    return calls(acts[turn], turn=turn) if turn < len(acts) else f"wrote {said}"


async def test_a_plan_whose_agents_ask_others_crosses_borders_between_their_runs(
    runner: Runner, tmp_path: Path
) -> None:
    """What runs below have asked goes on counting: of four agents in all, the second clerk may ask none."""
    runner = with_agents(runner, tmp_path / "agents", ASKING)
    names = ("a", "b")
    steps = tuple(
        PlanStep(step=each, agent="lead", input=f"Write {each}", depends_on=names[:at][-1:])
        for at, each in enumerate(names)
    )
    async with runner.worker(asking_others) as llm:
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=steps), delegation=DelegationLimits(count=4)))
        result = await handle.result()
        parts = await histories(handle)
        await replays(handle)
        changes = await handle.query("changes", result_type=Changes)
    assert len(parts) >= 2
    for part in parts:
        kinds = Counter(event.WhichOneof("attributes") for event in part.events)
        begun = kinds["child_workflow_execution_started_event_attributes"]
        assert begun == kinds["child_workflow_execution_completed_event_attributes"], "a border while a run below works"
    made = Counter(call.system.split()[-1].rstrip(".") for call in llm.calls)
    assert made == {"lead": 4, "clerk": 6, "thinker": 1}
    assert result.spend.calls == len(llm.calls)
    assert [change.arguments.split(",")[0] for change in changes.changes] == ["path=a.md", "path=b.md"]


async def test_a_conversation_whose_agent_asks_others_crosses_borders(runner: Runner, tmp_path: Path) -> None:
    runner = with_agents(runner, tmp_path / "agents", ASKING)
    async with runner.worker(asking_others) as llm:
        session = await runner.start(SESSION, talk(agent="lead"))
        for number in range(1, 3):
            assert (await said(session, f"Write x{number}")).accepted
            await answered(session, number)
        await session.execute_update("end", {"by": "ann"})
        result = await session.result()
        parts = await parts_of(session)
        await replays(session)
    assert parts >= 2
    assert (len(llm.calls), result.spend.calls) == (2 * 6, 2 * 6)
    assert [change.arguments.split(",")[0] for change in result.progress.changes.changes] == [
        f"path=x{number}.md" for number in range(1, 3)
    ]
    assert result.progress.asked == 2, "the count of agents begins anew with each message"


async def test_the_run_of_an_agent_below_crosses_borders_with_what_people_decided(
    runner: Runner, tmp_path: Path
) -> None:
    """What it changed and spent counts once above, whichever part of it that was."""
    agents = {"lead": "agents: [clerk]\ntools: pay", "clerk": "tools: list_files, pay"}
    runner, client = with_agents(runner, tmp_path / "agents", agents), runner.env.client
    PAID.clear()

    def script(call: ModelCall) -> Any:
        turn = sum(message["role"] == "assistant" for message in call.history)
        if "lead" in call.system:
            return (calls(("ask_clerk", {"task": "Pay"})), calls(("pay", {"amount": 3}), turn=1), "done")[turn]
        if turn in (0, 11):
            return calls(("pay", {"amount": turn + 1}), turn=turn)
        return "paid" if turn > 11 else calls(("list_files", {}), turn=turn)

    async with runner.worker(script, tools=[pay]) as llm:
        session = await runner.start(SESSION, talk(agent="lead"))
        await said(session, "Go")
        (below,) = (await status_when(session, lambda status: status.below)).below
        child = client.get_workflow_handle(below.run)
        await child.signal("approve", {"by": "ann", "stop_asking": {"at_most": {"amount": 20}}})
        await answered(session, 1)
        await session.execute_update("end", {"by": "ann"})
        result = await session.result()
        log = await session.query("decisions", result_type=DecisionLog)
        changes = await session.query("changes", result_type=Changes)
        reach = Reach(runner.settings, client)
        found = await reach.find(session.id)
        _, trace = await whole_tree(reach, await reach.status(found), await reach.trace(found))
        parts = await parts_of(child)
        await replays(child)
        await replays(session)
    assert (parts >= 3, await parts_of(session) >= 2) == (True, True)
    assert (PAID, [change.agent for change in changes.changes]) == ([1, 12, 3], ["clerk", "clerk", "lead"])
    assert len(llm.calls) == result.spend.calls == sum(call.spend.calls for call in trace.calls) == 3 + 13
    assert [record.kind for record in log.records] == ["shared", "covered"]
    assert sum(call.approved.startswith("approved by ann for this run") for call in trace.calls) == 2
