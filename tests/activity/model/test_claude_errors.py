"""Every answer that is none, over real HTTP: what it becomes, whether it is tried again, and that it was sent once."""

import time
from email.utils import formatdate

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from outlast.errors import ERROR_TEXT_LIMIT, ErrorKind
from outlast.llm.http_errors import DEFAULT_RETRY_AFTER_CAP, RETRY_JITTER
from outlast.testing.messages_api.bodies import event
from tests.activity.conftest import Caller, asking
from tests.doubles.wire import Reply, Wire, error, message_start, text_block

DAYS = 4 * 86_400


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 529])
async def test_these_pass_and_are_tried_again(wire: Wire, caller: Caller, status: int) -> None:
    wire.replies = [error(status)]
    failed, details = await caller.fail()
    assert failed.type == (ErrorKind.RATE_LIMITED if status == 429 else ErrorKind.MODEL_UNAVAILABLE)
    assert (failed.non_retryable, failed.next_retry_delay) == (False, None)
    assert failed.message == f"{status} api_error: told to fail (request req_1)"
    assert (details.status, details.request_id, details.usd) == (status, "req_1", 0)
    assert len(wire.hits) == 1


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, ErrorKind.MODEL_REJECTED, ""),
        (401, ErrorKind.MODEL_NOT_ALLOWED, "check ANTHROPIC_API_KEY"),
        (402, ErrorKind.MODEL_NOT_ALLOWED, "check ANTHROPIC_API_KEY"),
        (403, ErrorKind.MODEL_NOT_ALLOWED, "check ANTHROPIC_API_KEY"),
        (404, ErrorKind.MODEL_NOT_FOUND, "models.toml"),
        (413, ErrorKind.CONTEXT_EXCEEDED, ""),
        (422, ErrorKind.MODEL_REJECTED, ""),
        (451, ErrorKind.MODEL_REJECTED, ""),
    ],
)
async def test_these_are_final(wire: Wire, caller: Caller, status: int, kind: ErrorKind, advice: str) -> None:
    wire.replies = [error(status, "some_error", retry_after="5")]
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable, failed.next_retry_delay) == (kind, True, None)
    assert f"{status} some_error: told to fail (request req_1)" in failed.message
    assert advice in failed.message
    assert (details.status, details.request_id) == (status, "req_1")
    assert len(wire.hits) == 1


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 1000001 tokens > 1000000 maximum",
        "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
        "The request exceeds the model's context window",
    ],
)
async def test_a_prompt_that_is_too_long_is_told_apart(wire: Wire, caller: Caller, message: str) -> None:
    wire.replies = [error(400, "invalid_request_error", message)]
    failed, _ = await caller.fail()
    assert (failed.type, failed.non_retryable) == (ErrorKind.CONTEXT_EXCEEDED, True)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7),
        (429, {"retry-after": " 0.5 "}, 0.5),
        (529, {"retry-after-ms": "1500", "retry-after": "30"}, 1.5),
        (503, {"retry-after": str(int(DEFAULT_RETRY_AFTER_CAP))}, DEFAULT_RETRY_AFTER_CAP),
        (429, {"retry-after-ms": "soon", "retry-after": "9"}, 9),
    ],
)
async def test_the_server_decides_when(
    wire: Wire, caller: Caller, status: int, headers: dict[str, str], seconds: float
) -> None:
    wire.replies = [error(status, **headers)]
    failed, _ = await caller.fail()
    assert failed.next_retry_delay is not None
    assert seconds <= failed.next_retry_delay.total_seconds() <= seconds * (1 + RETRY_JITTER)


async def test_a_date_to_come_back_at_is_understood(wire: Wire, caller: Caller) -> None:
    wire.replies = [error(429, retry_after=formatdate(time.time() + 20, usegmt=True))]
    failed, _ = await caller.fail()
    assert failed.next_retry_delay is not None
    assert 10 < failed.next_retry_delay.total_seconds() <= 20 * (1 + RETRY_JITTER)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": str(DAYS)},
        {"retry-after-ms": str(DAYS * 1000)},
        {"retry-after": formatdate(time.time() + DAYS, usegmt=True)},
        {"retry-after": str(DEFAULT_RETRY_AFTER_CAP + 1)},
    ],
)
async def test_a_wait_of_days_is_final_at_once(wire: Wire, caller: Caller, headers: dict[str, str]) -> None:
    wire.replies = [error(429, "rate_limit_error", **headers)]
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable, failed.next_retry_delay) == (ErrorKind.RATE_LIMITED_TOO_LONG, True, None)
    assert "more than RETRY_AFTER_CAP=60 s" in failed.message
    assert (details.status, len(wire.hits)) == (429, 1)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-5", "0", "soon", "", "1e999", formatdate(0, usegmt=True)])
async def test_a_wait_that_makes_no_sense_leaves_the_delay_to_the_policy(
    wire: Wire, caller: Caller, value: str
) -> None:
    wire.replies = [error(429, retry_after=value, retry_after_ms=value)]
    failed, _ = await caller.fail()
    assert (failed.type, failed.non_retryable, failed.next_retry_delay) == (ErrorKind.RATE_LIMITED, False, None)


@pytest.mark.parametrize(
    ("kind", "becomes", "final"),
    [
        ("overloaded_error", ErrorKind.MODEL_UNAVAILABLE, False),
        ("rate_limit_error", ErrorKind.RATE_LIMITED, False),
        ("api_error", ErrorKind.MODEL_UNAVAILABLE, False),
        ("brand_new_error", ErrorKind.MODEL_UNAVAILABLE, False),
        ("invalid_request_error", ErrorKind.MODEL_REJECTED, True),
        ("billing_error", ErrorKind.MODEL_NOT_ALLOWED, True),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_counts_as_what_it_is(
    wire: Wire, caller: Caller, kind: str, becomes: ErrorKind, final: bool
) -> None:
    broken = event("error", error={"type": kind, "message": "sorry"})
    wire.replies = [Reply(events=[message_start(), *text_block("High ")[:2], broken])]
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable) == (becomes, final)
    assert f"{kind}: sorry (request req_1)" in failed.message
    assert (details.usage.input_tokens, details.request_id, len(wire.hits)) == (100, "req_1", 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>" + "x" * 1_000_000, "<html>xxx"),
        ("", ""),
        ('{"error": "out of order"}', "out of order"),
        ('{"error": {"message": {"deep": 1}, "type": ["odd"]}}', "deep"),
        ('{"detail": "no"}', "no"),
        ("[]", ""),
    ],
)
@pytest.mark.parametrize("status", [400, 503])
async def test_a_body_of_any_shape_becomes_a_short_error(
    wire: Wire, caller: Caller, status: int, body: str, said: str
) -> None:
    wire.replies = [Reply(status, body=body)]
    failed, details = await caller.fail()
    assert failed.type == (ErrorKind.MODEL_REJECTED if status == 400 else ErrorKind.MODEL_UNAVAILABLE)
    assert said in failed.message
    assert "(request req_1)" in failed.message
    assert len(failed.message) <= ERROR_TEXT_LIMIT
    assert details.status == status
    assert await stored_size(failed) < 10_000


async def stored_size(failed: BaseException) -> int:
    """Measure what the failure takes in history, causes and stack traces included."""
    failure = Failure()
    await pydantic_data_converter.encode_failure(failed, failure)
    return failure.ByteSize()


async def test_a_schema_that_is_wrong_is_refused_before_it_costs(wire: Wire, caller: Caller) -> None:
    request = asking(output_schema={"type": "object", "properties": {"n": {"type": "nummer"}}})
    with pytest.raises(ApplicationError, match=r"\$\.properties\.n\.type") as caught:
        await caller.call(request)
    assert (caught.value.type, caught.value.non_retryable, wire.hits) == (ErrorKind.INPUT_INVALID, True, [])
