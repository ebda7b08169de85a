"""What hangs is ended in time: an attempt so that it counts, a store so that it is an outage, a cancelled call at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, worker
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.activity.outages import OutageWaits
from outlast.activity.waiting import Patience
from outlast.contracts import OutageWait, Part, ToolRequest
from outlast.errors import ErrorKind
from outlast.llm.activities import AgentActivities
from outlast.llm.base import ModelCall
from outlast.llm.scripted import ScriptedLLM
from outlast.storage.activities import ContentStore
from outlast.storage.objects import Objects
from outlast.storage.spool import FOLDER, Spool
from tests.activity.conftest import TABLE, asking
from tests.activity.storage.storing import LONG, Away, attempts, kind_of, opened

READS = ToolRequest(tool="t", key="k", specs=Part())


async def test_an_answer_that_never_ends_is_a_failure_that_counts_and_tells_its_cost(store: ContentStore) -> None:
    async def endless(_: ModelCall) -> str:
        await asyncio.sleep(30)
        return ""

    env = ActivityEnvironment()
    env.info = replace(env.info, start_to_close_timeout=timedelta(seconds=0.3))
    llm = ScriptedLLM(endless)
    with pytest.raises(ApplicationError) as caught:
        await env.run(AgentActivities(llm, store, TABLE).call_model, asking())
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.TIMED_OUT, False)
    assert caught.value.details[0].usage.input_tokens > 0
    assert caught.value.details[0].usd > 0


class Hanging(worker.ActivityInboundInterceptor):
    """An activity that hangs."""

    def __init__(self) -> None: ...

    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        await asyncio.sleep(30)


async def test_an_attempt_that_hangs_is_ended_here_and_the_last_one_is_final() -> None:
    env, waits = ActivityEnvironment(), OutageWaits()
    given = worker.ExecuteActivityInput(fn=print, args=[READS], executor=None, headers={})
    ends = []
    for number in (1, 2, 1, 2, 3):  # a person resets it after the second
        env.info = replace(
            env.info, activity_type="call_tool", attempt=number, start_to_close_timeout=timedelta(seconds=0.1)
        )
        ends.append(await kind_of(env.run(waits.intercept_activity(Hanging()).execute_activity, given)))
    assert ends == [*[(ErrorKind.TIMED_OUT, False)] * 4, (ErrorKind.TIMED_OUT, True)]


async def test_who_is_cancelled_while_the_store_is_away_does_not_wait_for_it(tmp_path: Path) -> None:
    """Nobody looks for the cost of its attempt again, and a worker that stops must not hang."""
    store, sent = opened(tmp_path, waits=3600), asyncio.Event()

    async def endless(_: ModelCall) -> str:
        Away(tmp_path / "texts", False).go()
        sent.set()
        await asyncio.sleep(60)
        return ""

    env = ActivityEnvironment()
    env.info = replace(env.info, started_time=datetime.now(UTC), start_to_close_timeout=timedelta(seconds=60))
    calling = asyncio.ensure_future(env.run(AgentActivities(ScriptedLLM(endless), store, TABLE).call_model, asking()))
    await sent.wait()
    env.cancel(activity.ActivityCancellationDetails(cancel_requested=True))
    with pytest.raises(ApplicationError) as caught:
        await asyncio.wait_for(calling, 3)
    assert caught.value.type == ErrorKind.CANCELLED
    assert caught.value.details[0].usage.input_tokens > 0


class HangingObjects(Objects):
    """A mount whose server is gone: what is written neither ends nor fails."""

    async def write(self, key: str, data: bytes, *, anew: bool = False, replaces_broken: bool = False) -> None:
        await asyncio.sleep(60)


async def test_an_answer_is_kept_here_while_the_store_hangs_and_a_hanging_store_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.storage.spool.HANGS", 0.05)
    state = tmp_path / "state"
    store = ContentStore(HangingObjects.open((tmp_path / "texts").as_uri()), patience=Patience(3600))
    env = ActivityEnvironment()
    env.info = replace(env.info, started_time=datetime.now(UTC), start_to_close_timeout=timedelta(seconds=1))
    agent = AgentActivities(ScriptedLLM(lambda _: LONG), store, TABLE, Spool(store, state))
    call = asking(keeps_transcript=True)
    assert await kind_of(env.run(agent.call_model, call)) == (ErrorKind.CONTENT_UNAVAILABLE, False)
    assert len(list((state / FOLDER).iterdir())) == 1
    again = ContentStore.open((tmp_path / "texts").as_uri())
    llm = ScriptedLLM(lambda _: "never")
    turn = await attempts(again, llm, state)(2)
    assert (await again.text(turn.content), llm.calls) == (LONG, [])


async def test_a_store_that_hangs_is_shown_as_a_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.activity.waiting.SILENT_SECONDS", 0.05)
    store = ContentStore(HangingObjects.open((tmp_path / "texts").as_uri()), patience=Patience(3600))
    env, sent = ActivityEnvironment(), list[tuple[object, ...]]()
    env.on_heartbeat = lambda *details: sent.append(details)
    env.info = replace(env.info, started_time=datetime.now(UTC), start_to_close_timeout=timedelta(seconds=1))

    async def put() -> None:
        await store.put(b"x")

    assert await kind_of(env.run(put)) == (ErrorKind.CONTENT_UNAVAILABLE, False)
    (_, wait), over = sent
    assert isinstance(wait, OutageWait)
    assert "hangs" in wait.reason
    assert over == (None,)


async def test_a_damaged_record_is_a_call_to_make_again(tmp_path: Path) -> None:
    store, state = opened(tmp_path), tmp_path / "state"
    Spool(store, state)._write("call/default/test/test-run/test", b"")
    llm = ScriptedLLM(lambda _: "Yes.")
    turn = await attempts(store, llm, state)(2)
    assert (turn.content.text, len(llm.calls)) == ("Yes.", 1)
