"""Claude, or anything that speaks the Messages API; only files named `claude…` import `anthropic`.

The SDK gives authentication, address, headers and errors, over aiohttp where it is installed; the stream is read by `stream` and
`message`, which take a fifth of the time. Always streamed, because the API refuses long answers otherwise; the SDK's own
retries are off, because two layers of retries multiply. A stream can end early without an error, so an answer that does not
say that it is whole is a failure.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

import anthropic
import httpx2
from anthropic.types import RawMessageDeltaEvent, RawMessageStartEvent

from outlast.contracts import ModelFailure, StopReason
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.llm.base import ModelCall, ModelReply, Progress
from outlast.llm.claude_request import parameters_of, shared_prefix
from outlast.llm.clients.claude_clients import SdkClient, client_of, credentials_of, make_client
from outlast.llm.endpoint import CredentialsError, Known
from outlast.llm.http_errors import DEFAULT_RETRY_AFTER_CAP, error_for_status
from outlast.llm.message import MessageBuilder, reply_of
from outlast.llm.shared_prefixes import SharedPrefixes
from outlast.llm.stream import EventReader, NotMessagesApiError, ReportedError

__all__ = ["ClaudeLLM", "SdkClient", "client_of", "make_client"]

SHARE_WAITED, LONGEST_BATCH = 0.02, 0.1
"""What has come is read in batches: a stream pauses for this share of its age between two, and for so many seconds at most."""

LAST_BYTES = 0.5
"""Seconds that a body may take to end after its last event, so that its connection can be used again."""


class ClaudeLLM:
    """Makes one streamed Messages API call and turns what comes back into a reply or a typed error."""

    def __init__(
        self,
        client: SdkClient,
        retry_after_cap: float = DEFAULT_RETRY_AFTER_CAP,
        names: Callable[[str], str] = str,
        known: Known | None = None,
    ) -> None:
        """Take the client, the longest wait in seconds that a server may ask for, and what the provider calls each model.

        `known` says whether the address has answered before.
        """
        self._client = client
        self._retry_after_cap = retry_after_cap
        self._names = names
        self._known = known or Known()
        self._prefixes = SharedPrefixes()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def answer(self, call: ModelCall, progress: Progress) -> ModelReply:
        """Make the call; raises the errors of `outlast.llm.http_errors`."""
        headers: Mapping[str, str] = {}
        parameters = parameters_of(call) | {"model": self._names(call.model)}
        builder: MessageBuilder | None = None
        try:
            async with (
                self._prefixes.turn(shared_prefix(call, parameters)) as begun,
                await self._client.messages.create(**parameters, stream=True) as stream,
            ):
                headers = stream.response.headers
                span = CallSpan(stream.response)
                builder = MessageBuilder(progress, span.observe if span.is_recorded else None)
                with span:
                    await _read(stream.response, builder, begun)
        except CredentialsError as error:
            raise non_retryable(ErrorKind.MODEL_NOT_ALLOWED, str(error), ModelFailure(model=call.model)) from error
        except anthropic.APIStatusError as error:
            # Not as its cause: that holds the whole body, and a proxy's error page would land in history.
            raise self._status_error(error, call, progress) from None
        except ReportedError as error:
            raise self._reported(error, call, progress, headers) from None
        except NotMessagesApiError as error:
            raise self._foreign(error, call, progress, headers) from None
        except (anthropic.APIError, httpx2.HTTPError) as error:
            # What comes after the last event of an answer is of no interest: it would be paid a second time.
            if builder is None or not builder.complete:
                raise self._broken(_reason(error), call, progress, headers) from error
        except ValueError as error:
            raise self._broken(f"an event is not JSON: {error}", call, progress, headers) from error
        return self._reply(builder, call, progress, headers)

    def _reply(
        self, builder: MessageBuilder | None, call: ModelCall, progress: Progress, headers: Mapping[str, str]
    ) -> ModelReply:
        try:
            message = builder.message() if builder is not None else None
            reply = reply_of(message, call, progress, _id_in(headers)) if message is not None else None
            if (
                builder is not None
                and builder.cut_off
                and reply is not None
                and reply.stop_reason is StopReason.TOOL_USE
            ):
                raise ValueError("they break off")
        except ValueError as error:
            raise self._broken(f"a tool's arguments are not JSON: {error}", call, progress, headers) from error
        if reply is None:
            raise self._broken("the stream ended before the answer did", call, progress, headers)
        self._known.note_answer()
        return reply

    def _status_error(self, error: anthropic.APIStatusError, call: ModelCall, progress: Progress) -> Exception:
        if error.type:  # an error in the API's own form: it is the API that answers
            self._known.note_answer()
        return error_for_status(
            error.status_code,
            error_type=str(error.type) if error.type else None,
            # Other servers than Claude's send anything here.
            message=str(error.api_message or error.message),
            headers=error.response.headers,
            details=ModelFailure(
                status=error.status_code,
                request_id=error.request_id or "",
                model=call.model,
                usage=progress.paid(),
            ),
            cap=self._retry_after_cap,
            credentials=credentials_of(self._client),
        )

    def _reported(
        self, error: ReportedError, call: ModelCall, progress: Progress, headers: Mapping[str, str]
    ) -> Exception:
        if error.kind:
            self._known.note_answer()
        status = error.status or 200
        return error_for_status(
            status,
            error_type=error.kind,
            message=error.message,
            headers=headers,
            details=ModelFailure(status=status, request_id=_id_in(headers), model=call.model, usage=progress.paid()),
            cap=self._retry_after_cap,
        )

    def _foreign(
        self, error: NotMessagesApiError, call: ModelCall, progress: Progress, headers: Mapping[str, str]
    ) -> Exception:
        request_id = _id_in(headers)
        said = f"{error}{f' (request {request_id})' if request_id else ''}"
        failure = ModelFailure(status=200, request_id=request_id, model=call.model, usage=progress.paid())
        if self._known.is_right:  # a gateway or a portal that stands before it, or says that it is being worked on
            text = f"{self._client.base_url} does not speak the Messages API at this moment: {said}"
            return retryable(ErrorKind.MODEL_UNAVAILABLE, text, failure)
        text = f"{self._client.base_url} does not speak the Messages API: {said}; check ANTHROPIC_BASE_URL"
        return non_retryable(ErrorKind.MODEL_NOT_FOUND, text, failure)

    def _broken(self, reason: str, call: ModelCall, progress: Progress, headers: Mapping[str, str]) -> Exception:
        request_id = _id_in(headers)
        text = f"the connection to {self._client.base_url} failed: {reason}"
        return retryable(
            ErrorKind.MODEL_UNAVAILABLE,
            f"{text} (request {request_id})" if request_id else text,
            ModelFailure(request_id=request_id, model=call.model, usage=progress.paid()),
        )


async def _read(response: httpx2.Response, builder: MessageBuilder, begun: Callable[[], None]) -> None:
    """Read the whole body into the builder, as many events at a time as have come; says once that the answer has begun."""
    reader, noted, loop = EventReader(builder.take), False, asyncio.get_running_loop()
    unframed = _unframed(response)
    started = loop.time()
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            try:
                reader.feed(unframed(chunk))
            finally:
                builder.report()
            if builder.begun and not noted:
                noted = True
                begun()
            if builder.ended:
                await _drained(chunks)
                return
            await asyncio.sleep(min((loop.time() - started) * SHARE_WAITED, LONGEST_BATCH))
    reader.finish()
    builder.report()


def _unframed(response: httpx2.Response) -> Callable[[bytes], bytes]:
    if response.headers.get("content-type") != "application/vnd.amazon.eventstream":
        return bytes
    from outlast.llm.clients.event_stream import Frames

    return Frames().feed


async def _drained(chunks: AsyncIterator[bytes]) -> None:
    """Read what is left of a body whose last event has come; some servers leave the connection open."""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(LAST_BYTES):
            async for _ in chunks:
                pass


def _id_in(headers: Mapping[str, str]) -> str:
    return headers.get("request-id") or headers.get("x-amzn-requestid") or ""


def _reason(error: Exception) -> str:
    # The SDK says no more than "Connection error."; what went wrong is its cause.
    cause = (error.__cause__ or error) if isinstance(error, anthropic.APIError) else error
    return f"{type(cause).__name__}: {cause}"


class CallSpan:
    """The SDK's own span of a call, where telemetry is on: it is given the events that the SDK would have read itself."""

    def __init__(self, response: httpx2.Response) -> None:
        self._observer: Any = getattr(response.stream, "stream_observer", None)
        self._begun = False

    @property
    def is_recorded(self) -> bool:
        """Whether there is a span."""
        return self._observer is not None

    def __enter__(self) -> None:
        if self._observer is not None:
            self._observer.begin()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._observer is not None and error is None:
            self._observer.end("read")
        elif self._observer is not None and isinstance(error, Exception):
            self._observer.end("failed", error)

    def observe(self, event: dict[str, Any]) -> None:
        """Pass on what says how the call went; of the deltas, the first is enough."""
        kind = event.get("type")
        if kind == "content_block_delta" and self._begun:
            return
        self._begun = self._begun or kind == "content_block_delta"
        form = _SPAN_EVENTS.get(str(kind))
        self._observer.item(form(**event) if form else event)


_SPAN_EVENTS: dict[str, Callable[..., object]] = {
    "message_start": RawMessageStartEvent.construct,
    "message_delta": RawMessageDeltaEvent.construct,
}
