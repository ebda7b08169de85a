"""Runs that continue as new after every few events: nothing that is done is done again, and people notice nothing of it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from outlast.cli.reaching import Reach
from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    Changes,
    OnStepFailure,
    Part,
    Plan,
    PlanReport,
    PlanRequest,
    PlanStep,
    RunState,
    StepOutcomes,
    StepState,
    Trace,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.forks.forking import fork
from outlast.llm.base import ModelCall, ModelReply
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import Rubric, StagedRequest
from tests.workflow.budget.budgeting import chain, dear, fan_out, gate_of, priced, status_of
from tests.workflow.choosing import routing
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.continuing.parts import handed_over, parts_of, question, questions, replays, runner, server, task_of
from tests.workflow.plans import staging
from tests.workflow.talking.test_agent_session import calls
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow

__all__ = ["runner", "server"]

PLAN = PlanAndExecuteWorkflow.run


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
