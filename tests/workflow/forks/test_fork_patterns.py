"""Forks and retries of every pattern: only what failed, or comes after the step, is asked again; and no effect is repeated."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from activities.search.contracts import SourceKind
from outlast.agents.sessions import AgentSessionRequest, SessionLimits
from outlast.cli.reaching import Reach
from outlast.cli.runs.ended_rollback import roll_back_ended
from outlast.contracts import ROLL_BACK_ALL, Plan, PlanRequest, PlanStep, RunState, RunStatus
from outlast.errors import ErrorKind, non_retryable
from outlast.forks.forking import fork, retry
from outlast.forks.reading import ForkError
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from outlast.stages.contracts import StagedRequest
from tests.workflow.choosing import researching, routing, voting
from tests.workflow.choosing.test_parallel_research import all_three
from tests.workflow.conftest import Runner
from tests.workflow.forks.test_forks import status_of
from tests.workflow.plans import staging, test_document_analysis
from tests.workflow.talking.test_agent_session import calls, in_turn, results
from workflows.agent_session import AgentSessionWorkflow
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.contracts.documents import DocumentAnalysisRequest
from workflows.contracts.research import ResearchRequest
from workflows.document_analysis import DocumentAnalysisWorkflow
from workflows.parallel_research import ParallelResearchWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow
from workflows.staged_delivery import StagedDeliveryWorkflow

PLAN, SESSION = PlanAndExecuteWorkflow.run, AgentSessionWorkflow.run


async def forked(runner: Runner, run: str, **wanted: Any) -> WorkflowHandle[Any, Any]:
    return await fork(runner.env.client, run, store=runner.store, **wanted)


async def retried(runner: Runner, run: str, **wanted: Any) -> WorkflowHandle[Any, Any]:
    return await retry(runner.env.client, run, store=runner.store, **wanted)


def workspace_of(runner: Runner) -> Path:
    runner.settings.workspace.mkdir(parents=True, exist_ok=True)
    return runner.settings.workspace


def roles(made: list[ModelCall]) -> Counter[str]:
    """Who was asked, by the first words of the system prompt."""
    return Counter(" ".join(call.system.split()[:4]) for call in made)


async def test_documents_keep_what_is_done_in_each(real_runner: Runner) -> None:
    files = [await test_document_analysis.source(real_runner, f"{n}.md", f"# Lease {n}\n\nRent {n}.\n") for n in "ab"]
    well: Script = test_document_analysis.scripted()

    def without_summary_of_b(call: ModelCall) -> str:
        if call.system.startswith("You write summaries") and "analysis b" in call.messages[0][1]:
            raise non_retryable(ErrorKind.MODEL_REFUSED, "no")
        which = " b" if "Lease b" in call.messages[0][1] else " a"
        said = well(call)
        assert isinstance(said, str)
        return said if call.output_schema else said + which

    async with real_runner.worker(without_summary_of_b) as llm:
        first = await real_runner.start(DocumentAnalysisWorkflow.run, DocumentAnalysisRequest(documents=tuple(files)))
        assert (await first.result()).state is RunState.PARTIAL
        llm.calls.clear()
        llm.script = well
        result = await (await retried(real_runner, first.id)).result()
        assert (result["state"], len(llm.calls)) == (RunState.COMPLETED, 1)
        assert llm.calls[0].system.startswith("You write summaries")
        llm.calls.clear()
        again = await forked(real_runner, first.id, from_step="a.md · analyse", agent="general-analyst")
        await again.result()
        # In a.md the analysis, by the other agent, and its summary; in b.md the summary that had failed.
        assert len(llm.calls) == 3
        rows = {row.step: row for row in (await status_of(again)).steps}
    assert rows["a.md · analyse"].agent == "general-analyst"
    assert rows["b.md · analyse"].note == f"taken over from {first.id}"


async def test_a_research_keeps_its_searches_and_notes(real_runner: Runner) -> None:
    def no_synthesis(call: ModelCall) -> str:
        if "What do these notes say" in researching.said(call):  # whoever is asked to join them
            raise non_retryable(ErrorKind.MODEL_REFUSED, "no")
        return researching.citing(call)

    given = all_three()
    async with real_runner.worker(no_synthesis, given) as llm:
        first = await real_runner.start(ParallelResearchWorkflow.run, ResearchRequest(topic="heat pumps"))
        with pytest.raises(WorkflowFailureError):
            await first.result()
        searched = {kind: len(source.asked) for kind, source in given.items()}  # type: ignore[attr-defined]
        llm.calls.clear()
        llm.script = researching.citing
        result = await (await retried(real_runner, first.id)).result()
        assert (result["state"], len(llm.calls)) == (RunState.COMPLETED, 1)
        llm.calls.clear()
        # A reader that answers the same leaves nothing else to ask, but the fork was told to do all that comes after.
        await (await forked(real_runner, first.id, from_step=f"{SourceKind.NEWS} · read")).result()
        assert roles(llm.calls).total() == 2
    assert {kind: len(source.asked) for kind, source in given.items()} == searched  # type: ignore[attr-defined]


async def test_a_panel_keeps_its_votes(real_runner: Runner) -> None:
    async with real_runner.worker(voting.panel(analyst="yes", sceptic=voting.FAIL)) as llm:
        request = voting.request(voting.TWO, rule={"kind": "unanimous"}, on_tie="flag")
        first = await real_runner.start(ConsensusAnalysisWorkflow.run, request)
        await first.result()
        llm.calls.clear()
        llm.script = voting.panel(analyst="no", sceptic="yes")
        result = await (await retried(real_runner, first.id)).result()
    assert [voting.who(call) for call in llm.calls] == ["sceptic"]
    assert (result["verdict"], result["agreed"]) == ("yes", True)


async def test_requests_keep_their_routes_and_answers(real_runner: Runner) -> None:
    def technical_fails(call: ModelCall) -> str:
        if "error 500" in routing.said(call):
            raise non_retryable(ErrorKind.MODEL_REFUSED, "no")
        return routing.handling(call)

    async with real_runner.worker(routing.labelling(handler=technical_fails)) as llm:
        first = await real_runner.start(
            RequestHandlingWorkflow.run, routing.asking(routing.BILLING, routing.TECHNICAL, routing.GENERAL)
        )
        await first.result()
        llm.calls.clear()
        llm.script = routing.labelling()
        result = await (await retried(real_runner, first.id)).result()
        assert (result["state"], len(llm.calls)) == (RunState.COMPLETED, 1)
        assert "error 500" in routing.said(llm.calls[0])
        llm.calls.clear()
        await (await forked(real_runner, first.id, from_step="request-1 · route")).result()
        # Its route and its answer, and what had failed.
        assert len(llm.calls) == 3


async def test_stages_keep_what_is_done_down_to_their_sub_steps(real_runner: Runner) -> None:
    two = staging.plan_json((1, "writer", "do first part", []), (2, "writer", "do second part", [1]))

    def script(call: ModelCall) -> Any:
        if staging.kind_of_call(call) == "plan":
            return two if staging.stage_of(call) == "draft" else staging.one_step(call)
        if failing and staging.asked(call) == "do second part":
            raise non_retryable(ErrorKind.MODEL_REFUSED, "no")
        return f"result of {staging.asked(call)}"

    failing = [True]
    stages = [staging.stage("outline"), staging.stage("draft", max_steps=2), staging.stage("polish")]
    request = StagedRequest(task=staging.TASK, stages=tuple(stages))
    async with real_runner.worker(script) as llm:
        first = await real_runner.start(StagedDeliveryWorkflow.run, request)
        with pytest.raises(WorkflowFailureError):
            await first.result()
        failing.clear()
        llm.calls.clear()
        second = await retried(real_runner, first.id)
        await second.result()
        asked = [staging.kind_of_call(call) for call in llm.calls]
        assert staging.asked(llm.calls[0]) == "do second part"
        assert asked == ["work", "work"]  # the stage polish is one step, which needs no plan
        llm.calls.clear()
        third = await forked(real_runner, second.id, from_step="draft · 2")
        await third.result()
        assert [staging.kind_of_call(call) for call in llm.calls] == ["work", "work"]
        llm.calls.clear()
        await (await forked(real_runner, second.id, from_step="draft")).result()
        assert len(llm.calls) == 4  # the plan of the stage, its two steps, and the stage after it


async def test_a_session_goes_on_from_a_turn_with_another_word(real_runner: Runner) -> None:
    script = in_turn(calls(("list_files", {}), turn=1), calls(("list_files", {}), turn=2), "There is nothing.")
    workspace_of(real_runner)
    async with real_runner.worker(script) as llm:
        first = await real_runner.start(SESSION, AgentSessionRequest(agent="file-clerk", task="Look around"))
        await first.result()
        llm.calls.clear()
        second = await forked(real_runner, first.id, from_turn=3, text="Say it in one word.")
        result = await second.result()
        (call,) = llm.calls
        assert [block["tool_use_id"] for block in results(call)] == ["t1-0", "t2-0"]
        assert call.history[-1]["content"][-1]["text"] == "Say it in one word."
        assert call.history[0]["content"][0]["text"] == "Look around"
        assert result["progress"]["turns"] == 3
        assert (await status_of(second)).forked == f"{first.id}, from turn 3 on"
        with pytest.raises(ForkError, match="has had 3 turns"):
            await forked(real_runner, first.id, from_turn=4)
        with pytest.raises(ForkError, match="name a turn with --from-turn"):
            await forked(real_runner, first.id, from_step="session")


async def test_a_failed_session_is_retried_where_it_broke_off(real_runner: Runner) -> None:
    broken = [True]

    def script(call: ModelCall) -> Any:
        if not results(call):
            return calls(("list_files", {}), turn=1)
        if broken:
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")
        return "There is nothing."

    workspace_of(real_runner)
    async with real_runner.worker(script) as llm:
        first = await real_runner.start(SESSION, AgentSessionRequest(agent="file-clerk", task="Look around"))
        with pytest.raises(WorkflowFailureError):
            await first.result()
        llm.calls.clear()
        broken.clear()
        result = await (await retried(real_runner, first.id)).result()
        assert result["answer"]["text"] == "There is nothing."
        assert [len(results(call)) for call in llm.calls] == [1]
        limited = AgentSessionRequest(agent="file-clerk", task="Look", limits=SessionLimits(turns=1))
        third = await real_runner.start(SESSION, limited)
        await third.result()
        with pytest.raises(ForkError, match=r"a limit ended session .* --edit FILE"):
            await retried(real_runner, third.id)
        more = await forked(real_runner, third.id, edit={"limits": {"turns": 5}})
        assert (await more.result())["state"] == RunState.COMPLETED


def writing(path: str) -> Any:
    """A clerk that writes a file of its step's number, and then says so; a step without a number only answers."""

    def script(call: ModelCall) -> Any:
        text = str(call.history[0]["content"]) if call.history else call.messages[-1][1]
        if results(call) or "write" not in text:
            return "written" if results(call) else "nothing to write"
        return calls(("write_file", {"path": path, "content": "X"}), turn=1)

    return script


def filing(last: str = "do nothing") -> Plan:
    return Plan(
        steps=(
            PlanStep(step="1", agent="file-clerk", input="write the file"),
            PlanStep(step="2", agent="file-clerk", input=last, depends_on=("1",)),
        )
    )


async def test_no_effect_is_repeated_or_undone_by_a_fork(real_runner: Runner) -> None:
    workspace = workspace_of(real_runner)
    async with real_runner.worker(writing("a.md")) as llm:
        first = await real_runner.start(PLAN, PlanRequest(plan=filing()))
        await first.result()
        (workspace / "a.md").write_text("changed since")
        llm.calls.clear()
        # Taken over with its effect: nothing is written, and a rollback of the fork finds nothing to undo.
        second = await forked(real_runner, first.id, from_step="2")
        await second.result()
        assert (workspace / "a.md").read_text() == "changed since"
        assert len(llm.calls) == 1
        assert (await second.query("changes")).get("changes") is None
        # What changed something is not done again unless that is said.
        with pytest.raises(ForkError, match=r"step 1 called write_file\(path=a.md.*rollback .*--repeat-effects"):
            await forked(real_runner, first.id, from_step="1")
        third = await forked(real_runner, first.id, from_step="1", repeat_effects=True)
        await third.result()
        assert (workspace / "a.md").read_text() == "X"
        keys = [change["key"] for change in (await third.query("changes"))["changes"]]
        assert [key.partition("/")[0] for key in keys] == [third.id]


async def test_a_fork_of_a_fork_repeats_no_effect_of_the_first_run(real_runner: Runner) -> None:
    workspace = workspace_of(real_runner)
    async with real_runner.worker(writing("a.md")):
        first = await real_runner.start(PLAN, PlanRequest(plan=filing()))
        await first.result()
        (workspace / "a.md").write_text("changed since")
        second = await forked(real_runner, first.id, from_step="2")
        await second.result()
        with pytest.raises(ForkError, match=rf"changed something in run {first.id} .*rollback {first.id}"):
            await forked(real_runner, second.id, from_step="1")
        # It is rolled back by another workflow, as it has ended, and then the step counts as done in neither run.
        reach = Reach(real_runner.settings, real_runner.env.client)
        (workspace / "a.md").write_text("X")
        _, whole = await roll_back_ended(reach, await first.describe(), "")
        assert whole
        assert not (workspace / "a.md").exists()
        for run in (first.id, second.id):
            await (await forked(real_runner, run, from_step="2")).result()
            assert (workspace / "a.md").read_text() == "X"
            (workspace / "a.md").unlink()


async def test_a_step_that_is_asked_something_else_does_not_repeat_its_effect(real_runner: Runner) -> None:
    workspace = workspace_of(real_runner)
    before = PlanStep(step="0", agent="file-clerk", input="do nothing")
    steps = filing().steps
    plan = Plan(steps=(before, steps[0].model_copy(update={"depends_on": ("0",)}), steps[1]))
    said = ["nothing to write"]

    def script(call: ModelCall) -> Any:
        text = call.history[0]["content"] if call.history else call.messages[-1][1]
        return said[0] if str(text).endswith("do nothing") and not call.history else writing("a.md")(call)

    async with real_runner.worker(script):
        first = await real_runner.start(PLAN, PlanRequest(plan=plan))
        await first.result()
        with pytest.raises(ForkError, match="step 1 called write_file"):
            await forked(real_runner, first.id, from_step="0")
        (workspace / "a.md").unlink()
        # A request that is edited as a whole: only the run itself finds out that the step is asked something else.
        second = await forked(real_runner, first.id, edit={"result_schema": {"type": "object"}}, from_step="2")
        with pytest.raises(WorkflowFailureError):
            await second.result()
    assert not (workspace / "a.md").exists()


async def test_what_was_rolled_back_is_done_again_and_not_taken_for_done(real_runner: Runner) -> None:
    workspace = workspace_of(real_runner)

    def script(call: ModelCall) -> Any:
        if failing and "do nothing" in str(call.messages) + str(call.history):
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")
        return writing("a.md")(call)

    failing = [True]
    async with real_runner.worker(script):
        first = await real_runner.start(PLAN, PlanRequest(plan=filing(), on_failure=ROLL_BACK_ALL))
        with pytest.raises(WorkflowFailureError):
            await first.result()
        assert not (workspace / "a.md").exists()
        failing.clear()
        second = await retried(real_runner, first.id)
        await second.result()
        status: RunStatus = await status_of(second)
    assert (workspace / "a.md").read_text() == "X"
    assert [row.note for row in status.steps] == ["", ""]


async def test_a_session_does_not_repeat_the_effects_of_its_turns(real_runner: Runner) -> None:
    workspace_of(real_runner)
    async with real_runner.worker(writing("a.md")) as llm:
        first = await real_runner.start(
            SESSION, AgentSessionRequest(agent="file-clerk", task="write the file", allowed=("shout",))
        )
        await first.result()
        with pytest.raises(ForkError, match="step session called write_file"):
            await forked(real_runner, first.id, from_turn=1)
        llm.calls.clear()
        second = await forked(real_runner, first.id, from_turn=2, text="Really?")
        await second.result()
        assert len(llm.calls) == 1
        assert (await second.query("changes")).get("changes") is None
        # The turns of a fork are counted on from those that it took over.
        with pytest.raises(ForkError, match="has had 1 turns; choose from 2 to 2; it goes on from another session"):
            await forked(real_runner, second.id, from_turn=1)
        third = await forked(real_runner, second.id, from_turn=2, text="Surely?")
        await third.result()
        before, now = await second.query("progress"), await third.query("progress")
        assert (now["turns"], now["tool_calls"]) == (before["turns"], before["tool_calls"]) == (2, 1)
        assert now["transcript"]["messages"] == before["transcript"]["messages"] + 1  # "Surely?" beside "Really?"
