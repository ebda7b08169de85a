"""A paused session outlives its worker and its own continuation, stays paused, and pays for nothing twice when it goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from outlast.client import data_converter
from outlast.contracts import PauseAnswer, RunStatus
from tests.resilience.crashes.test_session_crashes import session

pytestmark = pytest.mark.xdist_group("crashes")

TURNS = 18
MEANWHILE = 1.0
"""Seconds in which a run that is not paused makes several calls."""


async def test_a_paused_session_stays_paused_through_kill_9_and_continue_as_new(tmp_path: Path) -> None:
    with session(tmp_path, "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40") as running:
        first = await running.start(TURNS)
        client = await Client.connect(running.server.address, data_converter=data_converter(512 * 1024))
        handle: WorkflowHandle[Any, Any] = client.get_workflow_handle("session")
        await _until(lambda: len(running.api.hits()) >= 3)
        assert (await _asked(handle, "pause", {"by": "ada", "reason": "deploy"})).accepted
        await _still(running.api.hits)
        await asyncio.to_thread(running.working.kill)
        await asyncio.to_thread(running.working.start)
        paused = await _paused(handle)
        made = len(running.api.hits())
        await asyncio.sleep(MEANWHILE)
        assert len(running.api.hits()) == made
        assert paused.startswith("paused by ada since ")
        assert paused.endswith(": deploy")

        # Each turn is paused in its middle, so the one before the continuation is as well.
        carried = ""
        while not carried:
            made = len(running.api.hits())
            run = (await handle.describe()).run_id
            assert (await _asked(handle, "resume")).accepted
            await _until(lambda made=made: len(running.api.hits()) > made)  # type: ignore[misc]
            assert (await _asked(handle, "pause", "again")).accepted
            await _still(running.api.hits)
            if (await handle.describe()).run_id != run:
                carried = await _paused(handle)
        assert carried.endswith(": again")
        assert (await handle.describe()).run_id != first.first_execution_run_id
        assert (await _asked(handle, "resume")).accepted
        result = await asyncio.wait_for(first.result(), 60)
        turns, notes = running.turns(), running.notes()
    assert (result.progress.turns, result.progress.tool_calls) == (TURNS, TURNS - 1)
    assert dict(turns) == dict.fromkeys(range(TURNS), 1)
    assert dict(notes) == {f"note {turn}": 1 for turn in range(TURNS - 1)}


async def _asked(handle: WorkflowHandle[Any, Any], what: str, *args: Any) -> PauseAnswer:
    answer: PauseAnswer = await handle.execute_update(what, args=list(args), result_type=PauseAnswer)
    return answer


async def _paused(handle: WorkflowHandle[Any, Any]) -> str:
    async with asyncio.timeout(60):
        status: RunStatus = await handle.query("status", result_type=RunStatus)
    assert status.paused is not None
    return status.paused.description


async def _until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(0.01)


async def _still(hits: Callable[[], list[Any]]) -> None:
    """Wait until no more calls are made."""
    before = -1
    while (now := len(await asyncio.to_thread(hits))) != before:
        before = now
        await asyncio.sleep(0.5)
