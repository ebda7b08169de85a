"""A content store that is away is an outage: nothing is made anew, nothing counts as missing, and nothing is paid twice."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.activity.heartbeat import heartbeats
from outlast.activity.outages import OutageWaits, Waits, is_away
from outlast.activity.waiting import BEGAN, IN_PLACE, InPlace
from outlast.contracts import ModelFailure, ModelRequest, OutageWait, Part, StopReason, ToolRequest, UndoRequest, Usage
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import ScriptedLLM
from outlast.storage.activities import ContentStore, reference
from outlast.storage.marker import MARKER
from outlast.storage.sealing import Seal
from outlast.storage.spool import FOLDER
from outlast.workflow.policies import MOST_ATTEMPTS
from tests.activity.conftest import asking
from tests.activity.storage.storing import LONG, Away, attempts, kind_of, opened

AWAY = retryable(ErrorKind.CONTENT_UNAVAILABLE, "the content store does not answer")


@pytest.fixture(params=["gone", "not mounted"])
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Away:
    return Away(tmp_path / "texts", request.param == "not mounted")


async def test_what_is_away_is_neither_missing_nor_made_anew(tmp_path: Path, away: Away) -> None:
    store = opened(tmp_path)
    ref = await store.put(b"here")
    away.go()
    for each in (store, opened(tmp_path)):
        for operation in (each.get(ref), each.recall("undo/x"), each.put(b"new"), each.remember("undone/x", b"{}")):
            assert await kind_of(operation) == (ErrorKind.CONTENT_UNAVAILABLE, False)
    away.back()
    for each in (store, opened(tmp_path)):
        assert (await each.get(ref), await each.recall("undo/x")) == (b"here", None)
        assert await kind_of(each.get(reference(b"new"))) == (ErrorKind.CONTENT_MISSING, True)


async def test_a_store_without_a_marker_from_before_gets_one(tmp_path: Path) -> None:
    ref = await opened(tmp_path).put(b"here")
    (tmp_path / "texts" / MARKER).unlink()
    (tmp_path / "state" / "stores").rename(tmp_path / "no-notes")
    assert await opened(tmp_path).get(ref) == b"here"
    assert (tmp_path / "texts" / MARKER).exists()


async def test_operations_wait_for_a_store_that_comes_back_and_say_so_once(tmp_path: Path, away: Away) -> None:
    heard: list[str] = []
    store = opened(tmp_path, waits=10, on_outage=heard.append)
    away.go()
    asyncio.get_running_loop().call_later(0.3, away.back)
    refs = await asyncio.gather(*(store.put(bytes([number])) for number in range(3)))
    assert len(set(refs)) == 3
    assert [bool(why) for why in heard] == [True, False]
    assert "mount or restore it" in heard[0]


@pytest.mark.parametrize(("local", "most"), [(False, 1.0), (True, 3.2)])
@pytest.mark.parametrize("clock", [0, 3600, -3600], ids=["right", "an hour ahead", "an hour behind"])
async def test_an_activity_stops_waiting_while_it_can_still_report(
    tmp_path: Path, local: bool, most: float, clock: int
) -> None:
    """However far this machine's clock is from the server's: it waits, and not for longer than it has."""
    store = opened(tmp_path, waits=3600)
    Away(tmp_path / "texts", False).go()
    env = ActivityEnvironment()
    most_time = timedelta(seconds=60 if local else 1)
    started = datetime.now(UTC) - timedelta(seconds=clock)
    env.info = replace(env.info, is_local=local, started_time=started, start_to_close_timeout=most_time)
    began = asyncio.get_running_loop().time()

    async def put() -> str:
        BEGAN.set(time.monotonic())
        return await store.put(b"x")

    assert await kind_of(env.run(put)) == (ErrorKind.CONTENT_UNAVAILABLE, False)
    assert most / 4 < asyncio.get_running_loop().time() - began < most


@pytest.mark.parametrize("progress", [None, lambda: "page 3"])
async def test_heartbeats_say_what_an_attempt_waits_for_and_since_when(
    tmp_path: Path, away: Away, progress: Callable[[], object] | None
) -> None:
    store, sent = opened(tmp_path, waits=3600), list[tuple[object, ...]]()
    env = ActivityEnvironment()
    env.on_heartbeat = lambda *details: sent.append(details)
    first = datetime.now(UTC) - timedelta(seconds=100)
    env.info = replace(
        env.info, attempt=2, started_time=datetime.now(UTC), heartbeat_timeout=timedelta(seconds=60 if progress else 0)
    )

    async def put() -> None:
        IN_PLACE.set(InPlace(first.timestamp()))  # an earlier attempt met the outage, too
        async with heartbeats(progress):
            asyncio.get_running_loop().call_later(0.3, away.back)
            await asyncio.gather(*(store.put(bytes([number])) for number in range(3)))

    away.go()
    await env.run(put)
    waiting, over = sent
    assert waiting[0] == (progress and progress())
    (wait,) = waiting[1:]
    assert isinstance(wait, OutageWait)
    assert (wait.waits_for, wait.setting, wait.attempt) == ("the content store", "STORE_WAIT", 2)
    assert "mount or restore it" in wait.reason
    assert (wait.since, wait.until) == (first, first + timedelta(hours=1))
    assert over[1:] == ()


async def test_an_answer_that_meets_a_store_that_is_away_is_in_hand_until_it_is_back(
    tmp_path: Path, away: Away
) -> None:
    store = opened(tmp_path, waits=10)

    async def answer(_: ModelCall) -> str:
        away.go()
        asyncio.get_running_loop().call_later(0.3, away.back)
        return LONG

    llm = ScriptedLLM(answer)
    turn = await attempts(store, llm, None)(1)
    assert (await store.text(turn.content), len(llm.calls), turn.attempt) == (LONG, 1, 1)
    assert turn.transcript is not None


async def test_an_answer_outlives_its_worker_although_the_store_is_away(tmp_path: Path, away: Away) -> None:
    store, state = opened(tmp_path, seal=Seal({"k": bytes(32)})), tmp_path / "state"

    async def answer(_: ModelCall) -> str:
        away.go()
        return LONG + "\ud83d"

    llm = ScriptedLLM(answer)
    attempt = attempts(store, llm, state)
    for number in (1, 2):
        with pytest.raises(ApplicationError) as caught:
            await attempt(number)
        assert caught.value.type == ErrorKind.CONTENT_UNAVAILABLE
    (kept,) = (state / FOLDER).iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert LONG[:7].encode() not in kept.read_bytes()
    away.back()
    turn = await attempt(3)
    assert (await store.text(turn.content), len(llm.calls), turn.attempt) == (LONG + "\ufffd", 1, 1)
    assert list((state / FOLDER).iterdir()) == []
    assert (await attempt(4)).model_dump() == turn.model_dump()
    assert len(llm.calls) == 1


async def test_where_nothing_takes_the_answer_it_is_in_hand_all_the_same(tmp_path: Path) -> None:
    store, state = opened(tmp_path, waits=10), tmp_path / "state"
    gone = Away(tmp_path / "texts", False)

    async def answer(_: ModelCall) -> str:
        (state / FOLDER).write_text("in the way")
        gone.go()
        asyncio.get_running_loop().call_later(0.3, gone.back)
        return LONG

    llm = ScriptedLLM(answer)
    turn = await attempts(store, llm, state)(1)
    assert (await store.text(turn.content), len(llm.calls)) == (LONG, 1)


async def test_a_reply_is_told_again_as_it_came(store: ContentStore) -> None:
    blocks = (
        {"type": "thinking", "thinking": "Hm."},
        {"type": "text", "text": "Yes."},
        {"type": "tool_use", "id": "t"},
    )

    def answer(call: ModelCall) -> ModelReply:
        return ModelReply("Yes.", StopReason.END_TURN, Usage(input_tokens=3), call.model, "r1", blocks=blocks)

    llm = ScriptedLLM(answer)
    attempt = attempts(store, llm, None)
    first, again, after_reset = await attempt(1), await attempt(2), await attempt(1, was_reset=True)
    assert first.model_dump() == again.model_dump() == after_reset.model_dump()
    assert len(llm.calls) == 1


MODEL = asking()
WITH_FALLBACK = asking(has_fallback=True)
READS = ToolRequest(tool="t", key="k", specs=Part())
CHANGES = READS.model_copy(update={"changes": True})
OVERLOADED = retryable(ErrorKind.MODEL_UNAVAILABLE, "529", ModelFailure(status=529, away=True))
REFUSED = retryable(ErrorKind.MODEL_UNAVAILABLE, "refused", ModelFailure(usage=Usage(input_tokens=9), away=True))
"""Refused after an attempt that was paid; the usage is that of all attempts."""
LIMITED = retryable(ErrorKind.RATE_LIMITED, "429", ModelFailure(status=429))
BROKEN = retryable(ErrorKind.MODEL_UNAVAILABLE, "broke off", ModelFailure(usage=Usage(input_tokens=9)))
GARBAGE = retryable(ErrorKind.MODEL_UNAVAILABLE, "not JSON", ModelFailure())
TOOL_AWAY = retryable(ErrorKind.TOOL_UNAVAILABLE, "500")


@pytest.mark.parametrize(
    ("kind", "request_", "error", "made"),
    [
        ("call_model", MODEL, OVERLOADED, "PROVIDER_WAIT"),
        ("call_model", MODEL, REFUSED, "PROVIDER_WAIT"),
        ("call_model", MODEL, LIMITED, "PROVIDER_WAIT"),
        ("call_model", WITH_FALLBACK, OVERLOADED, "FALLBACK_AFTER"),
        ("call_model", WITH_FALLBACK, LIMITED, "PROVIDER_WAIT"),
        ("call_model", MODEL, AWAY, "STORE_WAIT"),
        ("call_model", MODEL, BROKEN, 3),
        ("call_model", MODEL, GARBAGE, 3),
        ("call_model", MODEL.model_copy(update={"attempts": 5}), BROKEN, 5),
        ("call_model", MODEL, non_retryable(ErrorKind.MODEL_REJECTED, "400"), 1),
        ("call_model", MODEL, ValueError("a bug"), 3),
        ("call_tool", READS, TOOL_AWAY, 3),
        ("call_tool", CHANGES, TOOL_AWAY, "TOOL_WAIT"),
        ("undo_call", UndoRequest(tool="t", key="k"), TOOL_AWAY, "TOOL_WAIT"),
        ("undo_call", UndoRequest(tool="t", key="k"), AWAY, "STORE_WAIT"),
        ("keep_text", None, AWAY, "STORE_WAIT"),
        ("keep_text", None, retryable(ErrorKind.UNEXPECTED, "?"), 5),
    ],
)
async def test_only_failures_of_the_call_itself_use_up_its_attempts(
    kind: str, request_: ModelRequest | None, error: Exception, made: int | str
) -> None:
    """Attempts come each 10 s by the server's clock; an outage is met until its wait is over."""
    waits = OutageWaits(Waits(store=3600, provider=900, fallback=60, tool=300))
    bounds = {"STORE_WAIT": 3600, "PROVIDER_WAIT": 900, "FALLBACK_AFTER": 60, "TOOL_WAIT": 300}
    env, began = ActivityEnvironment(), datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(1, 1000):
        env.info = replace(
            env.info, activity_type=kind, attempt=number, started_time=began + timedelta(seconds=10 * (number - 1))
        )
        said = env.run(waits.after, ("run", "1"), error, request_)
        if isinstance(said, ApplicationError) and said.non_retryable:
            break
    if isinstance(made, int):
        assert number == made
    else:
        assert 10 * (number - 1) == bounds[made]
        assert f"({made}={bounds[made]})" in str(said)


async def test_the_pause_of_an_outage_doubles_to_half_a_minute_and_is_the_servers_where_it_asks_for_one() -> None:
    waits, env, pauses = OutageWaits(), ActivityEnvironment(), []
    asked = retryable(ErrorKind.RATE_LIMITED, "429", ModelFailure(status=429), after=timedelta(seconds=50))
    for error in (*[OVERLOADED] * 7, asked):
        env.info = replace(env.info, activity_type="call_model", started_time=datetime(2026, 1, 1, tzinfo=UTC))
        said = env.run(waits.after, ("run", "1"), error, MODEL)
        assert isinstance(said, ApplicationError)
        assert said.next_retry_delay is not None
        pauses.append(said.next_retry_delay.total_seconds())
    for pause, least in zip(pauses, (1, 2, 4, 8, 16, 30, 30, 50), strict=True):
        assert least <= pause <= least * 1.2


async def test_a_provider_that_asks_for_a_second_each_time_does_not_use_up_the_attempts() -> None:
    """They are as many as the server allows, and last for as long as a rate limit is waited out."""
    waits, env = OutageWaits(Waits(provider=900)), ActivityEnvironment()
    asked = retryable(ErrorKind.RATE_LIMITED, "429", ModelFailure(status=429), after=timedelta(seconds=1))
    began = now = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(1, MOST_ATTEMPTS + 1):
        policy = RetryPolicy(maximum_attempts=MOST_ATTEMPTS)
        env.info = replace(env.info, activity_type="call_model", attempt=number, started_time=now, retry_policy=policy)
        said = env.run(waits.after, ("run", "1"), asked, MODEL)
        assert isinstance(said, ApplicationError)
        if said.non_retryable:
            break
        assert said.next_retry_delay is not None
        assert number > MOST_ATTEMPTS / 2 or said.next_retry_delay == timedelta(seconds=1)
        now += said.next_retry_delay
    assert "(PROVIDER_WAIT=900)" in str(said)
    assert (now - began).total_seconds() >= 900


@pytest.mark.parametrize("budget", [False, True])
async def test_a_call_that_broke_off_is_made_again_when_what_cuts_connections_may_be_over(budget: bool) -> None:
    """Its attempts are few, because each is paid; three within three seconds would all meet a proxy that restarts.

    In a budget each attempt is an activity of its own, for which room is reserved.
    """
    waits, env, pauses = OutageWaits(), ActivityEnvironment(), []
    env.info = replace(env.info, activity_type="call_model", started_time=datetime(2026, 1, 1, tzinfo=UTC))
    for broke in range(3):
        key, request = (
            ("run", str(broke)) if budget else ("run", "1"),
            MODEL.model_copy(update={"broke": broke * budget}),
        )
        said = env.run(waits.after, key, BROKEN, request)
        assert isinstance(said, ApplicationError)
        pauses.append(said.next_retry_delay.total_seconds() if said.next_retry_delay else None)
    assert pauses[2] is None
    assert [least <= pause <= least * 1.2 for pause, least in zip(pauses, (2, 8), strict=False) if pause] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("cause", "away"),
    [
        (httpx2.ConnectError("Server disconnected"), True),
        (httpx2.RemoteProtocolError("Server disconnected without sending a response."), True),
        (httpx2.RemoteProtocolError("peer closed connection without sending complete message body"), False),
        (httpx2.ReadTimeout("silence"), False),
    ],
)
def test_a_server_that_hangs_up_before_it_answers_is_away(cause: Exception, away: bool) -> None:
    error = retryable(ErrorKind.MODEL_UNAVAILABLE, "the connection failed")
    error.__cause__ = cause
    assert is_away(error, ModelFailure()) is away
