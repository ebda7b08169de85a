"""The data converter: refuses a message that history cannot hold and a request that cannot be read, and redacts failures.

The server's own limit (2 MB) shows only when a workflow task is completed, which then fails and is retried forever; so does
a task whose run was started with wrong input. Raised here, either mistake fails the run with a typed error.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from typing import Any, Self

from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaSerializer, to_json
from pydantic_core.core_schema import any_schema
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)
from temporalio.exceptions import ApplicationError

from outlast.contracts import Contract, unknown_in, wrong_fields
from outlast.errors import ErrorKind, non_retryable
from outlast.redaction import SECRETS

SERVER_LIMIT = 2 * 1024 * 1024
"""Largest message that a Temporal server takes, in bytes."""


FAILURE_CHARACTERS = 20_000
"""Longest message and longest stack of one failure in history; of a longer one the middle is left out."""
MOST_IGNORED = 5
"""Fields that a request does not have of which its run gives notice."""


class WithoutDefaults(PydanticJSONPlainPayloadConverter):
    """Writes our contracts without the fields that have their default: every byte is stored once for each step of each run.

    Other values are written as pydantic's own converter does it.
    """

    _without_defaults = SchemaSerializer(any_schema())

    def to_payload(self, value: Any) -> Payload | None:
        """Convert a value; natively, because a serializer in Python costs several times as much."""
        if not isinstance(value, Contract):
            return super().to_payload(value)
        data = self._without_defaults.to_json(value, exclude_defaults=True)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)


@cache
def _converters() -> tuple[EncodingPayloadConverter, ...]:
    """Return what the pydantic converter is made of, with our own converter for JSON."""
    mine = WithoutDefaults()
    converters = DefaultPayloadConverter.default_encoding_payload_converters
    return tuple(mine if isinstance(each, JSONPlainPayloadConverter) else each for each in converters)


class GuardedPayloadConverter(PydanticPayloadConverter):
    """The pydantic converter with two checks, both non-retryable.

    PayloadTooLarge for a message over its limit in bytes: `limit` for our contracts, `others` for everything else.
    InputInvalid for what cannot be read as the request that starts a run.
    """

    limit = SERVER_LIMIT
    others = SERVER_LIMIT

    def __init__(self) -> None:
        # The SDK makes one for every activation and every payload of some; they keep no state, so all share their parts.
        CompositePayloadConverter.__init__(self, *_converters())

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Convert values; raises PayloadTooLarge."""
        payloads = super().to_payloads(values)
        for value, payload in zip(values, payloads, strict=True):
            limit = self.limit if isinstance(value, Contract) else self.others
            if len(payload.data) > limit and getattr(value, "recorded", True):
                raise non_retryable(ErrorKind.PAYLOAD_TOO_LARGE, describe(value, len(payload.data), limit))
        return payloads

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Read values; raises InputInvalid."""
        try:
            values = super().from_payloads(payloads, type_hints)
        except ValidationError as error:
            if any(getattr(hint, "starts_run", False) for hint in type_hints or ()):
                raise non_retryable(ErrorKind.INPUT_INVALID, "; ".join(wrong_fields(error))) from error
            raise
        for value, payload in zip(values, payloads, strict=False):
            if getattr(value, "starts_run", False):
                value._ignored = tuple(islice(unknown_in(value, json.loads(payload.data)), MOST_IGNORED))
        return values


def guarded(limit: int, others: int | None = None) -> type[GuardedPayloadConverter]:
    """Build the converter class for a limit in bytes; `others` is that of values which are none of our contracts."""
    fields = {"limit": limit, "others": limit if others is None else others}
    return type(GuardedPayloadConverter.__name__, (GuardedPayloadConverter,), fields)


@dataclass(frozen=True)
class GuardedDataConverter(DataConverter):
    """A data converter whose payload and failure converters are ours, which take no context.

    The SDK gives the context of a payload to each part, and to find out which of them takes it costs more than the conversion.
    """

    @cached_property
    def _takes_context(self) -> bool:
        return any(isinstance(each, WithSerializationContext) for each in (self.payload_codec, self.external_storage))

    def with_context(self, context: SerializationContext) -> Self:
        """Return the converter for a context: itself, unless a codec or storage of somebody else's takes it."""
        return super().with_context(context) if self._takes_context else self


class RedactingFailureConverter(DefaultFailureConverter):
    """Writes failures without the secrets of this process: messages, stacks and details, those of all causes too."""

    sealed = False
    """Whether messages and stacks go where the codec encrypts them."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Write a failure; the SDK calls this for each cause as well.

        A failure that is too large for the server is never reported: the task comes again and fails again. So texts are cut, and
        details that are too large are left out and named in their place.
        """
        try:
            super().to_failure(exception, payload_converter, failure)
        except ApplicationError as error:
            if error.type != ErrorKind.PAYLOAD_TOO_LARGE or not isinstance(exception, ApplicationError):
                raise
            failure.Clear()
            super().to_failure(_without_details(exception, error.message), payload_converter, failure)
        _redact(failure)
        for name in ("message", "stack_trace"):
            text = getattr(failure, name)
            if len(text) > FAILURE_CHARACTERS:
                half = FAILURE_CHARACTERS // 2
                setattr(
                    failure, name, f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
                )
        if self.sealed:  # as the SDK does it, but after the redaction
            written = {"message": failure.message, "stack_trace": failure.stack_trace}
            failure.encoded_attributes.CopyFrom(payload_converter.to_payloads([written])[0])
            failure.message, failure.stack_trace = "Encoded failure", ""


class SealedFailureConverter(RedactingFailureConverter):
    """The same, for a converter that encrypts."""

    sealed = True


def _without_details(error: ApplicationError, why: str) -> ApplicationError:
    made = ApplicationError(
        f"{error.message} (its details are left out: {why})",
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )
    made.__cause__, made.__traceback__ = error.__cause__, error.__traceback__
    return made


def _redact(failure: Failure) -> None:
    while True:
        for name in ("message", "stack_trace"):
            text = getattr(failure, name)
            if (kept := SECRETS(text)) != text:
                setattr(failure, name, kept)
        info = failure.WhichOneof("failure_info")
        for name in ("details", "last_heartbeat_details"):
            held = getattr(failure, info) if info else None
            if held is not None and name in held.DESCRIPTOR.fields_by_name and held.HasField(name):
                _redact_payloads(getattr(held, name))
        if not failure.HasField("cause"):
            return
        failure = failure.cause


def _redact_payloads(payloads: Payloads) -> None:
    for payload in payloads.payloads:
        if not payload.metadata.get("encoding", b"").startswith(b"json/"):
            continue
        written = payload.data.decode(errors="replace")
        if SECRETS(written) != written:
            payload.data = json.dumps(SECRETS.deeply(json.loads(payload.data)), separators=(",", ":")).encode()


def describe(value: Any, size: int, limit: int) -> str:
    """Return which field of a message makes it too big and what to do about it."""
    where, largest = _largest(value, type(value).__name__)
    return (
        f"{type(value).__name__} is {size:,} bytes, over the limit of {limit:,} (PAYLOAD_LIMIT_BYTES); "
        f"largest field: {where} ({largest:,} bytes). "
        "Pass large text by reference: keep it in the content store and send the ref."
    )


def _largest(value: Any, path: str) -> tuple[str, int]:
    """Follow the biggest child down for as long as it makes up more than half of its parent."""
    size = _size(value)
    children: list[tuple[str, Any]] = []
    if isinstance(value, BaseModel):
        children = [(f"{path}.{name}", getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        children = [(f"{path}.{name}", child) for name, child in value.items()]
    elif isinstance(value, list | tuple):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    if not children:
        return path, size
    name, child = max(children, key=lambda pair: _size(pair[1]))
    return _largest(child, name) if _size(child) * 2 > size else (path, size)


def _size(value: Any) -> int:
    # Whatever could be sent can be measured: raw bytes need not be UTF-8, and not every type is known to pydantic.
    return len(to_json(value, bytes_mode="base64", fallback=repr))
