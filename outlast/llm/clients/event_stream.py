"""The events of an answer within the frames of Amazon's event stream, as Bedrock sends them."""

import json
from base64 import b64decode

from outlast.llm.stream import ReportedError


class Frames:
    """Turns frames, cut anywhere, into server-sent events.

    Each frame is checked by its sums and holds one event of the Messages API, in base64 within JSON; a frame of the kind
    `exception` or `error` holds what went wrong.
    """

    def __init__(self) -> None:
        from botocore.eventstream import EventStreamBuffer, ParserError

        self._buffer, self._broken = EventStreamBuffer(), ParserError

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are whole now.

        Raises:
            ReportedError: Bedrock reports an error within the stream.
            ValueError: The bytes are no frames, or were damaged on their way.
        """
        self._buffer.add_data(chunk)
        try:
            return b"".join(b"data: " + _event(frame.headers, frame.payload) + b"\n\n" for frame in self._buffer)
        except self._broken as error:
            raise ValueError(f"no event stream of Bedrock: {error}") from error


def _event(headers: dict[str, object], payload: bytes) -> bytes:
    kind = headers.get(":message-type")
    if kind == "event":
        return b64decode(json.loads(payload).get("bytes") or "")
    code = str(headers.get(":exception-type") or headers.get(":error-code") or kind)
    try:
        message = json.loads(payload).get("message")
    except (ValueError, AttributeError):
        message = None
    message = message or headers.get(":error-message") or payload.decode(errors="replace")
    raise ReportedError(ERRORS.get(code, "api_error"), f"{code}: {message}")


ERRORS = {
    "throttlingException": "rate_limit_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
    "internalServerException": "api_error",
    "modelStreamErrorException": "api_error",
    "validationException": "invalid_request_error",
}
"""What Bedrock calls its errors, and what the Messages API calls the same."""
