"""The durable agent: tool calls, their errors, limits, summing up, sessions that go on, agents with tools in plans, fallbacks."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.agents.sessions import AgentSessionRequest, SessionLimits, SessionProgress
from outlast.contracts import Plan, PlanRequest, PlanStep, RunState, RunStatus, StopReason, ToolCall, Usage
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from tests.activity.storage.storing import count_reads
from tests.workflow.conftest import Runner, with_agents
from workflows.agent_session import AgentSessionWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow

SESSION = AgentSessionWorkflow.run


def calls(*wanted: tuple[str, dict[str, Any]], turn: int = 0, tokens: int = 10) -> ModelReply:
    """Reply with tool calls."""
    made = tuple(ToolCall(id=f"t{turn}-{at}", name=name, input=given) for at, (name, given) in enumerate(wanted))
    return ModelReply("", StopReason.TOOL_USE, Usage(input_tokens=tokens, output_tokens=5), "m", tool_calls=made)


def results(call: ModelCall) -> list[dict[str, Any]]:
    """Return the tool results that a call carries, oldest first."""
    return [
        block
        for message in call.history
        if message["role"] == "user"
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


def in_turn(*replies: ModelReply | str) -> Script:
    """Answer one after the other, by the number of answers in the conversation so far."""

    def script(call: ModelCall) -> ModelReply | str:
        turn: int = sum(message["role"] == "assistant" for message in call.history)
        return replies[turn]

    return script


def task(text: str = "Tidy up", agent: str = "file-clerk", **fields: Any) -> AgentSessionRequest:
    return AgentSessionRequest(agent=agent, task=text, **fields)


WRITING = (
    calls(("write_file", {"path": "a.md", "content": "A"}), ("write_file", {"path": "b.md", "content": "B"}), turn=1),
    calls(("list_files", {}), turn=2),
    "Both files are written.",
)


async def test_an_agent_calls_tools_until_it_answers(runner: Runner) -> None:
    result, llm = await runner.run(in_turn(*WRITING), SESSION, task())
    assert (result.state, result.stopped, result.answer.text) == (RunState.COMPLETED, "", "Both files are written.")
    assert (result.progress.turns, result.progress.tool_calls) == (3, 3)
    assert sorted(path.name for path in runner.settings.workspace.iterdir()) == ["a.md", "b.md"]
    assert [block["tool_use_id"] for block in results(llm.calls[2])] == ["t1-0", "t1-1", "t2-0"]
    assert results(llm.calls[2])[2]["content"] == "a.md\nb.md"
    assert {tool.name for tool in llm.calls[0].tools} >= {"read_file", "write_file"}
    assert result.progress.transcript.messages == 6


async def test_errors_that_the_model_can_mend_go_to_the_model(runner: Runner) -> None:
    script = in_turn(
        calls(("read_file", {"path": "no.md"}), ("read_file", {"file": 1}), ("launch_rocket", {}), turn=1),
        "It is not there.",
    )
    result, llm = await runner.run(script, SESSION, task())
    said = results(llm.calls[1])
    assert result.state is RunState.COMPLETED
    assert [block.get("is_error") for block in said] == [True, True, True]
    assert "cannot be opened" in said[0]["content"]
    assert "'path' is a required property" in said[1]["content"]
    assert "there is no tool 'launch_rocket'" in said[2]["content"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (SessionLimits(turns=2), "its 2 turns are used up"),
        (SessionLimits(tokens=20), "its 20 tokens are used up"),
    ],
)
async def test_limits_end_a_session_and_say_so(runner: Runner, limits: SessionLimits, said: str) -> None:
    result, llm = await runner.run(lambda _: calls(("list_files", {}), turn=len(said)), SESSION, task(limits=limits))
    assert (result.state, result.stopped) == (RunState.PARTIAL, said)
    assert len(llm.calls) == 2


async def test_a_full_conversation_is_summed_up_and_goes_on(runner: Runner) -> None:
    window = 4096

    def script(call: ModelCall) -> ModelReply | str:
        said = str(call.history[-1]["content"]) if call.history else ""
        if "Sum up for yourself" in said:
            return "I have seen that the folder is empty."
        if "what you have done so far" in " ".join(text for _, text in call.messages):
            return "Nothing to do."
        return calls(("list_files", {}), tokens=window)

    result, llm = await runner.run(script, SESSION, task())
    assert result.answer.text == "Nothing to do."
    assert result.progress.compactions == 1
    assert "the folder is empty" in llm.calls[-1].messages[0][1]
    assert "Tidy up" in llm.calls[-1].messages[0][1]


async def test_a_cancelled_session_leaves_a_conversation_to_go_on_from(real_runner: Runner) -> None:
    asked = asyncio.Event()

    async def hold() -> str:
        asked.set()
        await asyncio.sleep(3600)
        return "never"

    def script(call: ModelCall) -> Any:
        turns = sum(message["role"] == "assistant" for message in call.history)
        return WRITING[0] if turns == 0 else hold()

    async with real_runner.worker(script):
        handle = await real_runner.start(SESSION, task())
        await asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        progress = await handle.query(AgentSessionWorkflow.progress)
    assert isinstance(progress, SessionProgress)
    result, llm = await real_runner.run(
        in_turn("", "Gone on."), SESSION, task("And now?", continues=progress.resumable)
    )
    assert result.answer.text == "Gone on."
    opened = [
        block["id"] for message in llm.calls[0].history for block in message["content"] if block["type"] == "tool_use"
    ]
    assert opened == [block["tool_use_id"] for block in results(llm.calls[0])]


async def test_what_120_turns_cost_grows_in_a_straight_line(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured: about 6 events a turn of one model and one tool call, wherever in the session the turn lies."""
    reads = count_reads(monkeypatch)
    content = runner.settings.state_dir / "content"
    costs: dict[int, dict[str, float]] = {}
    for turns in (30, 120):
        replies = [calls(("list_files", {}), turn=turn) for turn in range(turns - 1)]
        async with runner.worker(in_turn(*replies, "Done.")) as llm:
            handle = await runner.start(SESSION, task(limits=SessionLimits(turns=turns + 1)))
            result = await handle.result()
            history = await handle.fetch_history()
        assert (result.answer.text, len(llm.calls), result.progress.turns) == ("Done.", turns, turns)
        costs[turns] = {
            "bytes": sum(event.ByteSize() for event in history.events),
            "events": len(history.events),
            "stored": sum(file.stat().st_size for file in content.glob("??/*")),
        }
        # A worker has what it wrote; an attempt that is made again looks for the reply of the one before.
        assert [key for key in reads if not key.removeprefix("trash/").startswith("named/")] == []
    costs[120]["stored"] -= costs[30]["stored"]
    assert all(each / 120 <= 1.2 * costs[30][name] / 30 for name, each in costs[120].items()), costs
    assert costs[120]["bytes"] / 120 < 4000


async def test_an_agent_with_tools_works_in_a_plan_as_well(runner: Runner) -> None:
    plan = Plan(
        steps=(PlanStep(step="1", agent="file-clerk", input="Write"), PlanStep(step="2", agent="writer", input="Say"))
    )

    working = in_turn(*WRITING)

    def script(call: ModelCall) -> Any:
        return working(call) if call.tools else "said"

    result, _ = await runner.run(script, PlanAndExecuteWorkflow.run, PlanRequest(plan=plan))
    assert result.state is RunState.COMPLETED
    assert (runner.settings.workspace / "a.md").read_text() == "A"


def failing(*models_or_agents: str) -> Script:
    def script(call: ModelCall) -> str:
        if any(
            name in (call.model, call.system.removeprefix("You are ").removesuffix(".")) for name in models_or_agents
        ):
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")
        return f"{call.system} on {call.model}"

    return script


async def hops(runner: Runner, script: Script, request: Any) -> tuple[Any, Sequence[tuple[str, str]]]:
    async with runner.worker(script):
        handle = await runner.start(SESSION, request)
        result = await handle.result()
        status: RunStatus = await handle.query(AgentSessionWorkflow.status)
    return result, [(hop.origin, hop.target) for hop in status.hops]


async def test_fallbacks_lead_over_another_model_and_agents_to_a_canned_answer(runner: Runner, tmp_path: Path) -> None:
    ours = with_agents(
        runner, tmp_path / "agents", {"a": "fallback: [b, 'say: We will write to you.']", "b": "model: other"}
    )
    plan = PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="a", input="Hello"),)))
    result, _ = await ours.run(failing("a", "b"), PlanAndExecuteWorkflow.run, plan)
    assert result.answers[0].content.text == "We will write to you."
    result, _ = await ours.run(failing("a"), PlanAndExecuteWorkflow.run, plan)
    assert result.answers[0].content.text.startswith("You are b.")


async def test_a_person_answers_last_or_is_not_waited_for_for_ever(runner: Runner, tmp_path: Path) -> None:
    ours = with_agents(runner, tmp_path / "agents", {"a": "fallback: person"})
    plan = PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="a", input="Hello?"),)))
    async with ours.worker(failing("a")):
        handle = await ours.start(PlanAndExecuteWorkflow.run, plan)
        with ours.env.auto_time_skipping_disabled():
            async with asyncio.timeout(30):
                while not (await handle.query(PlanAndExecuteWorkflow.status)).questions:  # noqa: ASYNC110  a query has no event
                    await asyncio.sleep(0.05)
            await handle.signal("answer", args=[1, 2, 3])
            await handle.signal("answer", "It is me.")
            result = await handle.result()
        status = await handle.query(PlanAndExecuteWorkflow.status)
    assert result.answers[0].content.text == "It is me."
    assert [(hop.origin, hop.target) for hop in status.hops] == [("a", "person")]
    assert ["answer with 3 inputs" in notice for notice in status.notices] == [True]
    with pytest.raises(WorkflowFailureError) as caught:
        await ours.run(failing("a"), PlanAndExecuteWorkflow.run, plan)
    assert caught.value.cause is not None
    assert kind_of(caught.value.cause) is ErrorKind.NOT_ANSWERED


async def test_a_bad_agent_file_stops_only_the_plan_that_names_its_agent(runner: Runner, tmp_path: Path) -> None:
    ours = with_agents(runner, tmp_path / "agents", {"writer": "model: haiku", "painter": "max_tokens: many"})
    (tmp_path / "agents" / "README.md").write_text("# The team\n")
    plans = {
        name: PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent=name, input="go"),)))
        for name in ("writer", "painter")
    }
    async with ours.worker(lambda call: "written"):
        sound = await (await ours.start(PlanAndExecuteWorkflow.run, plans["writer"])).result()
        with pytest.raises(WorkflowFailureError) as failure:
            await (await ours.start(PlanAndExecuteWorkflow.run, plans["painter"])).result()
    assert sound.state is RunState.COMPLETED
    assert kind_of(failure.value.cause) is ErrorKind.PLAN_INVALID
    assert "painter.md:4: max_tokens: input should be a valid integer" in text_of(failure.value.cause)
