"""Forks and retries of runs whose agents asked others: what these changed counts, and whose turn it was is known."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowHandle

from outlast.cli.reaching import Reach
from outlast.cli.runs.ended_rollback import roll_back_ended
from outlast.contracts import Plan, PlanRequest, PlanStep
from outlast.forks.forking import fork, retry
from outlast.forks.reading import ForkError
from outlast.llm.base import ModelCall
from outlast.storage.marker import MARKER
from outlast.storage.payload_codec import new_key
from outlast.storage.sealing import is_sealed
from tests.workflow.conftest import Runner
from tests.workflow.delegating.delegating import SESSION, asks, ours, plan, scripted, session, who, writes
from tests.workflow.forks.test_forks import status_of
from tests.workflow.talking.test_agent_session import calls, results
from workflows.plan_and_execute import PlanAndExecuteWorkflow

PLAN = PlanAndExecuteWorkflow.run
STANDS = r"changed something in run .* that still stands .*write_file\(path=one.md"


class Held:
    """A clerk that writes a file and then does not come back until it is `free`."""

    def __init__(self) -> None:
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    def __call__(self, call: ModelCall) -> Any:
        return self._hold() if call.history else writes("one")

    async def _hold(self) -> str:
        self.asked.set()
        await self.free.wait()
        return "written"


@pytest.fixture
def own(real_runner: Runner, tmp_path: Path) -> Runner:
    return ours(real_runner, tmp_path)


def reached(runner: Runner, do: Callable[..., Any], run: WorkflowHandle[Any, Any], **wanted: Any) -> Any:
    return do(runner.env.client, run.id, store=runner.store, **wanted)


async def test_a_retry_of_a_terminated_run_knows_what_the_runs_below_changed(own: Runner) -> None:
    """The run that asked never took it over: neither it nor a fork while it still worked would know."""
    held = Held()
    async with own.worker(scripted(asks(("clerk", "one")), held)):
        first = await own.start(PLAN, plan("lead"))
        await held.asked.wait()
        with pytest.raises(ForkError, match=STANDS):
            await reached(own, fork, first, from_step="s0")
        await first.terminate()
        held.free.set()
        with pytest.raises(ForkError, match=STANDS):
            await reached(own, retry, first)
        reach = Reach(own.settings, own.env.client)
        _, whole = await roll_back_ended(reach, await first.describe(), "")
        assert whole
        await (await reached(own, retry, first)).result()
    assert (own.settings.workspace / "one.md").exists()


async def test_a_session_is_not_forked_before_what_an_agent_below_changed(own: Runner) -> None:
    async with own.worker(scripted(asks(("clerk", "one")))) as llm:
        first = await own.start(SESSION, session())
        await first.result()
        with pytest.raises(ForkError, match=STANDS):
            await reached(own, fork, first, from_turn=1)
        llm.calls.clear()
        await (await reached(own, fork, first, from_turn=2)).result()
    assert [who(call) for call in llm.calls] == ["lead"], "what comes after it may be done again"


async def test_the_turns_of_a_session_are_its_own_agents(own: Runner) -> None:
    """An agent without tools answers in the same history; its calls are no turns of the session."""
    async with own.worker(scripted(asks(("thinker", "think hard")))) as llm:
        first = await own.start(SESSION, session())
        await first.result()
        with pytest.raises(ForkError, match="has had 2 turns"):
            await reached(own, fork, first, from_turn=3)
        llm.calls.clear()
        await (await reached(own, fork, first, from_turn=2)).result()
    (call,) = llm.calls
    assert [block["content"] for block in results(call)] == ["thinker thinks"]


async def test_a_session_that_was_left_in_the_middle_of_calls_is_retried_with_all_of_them_answered(own: Runner) -> None:
    """The API refuses a conversation in which a call has no result."""
    held = Held()
    async with own.worker(scripted(asks(("clerk", "one")), held)) as llm:
        first = await own.start(SESSION, session())
        await held.asked.wait()
        await first.terminate()
        held.free.set()
        llm.calls.clear()
        await (await reached(own, retry, first)).result()
    (answer,) = results(llm.calls[-1])
    assert answer["tool_use_id"] == "t0-0"
    assert "nobody knows whether it was made" in answer["content"]


async def test_whoever_has_the_conversation_goes_on_with_it_in_a_fork(real_runner: Runner, tmp_path: Path) -> None:
    agents = {"lead": "agents: [expert, other]\nhandoff: true", "expert": "model: opus", "other": "model: opus"}
    own = ours(real_runner, tmp_path, agents)

    def script(call: ModelCall) -> Any:
        return calls(("hand_over_to_expert", {}), turn=0) if who(call) == "lead" else f"{who(call)} answers"

    asked = []
    async with own.worker(script) as llm:
        first = await own.start(SESSION, session())
        await first.result()
        wanted: list[dict[str, Any]] = [
            {"from_turn": 1},
            {"from_turn": 2},
            {"text": "More?"},
            {"edit": {"agent": "other"}},
        ]
        for each in [*wanted, {"from_turn": 2, "agent": "other"}]:
            llm.calls.clear()
            await (await reached(own, fork, first, **each)).result()
            asked.append([who(call) for call in llm.calls])
    assert asked == [["lead", "expert"], ["expert"], ["expert"], ["other"], ["other"]]


async def test_a_fork_of_a_session_keeps_the_model_of_the_fork_before(own: Runner) -> None:
    async with own.worker(lambda _: "said"):
        first = await own.start(SESSION, session())
        await first.result()
        second = await reached(own, fork, first, from_turn=1, model="claude-haiku-4-5")
        await second.result()
        third = await reached(own, fork, second, text="More?")
        await third.result()
        assert (await status_of(third)).steps[0].agent == (await status_of(second)).steps[0].agent
        assert "claude-haiku-4-5" in (await status_of(third)).steps[0].agent


async def test_a_step_that_was_only_renamed_does_not_repeat_its_effect(own: Runner) -> None:
    steps = (PlanStep(step="1", agent="clerk", input="write one"), PlanStep(step="2", agent="thinker", input="think"))
    async with own.worker(scripted(asks())):
        first = await own.start(PLAN, PlanRequest(plan=Plan(steps=steps)))
        await first.result()
        renamed = [steps[0].model_copy(update={"step": "one"}), steps[1]]
        edit = {"plan": Plan(steps=tuple(renamed)).model_dump(mode="json")}
        with pytest.raises(ForkError, match=STANDS):
            await reached(own, fork, first, edit=edit)
        other = {"plan": {"steps": [{"step": "2", "agent": "thinker", "input": "think"}]}}
        await (await reached(own, fork, first, edit=other)).result()


async def test_two_who_retry_at_once_get_one_run(own: Runner) -> None:
    asked, free = asyncio.Event(), asyncio.Event()

    async def script(_: ModelCall) -> str:
        asked.set()
        await free.wait()
        return "said"

    async with own.worker(script):
        first = await own.start(PLAN, plan("thinker"))
        await asked.wait()
        await first.terminate()
        second = await reached(own, retry, first)
        with pytest.raises(Exception, match="already started"):
            await reached(own, retry, first)
        free.set()
        await second.result()
        again = await reached(own, retry, first)
        assert again.id != second.id, "one that has ended is in nobody's way"
        await again.result()


async def test_a_fork_by_the_settings_alone_reads_and_writes_encrypted_content(
    own: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key("first")
    own.settings = own.settings.model_copy(update={"payload_keys": SecretStr(key)})
    for name, value in (("PAYLOAD_KEYS", key), ("CONTENT_STORE_URL", own.settings.store_url)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_DIR", str(own.settings.state_dir))
    plan = Plan(steps=tuple(PlanStep(step=f"{n}", agent="thinker", input="think") for n in range(2)))
    async with own.worker(lambda _: "long " * 500):
        first = await own.start(PLAN, PlanRequest(plan=plan))
        await first.result()
        await (await fork(own.env.client, first.id, from_step="1")).result()
    root = own.store.objects.directory
    assert root is not None
    kept = [path for path in root.rglob("*") if path.is_file() and path.name != MARKER]
    assert kept
    assert not [path for path in kept if not is_sealed(path.read_bytes())]
