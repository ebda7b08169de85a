"""Every way in which an activity fails, by name, and what follows from each.

    ApplicationError
    ├── retryable: another attempt may succeed
    │   ├── RateLimited          429; waits as long as the server asks (`next_retry_delay`)
    │   ├── ModelUnavailable     408, 409, 425, 5xx, 529, connection and time-out errors, a stream that broke off
    │   ├── ContentUnavailable   the content store does not answer, cannot be written, or is not there
    │   ├── ToolUnavailable      a tool's server or file system does not answer
    │   ├── SourceUnavailable    a search source does not answer
    │   ├── WorkerLost           the worker process died; the next worker on the machine handed the activity back
    │   └── ChannelUnavailable   a notification channel does not take a notice
    └── non-retryable: the same call would fail again
        ├── RateLimitedTooLong   the server asks for a longer wait than the cap: use the fallback
        ├── ModelRejected        400, 422: the request itself is wrong
        ├── ContextExceeded      413, or a 400 that says so: the prompt does not fit; compact, then ask again
        ├── ModelNotAllowed      401, 402, 403: key or permission
        ├── ModelNotFound        404: no such model or address
        ├── ContentMissing, ContentAltered          the reference points to nothing, or to other bytes
        ├── PayloadTooLarge                         a message too big for history
        ├── CatalogInvalid                          an agent file cannot be read
        ├── ToolUnknown, SourceNotConfigured, ClassifierInvalid, ChannelUnknown     an unknown name, or a missing setting
        ├── BudgetReached                           the run's budget is used up and was not raised
        ├── ReservationShort                        not sent: the budget has reserved too little for it; reserve more
        ├── NotAnswered                             a person was asked and did not answer in time
        ├── Halted                                  no decision in time, and the gate's policy ends the whole run then
        ├── UndoRefused                             a change cannot be undone: somebody changed the same since, for instance
        ├── RolledBack                              a person asked for the run to be rolled back
        ├── NotApproved                             an action that no person approved, or another than the approved one
        ├── ResultInvalid                           an activity was completed with what it cannot have given, by hand for instance
        ├── ApprovedBeforeReset                     the approval is from before the run was reset; ask again
        └── Document{Encrypted,Scanned,Empty,TooLarge,Unsupported,Unreadable}

Workflows never look at exception classes, only at these names (`kind_of`), because a class does not
survive serialization into history.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
    CancelledError,
    ChildWorkflowError,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeoutError,
)

from outlast.redaction import SECRETS

ERROR_TEXT_LIMIT = 2000
"""Longest error text, in characters: a provider's error page must not meet the payload limit."""


class ErrorKind(StrEnum):
    """The names above; each is the `type` of an ApplicationError."""

    RATE_LIMITED = "RateLimited"
    RATE_LIMITED_TOO_LONG = "RateLimitedTooLong"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    MODEL_REJECTED = "ModelRejected"
    CONTEXT_EXCEEDED = "ContextExceeded"
    MODEL_NOT_ALLOWED = "ModelNotAllowed"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_REFUSED = "ModelRefused"
    OUTPUT_INVALID = "OutputInvalid"
    OUTPUT_CUT_OFF = "OutputCutOff"
    CONTENT_MISSING = "ContentMissing"
    CONTENT_ALTERED = "ContentAltered"
    CONTENT_UNAVAILABLE = "ContentUnavailable"
    PAYLOAD_TOO_LARGE = "PayloadTooLarge"
    CATALOG_INVALID = "CatalogInvalid"
    UNKNOWN_AGENT = "UnknownAgent"
    DOCUMENT_ENCRYPTED = "DocumentEncrypted"
    DOCUMENT_SCANNED = "DocumentScanned"
    DOCUMENT_EMPTY = "DocumentEmpty"
    DOCUMENT_TOO_LARGE = "DocumentTooLarge"
    DOCUMENT_UNSUPPORTED = "DocumentUnsupported"
    DOCUMENT_UNREADABLE = "DocumentUnreadable"
    TOOL_UNAVAILABLE = "ToolUnavailable"
    TOOL_UNKNOWN = "ToolUnknown"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    SOURCE_NOT_CONFIGURED = "SourceNotConfigured"
    CLASSIFIER_INVALID = "ClassifierInvalid"
    CHANNEL_UNAVAILABLE = "ChannelUnavailable"
    WORKER_LOST = "WorkerLost"
    CHANNEL_UNKNOWN = "ChannelUnknown"
    BUDGET_REACHED = "BudgetReached"
    RESERVATION_SHORT = "ReservationShort"
    NOT_ANSWERED = "NotAnswered"
    HALTED = "Halted"
    UNDO_REFUSED = "UndoRefused"
    ROLLED_BACK = "RolledBack"
    NOT_APPROVED = "NotApproved"
    RESULT_INVALID = "ResultInvalid"
    APPROVED_BEFORE_RESET = "ApprovedBeforeReset"
    PLAN_INVALID = "PlanInvalid"
    NOTHING_SUCCEEDED = "NothingSucceeded"
    INPUT_INVALID = "InputInvalid"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"
    UNEXPECTED = "Unexpected"


NO_FAULT = (ErrorKind.CANCELLED, ErrorKind.RESERVATION_SHORT)
AWAIT_STORE = "await_store"
"""Detail of a local activity's ContentUnavailable: its run is to wait for the store where the server sees it, then to repeat the
call. It is the name of the activity that waits."""


def non_retryable(kind: ErrorKind, message: str, *details: Any) -> ApplicationError:
    """Build an error that no retry can fix; the worker logs no warning for what is not a fault."""
    categories = ApplicationErrorCategory
    category = categories.BENIGN if kind in NO_FAULT else categories.UNSPECIFIED
    return ApplicationError(_written(message), *details, type=kind, non_retryable=True, category=category)


def retryable(
    kind: ErrorKind, message: str, *details: Any, after: timedelta | None = None, benign: bool = False
) -> ApplicationError:
    """Build an error that a later attempt may not meet; `after` overrides the retry policy's delay.

    One that is `benign` is no trouble of the worker's, which neither logs nor counts it as a failure.
    """
    category = ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED
    return ApplicationError(_written(message), *details, type=kind, next_retry_delay=after, category=category)


def root_of(error: BaseException) -> BaseException:
    """Unwrap what Temporal wraps around a failure, down to the failure itself."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return error


def kind_of(error: BaseException) -> ErrorKind:
    """Name the kind of a failure, however deep Temporal wrapped it."""
    root = root_of(error)
    if isinstance(root, ApplicationError):
        try:
            return ErrorKind(root.type or "")
        except ValueError:
            return ErrorKind.UNEXPECTED
    if isinstance(root, TemporalTimeoutError):
        return ErrorKind.TIMED_OUT
    if isinstance(root, CancelledError):
        return ErrorKind.CANCELLED
    return ErrorKind.UNEXPECTED


def text_of(error: BaseException) -> str:
    """Describe a failure in one line."""
    root = root_of(error)
    message = str(getattr(root, "message", "") or root) or type(root).__name__
    return _written(" ".join(message.split()))


def _written(message: str) -> str:
    """Return a text without secrets, cut to size; in this order, because a cut could leave a part too short to know."""
    return SECRETS(message)[:ERROR_TEXT_LIMIT]
