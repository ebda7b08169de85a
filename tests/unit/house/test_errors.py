"""Errors keep their names and stay short, however deep Temporal wraps them and however they came through history."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    RetryState,
    TerminatedError,
    TimeoutType,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeoutError,
)

from outlast import errors
from outlast.contracts import ModelFailure
from outlast.errors import ERROR_TEXT_LIMIT, ErrorKind, kind_of, non_retryable, retryable, root_of, text_of


def by_activity(cause: BaseException) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=5,
        started_event_id=6,
        identity="worker",
        activity_type="call_model",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def by_child(cause: BaseException) -> ChildWorkflowError:
    error = ChildWorkflowError(
        "Child workflow execution failed",
        namespace="default",
        workflow_id="child",
        run_id="1",
        workflow_type="W",
        initiated_event_id=5,
        started_event_id=6,
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    error.__cause__ = cause
    return error


def timeout() -> TemporalTimeoutError:
    return TemporalTimeoutError("activity Heartbeat timeout", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[])


async def through_history(error: BaseException) -> BaseException:
    failure = Failure()
    await pydantic_data_converter.encode_failure(error, failure)
    return await pydantic_data_converter.decode_failure(Failure.FromString(failure.SerializeToString()))


CASES = [
    (non_retryable(ErrorKind.MODEL_REJECTED, "no"), ErrorKind.MODEL_REJECTED, "no"),
    (retryable(ErrorKind.RATE_LIMITED, "later"), ErrorKind.RATE_LIMITED, "later"),
    (ApplicationError("odd", type="SomebodyElses"), ErrorKind.UNEXPECTED, "odd"),
    (ApplicationError("odd"), ErrorKind.UNEXPECTED, "odd"),
    (timeout(), ErrorKind.TIMED_OUT, "activity Heartbeat timeout"),
    (CancelledError("stop"), ErrorKind.CANCELLED, "stop"),
    (TerminatedError("ended"), ErrorKind.UNEXPECTED, "ended"),
]


@pytest.mark.parametrize(("error", "kind", "text"), CASES, ids=lambda case: str(case)[:20])
@pytest.mark.parametrize(
    "wrap", [lambda e: e, by_activity, lambda e: by_child(by_activity(e)), lambda e: by_child(by_child(e))]
)
async def test_a_failure_is_known_however_it_is_wrapped(
    error: FailureError, kind: ErrorKind, text: str, wrap: Callable[[BaseException], BaseException]
) -> None:
    for wrapped in (wrap(error), await through_history(wrap(error))):
        assert kind_of(wrapped) is kind
        assert text_of(wrapped) == text


def test_a_wrapper_without_a_cause_speaks_for_itself() -> None:
    empty = by_activity(ValueError())
    empty.__cause__ = None
    assert root_of(empty) is empty
    assert (kind_of(empty), text_of(empty)) == (ErrorKind.UNEXPECTED, "Activity task failed")


def test_an_application_error_is_the_root_whatever_caused_it() -> None:
    error = non_retryable(ErrorKind.MODEL_NOT_FOUND, "no such model")
    error.__cause__ = timeout()
    assert (kind_of(by_activity(error)), text_of(by_activity(error))) == (ErrorKind.MODEL_NOT_FOUND, "no such model")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\n\n  lines\t"), "two lines"),
        (KeyError(), "KeyError"),
        (KeyError("k"), "'k'"),
        (ValueError(""), "ValueError"),
    ],
)
def test_a_text_is_one_line_and_never_empty(error: Exception, text: str) -> None:
    assert (kind_of(error), text_of(error)) == (ErrorKind.UNEXPECTED, text)


def test_a_message_attribute_need_not_be_a_text() -> None:
    class OddError(Exception):
        message = {"deep": 1}  # noqa: RUF012 - as foreign errors have it

    assert text_of(OddError()) == "{'deep': 1}"


@pytest.mark.parametrize("build", [non_retryable, retryable])
def test_texts_are_capped(build: Callable[..., ApplicationError]) -> None:
    error = build(ErrorKind.MODEL_REJECTED, "x" * 100_000, ModelFailure(status=400))
    assert len(error.message) == ERROR_TEXT_LIMIT
    assert len(text_of(ValueError("x" * 100_000))) == ERROR_TEXT_LIMIT


async def test_details_and_delay_survive_history() -> None:
    paid = ModelFailure(status=429, request_id="req_1", model="m", usd=0.25)
    error = await through_history(retryable(ErrorKind.RATE_LIMITED, "later", paid, after=timedelta(seconds=7)))
    assert isinstance(error, ApplicationError)
    assert (error.type, error.non_retryable, error.next_retry_delay) == ("RateLimited", False, timedelta(seconds=7))
    assert ModelFailure.model_validate(error.details[0]) == paid
    refused = await through_history(non_retryable(ErrorKind.MODEL_REJECTED, "no"))
    assert isinstance(refused, ApplicationError)
    assert refused.non_retryable


def test_the_drawing_names_only_kinds_that_exist() -> None:
    drawn = set(re.findall(r"(?:├──|└──) ((?:[A-Z]\w+(?:, )?)+)", errors.__doc__ or ""))
    names = {name.strip() for group in drawn for name in group.split(",")} - {"Document"}
    assert names <= set(ErrorKind)
    assert len(names) > 10
