"""The error table without a network; over real HTTP it is tested in `tests/activity/model/test_claude_errors.py`."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from outlast.contracts import ModelFailure
from outlast.errors import ERROR_TEXT_LIMIT, ErrorKind
from outlast.llm.http_errors import MESSAGE_LIMIT, error_for_status, retry_after

NUMBERS = st.one_of(st.floats().map(str), st.integers().map(str), st.text(max_size=30))


def error_for(
    status: int = 429, message: str = "busy", error_type: str | None = None, **rest: object
) -> ApplicationError:
    headers = {str(name).replace("_", "-"): str(value) for name, value in rest.items()}
    return error_for_status(
        status,
        error_type=error_type,
        message=message,
        headers=headers,
        details=ModelFailure(request_id="req_9"),
        cap=60,
    )


@given(NUMBERS, NUMBERS)
def test_any_header_gives_a_sane_wait_or_none(milliseconds: str, seconds: str) -> None:
    wait = retry_after({"retry-after-ms": milliseconds, "retry-after": seconds})
    assert wait is None or (isfinite(wait) and wait >= 0)


@given(st.floats(min_value=0.001, max_value=60))
def test_waits_up_to_the_cap_are_kept_and_stretched_a_little(seconds: float) -> None:
    error = error_for(retry_after=seconds)
    assert error.next_retry_delay is not None
    rounding = timedelta(microseconds=1)
    assert timedelta(seconds=seconds) - rounding <= error.next_retry_delay
    assert error.next_retry_delay <= timedelta(seconds=seconds * 1.2) + rounding


def test_workers_do_not_come_back_at_the_same_moment() -> None:
    assert len({error_for(retry_after=30).next_retry_delay for _ in range(20)}) > 1


@given(st.floats(min_value=60.01, max_value=1e300))
def test_waits_above_the_cap_are_final(seconds: float) -> None:
    error = error_for(retry_after=seconds)
    assert (error.type, error.non_retryable) == (ErrorKind.RATE_LIMITED_TOO_LONG, True)
    assert len(error.message) <= ERROR_TEXT_LIMIT


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-8))])
def test_dates_count_in_their_own_time_zone(zone: timezone) -> None:
    wait = retry_after({"retry-after": format_datetime(datetime.now(zone) + timedelta(seconds=30))})
    assert wait is not None
    assert 25 < wait <= 30


def test_a_date_without_a_zone_is_universal_time() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=30)
    wait = retry_after({"retry-after": moment.strftime("%a, %d %b %Y %H:%M:%S -0000")})
    assert wait is not None
    assert 25 < wait <= 30


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_date_counts_from_the_servers_own_because_the_clock_here_may_be_off(hours: int) -> None:
    there = datetime.now(UTC) + timedelta(hours=hours)
    after = {"date": format_datetime(there), "retry-after": format_datetime(there + timedelta(seconds=30))}
    assert retry_after(after) == 30


def test_milliseconds_win_over_seconds() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "30"}) == 1.5
    assert retry_after({"retry-after-ms": "", "retry-after": "30"}) == 30
    assert retry_after({}) is None


@given(st.integers(min_value=400, max_value=999), st.text(max_size=3000), st.none() | st.text(max_size=30))
def test_every_status_becomes_an_error_that_names_its_request(
    status: int, message: str, error_type: str | None
) -> None:
    error = error_for(status, message, error_type)
    assert ErrorKind(error.type or "") is not ErrorKind.UNEXPECTED
    assert "(request req_9)" in error.message
    assert error.details == (ModelFailure(request_id="req_9"),)
    assert error.non_retryable is (400 <= status < 500 and status not in (408, 409, 425, 429))


@pytest.mark.parametrize(
    ("error_type", "final"), [("permission_error", True), ("overloaded_error", False), (None, False)]
)
def test_where_the_status_is_good_the_type_of_the_error_counts(error_type: str | None, final: bool) -> None:
    error = error_for(200, "in a stream", error_type)
    assert error.non_retryable is final
    assert "(request req_9)" in error.message


def test_a_long_message_is_cut_before_the_advice() -> None:
    error = error_for(401, "x" * 5000)
    assert "x" * MESSAGE_LIMIT in error.message
    assert error.message.endswith("(request req_9); check ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN")


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens: 300000 > 128000, the maximum for this model",
        "messages: at least one is required",
        "context: unknown",
    ],
)
def test_not_every_wrong_request_is_too_long(message: str) -> None:
    assert error_for(400, message).type == ErrorKind.MODEL_REJECTED
