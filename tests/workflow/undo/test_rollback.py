"""Rollback of sessions: on failure, on cancel, in the middle of a call, with stuck compensations."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError, CancelledError

import worker
from outlast.agents.sessions import SessionLimits
from outlast.contracts import KEEP, ROLL_BACK_ALL, Changes, ChangeState, RunState
from outlast.errors import ErrorKind, kind_of
from outlast.tools.tool import Tool, ToolError
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.people.asking_stuck import AskingSessionWorkflow
from tests.workflow.talking.test_agent_session import calls, in_turn, task
from tests.workflow.undo.rolling_back import (
    EDITS,
    REFUSAL,
    SESSION,
    WRITES,
    Bench,
    D,
    F,
    N,
    U,
    bench,
    changes_of,
    states,
    then_holding,
)
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]


@pytest.fixture
def real(real_runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench on the real server."""
    return Bench(real_runner, monkeypatch)


async def test_a_failed_session_leaves_everything_as_it_was(bench: Bench) -> None:
    async with bench.runner.worker(in_turn(WRITES, EDITS, REFUSAL)):
        handle = await bench.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        error = await bench.fails(handle)
        changes = await changes_of(handle)
        status = await handle.query(AgentSessionWorkflow.status)
    assert kind_of(error) is ErrorKind.MODEL_REFUSED
    assert "rolled back: 3 undone" in str(error)
    assert isinstance(error, ApplicationError)
    assert Changes.model_validate(error.details[0]) == changes
    assert bench.files == {"a.md": "old"}
    assert (states(changes), changes.reason) == ([U, U, U], status.steps[0].note)
    assert [change.key for change in changes.changes] == [f"{handle.id}/session/t{n}" for n in ("1-0", "2-0", "2-1")]
    assert sorted(bench.undone[:2]) == ["a.md", "b.md"]
    assert bench.undone[2] == "a.md"
    assert status.rollback == "3 undone"


async def test_by_default_changes_are_kept_and_listed(bench: Bench) -> None:
    async with bench.runner.worker(in_turn(WRITES, EDITS, REFUSAL)):
        handle = await bench.runner.start(SESSION, task(on_failure=KEEP))
        error = await bench.fails(handle)
        changes = await changes_of(handle)
    assert "rolled back" not in str(error)
    assert bench.files == {"a.md": "newer", "b.md": "B"}
    assert (states(changes), changes.reason, bench.undone) == ([D, D, D], "", [])


async def test_a_session_that_is_done_keeps_its_changes_and_lists_them(bench: Bench) -> None:
    result, _ = await bench.runner.run(in_turn(WRITES, "Done."), SESSION, task(on_failure=ROLL_BACK_ALL))
    assert states(result.progress.changes) == [D]
    assert bench.files == {"a.md": "new"}


async def test_a_session_that_a_limit_stops_is_rolled_back_as_well(bench: Bench) -> None:
    request = task(on_failure=ROLL_BACK_ALL, limits=SessionLimits(turns=2))
    result, _ = await bench.runner.run(in_turn(WRITES, EDITS, "x"), SESSION, request)
    assert (result.state, states(result.progress.changes)) == (RunState.PARTIAL, [U, U, U])
    assert bench.files == {"a.md": "old"}


async def test_a_cancelled_session_is_undone_although_it_is_cancelled(real: Bench) -> None:
    asked = asyncio.Event()
    async with real.runner.worker(then_holding(asked, WRITES, EDITS)):
        handle = await real.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        await asked.wait()
        await handle.cancel()
        error = await real.fails(handle)
        changes = await changes_of(handle)
    assert isinstance(error, CancelledError)
    assert (states(changes), real.files) == ([U, U, U], {"a.md": "old"})


@pytest.mark.timeout(90)
async def test_cancelled_in_the_middle_of_a_change_it_waits_for_the_change_and_undoes_it(real: Bench) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def around(inner: Tool, arguments: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        if inner.name == "write_file":
            begun.set()
            await go_on.wait()
        return await run()

    real.around = around
    async with real.runner.worker(in_turn(WRITES, "never")):
        handle = await real.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        await begun.wait()
        await handle.cancel()
        go_on.set()
        error = await real.fails(handle)
        changes = await changes_of(handle)
    assert isinstance(error, CancelledError)
    assert (states(changes), real.did) == ([U], ["write_file a.md", "restore_file a.md"])
    assert real.files == {"a.md": "old"}


async def test_cancelled_in_the_middle_of_a_rollback_it_rolls_back_to_the_end(real: Bench) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def around(inner: Tool, arguments: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        if inner.name == "restore_file":
            begun.set()
            await go_on.wait()
        return await run()

    real.around = around
    async with real.runner.worker(in_turn(WRITES, EDITS, REFUSAL)):
        handle = await real.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        await begun.wait()
        await handle.cancel()
        go_on.set()
        error = await real.fails(handle)
        changes = await changes_of(handle)
    assert isinstance(error, CancelledError)
    assert (states(changes), len(real.undone), real.files) == ([U, U, U], 3, {"a.md": "old"})


async def test_a_call_that_never_reported_is_undone_by_its_key(bench: Bench) -> None:
    async def around(inner: Tool, arguments: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        said = await run()
        if inner.name == "write_file":
            raise OSError("the disk is gone")  # after its effect, in every attempt
        return said

    bench.around = around
    async with bench.runner.worker(in_turn(WRITES, REFUSAL)):
        handle = await bench.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        await bench.fails(handle)
        changes = await changes_of(handle)
    assert (states(changes), bench.files) == ([U], {"a.md": "old"})
    assert bench.did.count("write_file a.md") == 1
    assert bench.undone == ["a.md"]


async def test_a_call_that_never_got_as_far_as_its_effect_is_listed_as_that(bench: Bench) -> None:
    script = in_turn(calls(("edit_file", {"path": "a.md", "old": "not there", "new": ""}), turn=1), WRITES, REFUSAL)
    async with bench.runner.worker(script):
        handle = await bench.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        error = await bench.fails(handle)
        changes = await changes_of(handle)
    assert "rolled back: 1 undone, 1 never happened" in str(error)
    assert (states(changes), bench.undone) == ([N, U], ["a.md"])


async def test_a_compensation_that_fails_is_tried_again(bench: Bench) -> None:
    failures = [OSError("not now"), OSError("not yet")]

    async def around(inner: Tool, arguments: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        if inner.name == "restore_file" and failures:
            raise failures.pop()
        return await run()

    bench.around = around
    async with bench.runner.worker(in_turn(WRITES, EDITS, REFUSAL)):
        handle = await bench.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        await bench.fails(handle)
        changes = await changes_of(handle)
    assert (states(changes), len(bench.undone), bench.files) == ([U, U, U], 3, {"a.md": "old"})


def _sticking(bench: Bench, times: int) -> None:
    left = [times]

    async def around(inner: Tool, arguments: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        if inner.name == "restore_file" and getattr(arguments, "path", "") == "b.md" and left[0]:
            left[0] -= 1
            raise ToolError("b.md is locked")
        return await run()

    bench.around = around


async def test_a_stuck_compensation_is_listed_and_the_others_are_made(bench: Bench) -> None:
    _sticking(bench, times=100)
    async with bench.runner.worker(in_turn(WRITES, EDITS, REFUSAL)):
        handle = await bench.runner.start(SESSION, task(on_failure=ROLL_BACK_ALL))
        error = await bench.fails(handle)
        changes = await changes_of(handle)
    assert "rolled back: 2 undone, 1 could not be undone" in str(error)
    assert (states(changes), changes.changes[2].note) == ([U, U, F], "b.md is locked")
    assert bench.files == {"a.md": "old", "b.md": "B"}


@pytest.mark.parametrize(("decisions", "ends"), [(["retry", "retry"], U), (["retry", "give_up"], F)])
async def test_a_person_decides_on_a_stuck_compensation(bench: Bench, decisions: list[str], ends: ChangeState) -> None:
    _sticking(bench, times=2)
    bench.monkeypatch.setattr(worker, "WORKFLOWS", (*worker.WORKFLOWS, AskingSessionWorkflow))
    async with bench.runner.worker(in_turn(WRITES, EDITS, REFUSAL)):
        handle = await bench.runner.start(AskingSessionWorkflow.run, task(on_failure=ROLL_BACK_ALL))
        for decision in decisions:
            await handle.signal("decide_stuck", decision)
        await bench.fails(handle)
        changes = await changes_of(handle)
        asked = await handle.query(AskingSessionWorkflow.asked)
    assert states(changes) == [U, U, ends]
    assert asked == ["write_file: b.md is locked"] * 2


async def test_what_nothing_takes_back_is_listed_and_said_plainly(bench: Bench, tmp_path: Path) -> None:
    bench.runner = with_agents(bench.runner, tmp_path / "agent-files", {"a": "tools: Write, ring_bell"})
    script = in_turn(calls(("write_file", {"path": "a.md", "content": "new"}), ("ring_bell", {}), turn=1), REFUSAL)
    async with bench.runner.worker(script):
        request = task(agent="a", on_failure=ROLL_BACK_ALL, allowed=("ring_bell",), requester="ann")
        handle = await bench.runner.start(SESSION, request)
        error = await bench.fails(handle)
        changes = await changes_of(handle)
        log = await handle.query(AskingSessionWorkflow.decisions)
    assert "rolled back: 1 undone, 1 cannot be undone" in str(error)
    # That nobody was asked is in the audit, with whoever started the run so.
    assert [(record.kind, record.by, "ring_bell" in record.reason) for record in log.records] == [
        ("allowed", "ann", True)
    ]
    assert "at least once" in changes.changes[1].note
