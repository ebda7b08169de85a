"""Endpoints that are not quite the Messages API, and the ways to them: addresses, credentials, proxies. Each asked once."""

import asyncio

import pytest

from outlast.contracts import StopReason, Usage
from outlast.llm.claude import ClaudeLLM, make_client
from outlast.storage.activities import ContentStore
from tests.activity.conftest import Caller, asking, calling
from tests.activity.model.public_answers import ANSWERED, FAILED, SAID, Situation
from tests.doubles.wire import Reply, Wire, answer, block, ending, message_start, text_block


@pytest.mark.parametrize("situation", ANSWERED, ids=lambda each: each.name)
async def test_what_can_be_read_is_the_answer(wire: Wire, caller: Caller, situation: Situation) -> None:
    wire.replies = [situation.reply]
    turn = await caller.call()
    assert (turn.content.text, turn.stop_reason, turn.model) == (SAID, StopReason.END_TURN, "")
    assert turn.usage.output_tokens in (20, len(SAID) // 4, 1)
    assert len(wire.hits) == 1


@pytest.mark.parametrize("situation", FAILED, ids=lambda each: each.name)
async def test_what_cannot_be_read_is_a_clear_error_after_one_call(
    wire: Wire, caller: Caller, situation: Situation
) -> None:
    wire.replies = [situation.reply]
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable) == (situation.kind, situation.final)
    assert situation.told in failed.message
    assert "(request req_1)" in failed.message
    assert (len(wire.hits), details.request_id) == (1, "req_1")
    if failed.type == "ModelNotFound":
        assert f"{wire.url}/ does not speak the Messages API" in failed.message
        assert "check ANTHROPIC_BASE_URL" in failed.message


async def test_tokens_that_nobody_counted_are_estimated(wire: Wire, caller: Caller) -> None:
    wire.replies = [next(each.reply for each in ANSWERED if "no token counted" in each.name)]
    assert (await caller.call()).usage == Usage(output_tokens=len(SAID) // 4)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("length", StopReason.MAX_TOKENS), ("tool_calls", StopReason.TOOL_USE), ("content_filter", StopReason.REFUSAL)],
)
async def test_other_words_for_the_end_keep_their_meaning(
    wire: Wire, caller: Caller, said: str, meant: StopReason
) -> None:
    wire.replies = [answer("Yes.", stop_reason=said)]
    assert (await caller.call()).stop_reason is meant


async def test_without_a_reason_an_answer_as_long_as_allowed_is_cut_off(wire: Wire, caller: Caller) -> None:
    no_reason = 'event: message_delta\ndata: {"type": "message_delta", "usage": {"output_tokens": 50}}\n\n'
    wire.replies = [Reply(events=[message_start(), *text_block("Yes"), no_reason, ending()[1]])]
    assert (await caller.call(asking(max_tokens=50))).stop_reason is StopReason.MAX_TOKENS


async def test_a_tool_call_is_one_whatever_the_reason_says(wire: Wire, caller: Caller) -> None:
    used = block({"type": "tool_use", "id": "t", "name": "moon", "input": {"day": 3}})
    wire.replies = [Reply(events=[message_start(), *used, *ending("end_turn")])]
    turn = await caller.call()
    assert (turn.stop_reason, [call.name for call in turn.tool_calls]) == (StopReason.TOOL_USE, ["moon"])


async def test_arguments_may_come_as_a_text_at_the_beginning_of_the_call(wire: Wire, caller: Caller) -> None:
    used = block({"type": "tool_use", "id": "t", "name": "moon", "input": '{"day": 3}'})
    wire.replies = [Reply(events=[message_start(), *used, *ending("tool_use")])]
    assert [call.input for call in (await caller.call()).tool_calls] == [{"day": 3}]


async def test_an_error_in_a_stream_keeps_the_wait_of_its_header(wire: Wire, caller: Caller) -> None:
    broken = 'event: error\ndata: {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}\n\n'
    wire.replies = [Reply(events=[message_start(), broken], headers={"retry-after": "7"})]
    failed, _ = await caller.fail()
    assert failed.next_retry_delay is not None
    assert failed.next_retry_delay.total_seconds() >= 7


async def test_a_connection_that_is_left_open_holds_no_answer_up(wire: Wire, caller: Caller) -> None:
    wire.replies = [Reply(events=[message_start(), *text_block("Yes."), *ending(), asyncio.Event()])]
    async with asyncio.timeout(5):  # the time-out for silence is 10 s
        assert (await caller.call()).content.text == "Yes."
        await wire.hits[0].left.wait()


async def test_a_connection_that_breaks_after_the_answer_costs_no_second_call(wire: Wire, caller: Caller) -> None:
    wire.replies = [Reply(events=[message_start(), *text_block("Yes."), ending()[0]], ending="reset")]
    assert (await caller.call()).content.text == "Yes."
    assert len(wire.hits) == 1


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/v1/messages"),
        ("/", "/v1/messages"),
        ("/v1", "/v1/messages"),
        ("/v1/v1/", "/v1/messages"),
        ("/v1/messages", "/v1/messages"),
        ("/anthropic", "/anthropic/v1/messages"),
        ("/api/anthropic/v1//", "/api/anthropic/v1/messages"),
        ("/v1/team/gateway", "/v1/team/gateway/v1/messages"),
        ("/gateway/?version=2", "/gateway/v1/messages?version=2"),
    ],
)
async def test_a_base_url_may_be_written_in_all_usual_ways(
    wire: Wire, store: ContentStore, path: str, asked: str
) -> None:
    wire.replies = [answer("Yes.")]
    async with make_client(None, wire.url + path, timeout=10) as client:
        await calling(client, store).call()
    assert wire.hits[0].path == asked


@pytest.mark.parametrize(
    ("key", "token", "bearer", "other"),
    [
        ("key", None, "Bearer key", None),
        (None, "token", "Bearer token", None),
        ("key", "token", "Bearer token", "key"),
        (None, None, "Bearer no-key-needed", None),
    ],
)
async def test_a_key_and_a_token_go_where_they_belong(
    wire: Wire,
    store: ContentStore,
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
    token: str | None,
    bearer: str,
    other: str | None,
) -> None:
    """What the environment holds beside the settings is not sent to anybody."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of-the-environment")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of-the-environment")
    wire.replies = [answer("Yes.")]
    async with make_client(key, wire.url, timeout=10, auth_token=token) as client:
        await calling(client, store).call()
    headers = wire.hits[0].headers
    assert (headers["authorization"], headers.get("x-api-key")) == (bearer, other)


def test_claude_itself_is_not_asked_without_a_credential() -> None:
    with pytest.raises(ValueError, match="ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"):
        make_client(None, None, timeout=10)
    with pytest.raises(ValueError, match="ANTHROPIC_BASE_URL cannot be read"):
        make_client("key", "http://models:port", timeout=10)


async def test_the_proxy_of_the_environment_is_used_and_its_exceptions_kept(
    wire: Wire, store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", wire.url)
    wire.replies = [answer("Yes.")]
    async with make_client("key", "http://models.invalid", timeout=10) as client:
        await calling(client, store).call()
    assert wire.hits[0].path == "http://models.invalid/v1/messages"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with make_client("key", wire.url, timeout=10) as client:
        await calling(client, store).call()
    assert wire.hits[1].path == "/v1/messages"


async def test_closing_the_model_closes_its_connections(wire: Wire) -> None:
    client = make_client("key", wire.url, timeout=10)
    await ClaudeLLM(client).aclose()
    assert client.is_closed()


async def test_a_worker_in_a_hurry_leaves_at_once(wire: Wire, caller: Caller) -> None:
    """Cancelled in the middle of a stream, the connection is gone within half a second, as measured on an idle machine."""
    wire.replies = [Reply(events=[message_start(), *text_block("High ")[:2], asyncio.Event()])]
    running = asyncio.create_task(caller.call())
    async with asyncio.timeout(10):
        await wire.hit.wait()
        await asyncio.sleep(0.05)
    running.cancel()
    async with asyncio.timeout(2):  # half a second, and what a busy machine adds
        await asyncio.gather(running, return_exceptions=True)
        await wire.hits[0].left.wait()
