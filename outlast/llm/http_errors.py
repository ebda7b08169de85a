"""From what a provider answered to what we do next: the error table, pure and without any SDK.

Source: the Messages API's error types (https://docs.claude.com/en/api/errors) and RFC 9110 §10.2.3 for Retry-After.
Servers send absurd waits (days), and waits in three formats; a wait above the cap must become a non-retryable error, so that
a fallback runs now instead of the run sleeping for days.
"""

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite

from temporalio.exceptions import ApplicationError

from outlast.contracts import ModelFailure
from outlast.errors import ErrorKind, non_retryable, retryable

DEFAULT_RETRY_AFTER_CAP = 60.0
"""Longest wait in seconds that is worth waiting for before the fallback runs."""

RETRY_JITTER = 0.2
"""Waits are stretched by up to this share, so that many workers do not come back at once."""

MESSAGE_LIMIT = 1000
"""Longest piece of a provider's message, in characters, so that request id and advice after it are never cut off."""

_RETRYABLE = frozenset({408, 409, 425, 429})
_NOT_ALLOWED = frozenset({401, 402, 403})
_STATUS_OF_TYPE = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
}
_TOO_LONG = re.compile(r"prompt is too long|exceed\w*[ _]context|context (window|length|size)", re.IGNORECASE)


def error_for_status(
    status: int,
    *,
    error_type: str | None,
    message: str,
    headers: Mapping[str, str],
    details: ModelFailure,
    cap: float = DEFAULT_RETRY_AFTER_CAP,
    credentials: str = "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN",
) -> ApplicationError:
    """Turn an HTTP answer into a typed error; `error_type` decides where an error came inside a 200 stream.

    `credentials` is what to check where they are refused.
    """
    if status < 400:
        status = _STATUS_OF_TYPE.get(error_type or "", 500)
    text = f"{status} {error_type or 'error'}: {message[:MESSAGE_LIMIT]}"
    if details.request_id:
        text += f" (request {details.request_id})"
    if status in _RETRYABLE or status >= 500:
        kind = ErrorKind.RATE_LIMITED if status == 429 else ErrorKind.MODEL_UNAVAILABLE
        wait = retry_after(headers)
        if wait is not None and wait > cap:
            return non_retryable(
                ErrorKind.RATE_LIMITED_TOO_LONG,
                f"{text}; the server asks to wait {wait:.0f} s, more than RETRY_AFTER_CAP={cap:.0f} s",
                details,
            )
        return retryable(kind, text, details, after=_jittered(wait))
    if status in _NOT_ALLOWED:
        return non_retryable(ErrorKind.MODEL_NOT_ALLOWED, f"{text}; check {credentials}", details)
    if status == 404:
        return non_retryable(
            ErrorKind.MODEL_NOT_FOUND,
            f"{text}; check the agent's model, models.toml and the address of the endpoint (ANTHROPIC_BASE_URL)",
            details,
        )
    if status == 413 or _TOO_LONG.search(message):
        return non_retryable(ErrorKind.CONTEXT_EXCEEDED, text, details)
    return non_retryable(ErrorKind.MODEL_REJECTED, text, details)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the server asks to wait: `retry-after-ms`, or `retry-after` as seconds or HTTP date.

    A date counts from the server's own, where it says that: this machine's clock may be off.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    moment = _moment(value)
    if moment is None:
        return None
    return max(0.0, (moment - (_moment(headers.get("date")) or datetime.now(UTC))).total_seconds())


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if isfinite(number) else None


def _jittered(wait: float | None) -> timedelta | None:
    # "At once" (a wait of zero, a date gone by) would use up all attempts in a moment: the policy's own delay is meant.
    if not wait:
        return None
    return timedelta(seconds=wait * (1 + random.uniform(0, RETRY_JITTER)))  # noqa: S311 - spreads load, hides nothing
