"""Reads the body of an answer as the events of a Messages API, from bytes that may be cut anywhere. Pure, without any SDK.

It takes what servers send: comments, CRLF, unknown fields, a plain JSON message where a stream was asked for. What shows
that no Messages API answers (a web page, another API's JSON) is an error of its own, because asking again cannot help.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic_core import from_json

BODY_LIMIT = 64 * 1024 * 1024
"""Most bytes of one answer; nothing that a model writes comes near it."""

QUOTED = 80
"""How many characters of a body that cannot be read stand in the error."""

KNOWN = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BLANK = b" \t\r\n\xef\xbb\xbf"


class ReportedError(Exception):
    """An error that the server reports within a 200: as an event of the stream, or as a JSON body."""

    def __init__(self, kind: str | None, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


class NotMessagesApiError(Exception):
    """The body shows that whatever answered does not speak the Messages API."""

    def __init__(self, what: str, body: bytes) -> None:
        shown = " ".join(body[: QUOTED * 4].decode(errors="replace").split())[:QUOTED]
        super().__init__(f"{what} ({shown!r})")


class EventReader:
    """Hands each event of the body to `take` as a dictionary, a plain JSON message as the events that it stands for.

    `feed` and `finish` raise ReportedError, NotMessagesApiError, or ValueError for what is broken.
    """

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self._take = take
        self._begun = self._is_json = self._answers = False
        self._size = 0
        self._body: list[bytes] = []
        self._rest = b""
        self._data: list[bytes] = []
        self._name = b""
        self._foreign = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._size += len(chunk)
        if self._size > BODY_LIMIT:
            raise NotMessagesApiError(f"it sent more than {BODY_LIMIT} bytes", self._rest or chunk)
        if not self._begun:
            chunk = self._begin(chunk)
        if self._is_json:
            self._body.append(chunk)
            return
        buffer = self._rest + chunk if self._rest else chunk
        # A return at the very end may be the first half of CRLF.
        cut = max(buffer.rfind(b"\n"), buffer.rfind(b"\r", 0, -1)) + 1
        self._rest = buffer[cut:]
        for line in buffer[:cut].splitlines():
            if line.startswith(b"data:"):
                self._data.append(line[5:])
            else:
                self._line(line)

    def finish(self) -> None:
        """Signal the end of the body; a last event without its closing blank line counts, if it is whole."""
        if self._is_json:
            self._read_json(b"".join(self._body))
            return
        for line in self._rest.splitlines():
            if line.startswith(b"data:"):
                self._data.append(line[5:])
            elif not any(field.startswith(line) for field in _FIELDS):
                self._line(line)
        if self._data:
            with suppress(ValueError):
                self._dispatch()
        if not self._answers and self._foreign:
            raise NotMessagesApiError("it sent no events of the Messages API", self._foreign)

    def _begin(self, chunk: bytes) -> bytes:
        """Detect the kind of body by its first character; content types are too often wrong."""
        start = chunk.lstrip(_BLANK)
        if start.startswith(b"<"):
            raise NotMessagesApiError("it sent a web page", start)
        self._begun, self._is_json = bool(start), start[:1] in (b"{", b"[")
        return start

    def _line(self, line: bytes) -> None:
        if not line:
            if self._data:
                self._dispatch()
            self._name = b""
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif not line.startswith(_FIELDS):
            self._foreign = self._foreign or line.strip()

    def _dispatch(self) -> None:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data = []
        if self._name == b"error":
            raise reported(_loads_or_text(data))
        if data.strip() not in (b"", b"[DONE]"):
            self._event(_loads(data), data)

    def _event(self, event: Any, data: bytes) -> None:
        kind = event.get("type") if isinstance(event, dict) else None
        if kind in KNOWN:
            self._answers = self._answers or kind != "ping"
            self._take(event)
        elif kind == "error" or (isinstance(event, dict) and isinstance(event.get("error"), dict | str)):
            raise reported(event)
        else:
            self._foreign = self._foreign or data.strip()

    def _read_json(self, body: bytes) -> None:
        try:
            value = _loads(body)
        except ValueError as error:
            if not body.rstrip().endswith((b"}", b"]")):
                raise ValueError(f"the JSON answer breaks off: {error}") from error
            raise NotMessagesApiError("it sent something that is not JSON", body) from error
        if isinstance(value, dict) and value.get("type") == "message":
            self._take({"type": "message_start", "message": value})
            self._take({"type": "message_delta", "usage": value.get("usage")})
            self._take({"type": "message_stop"})
        elif isinstance(value, dict) and (value.get("type") == "error" or value.get("error")):
            raise reported(value)
        elif isinstance(value, list) and any(isinstance(each, dict) and each.get("type") in KNOWN for each in value):
            for event in value:
                self._event(event, body)
        else:
            raise NotMessagesApiError("it sent JSON that is not a message", body)


def reported(body: Any) -> ReportedError:
    """Read an error in the API's form, or in that of gateways: a text, or with a number as its code."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return ReportedError(None, str(error))
    kind, message = error.get("type"), error.get("message")
    code = str(error.get("code", error.get("status")))
    status = int(code) if code in map(str, range(400, 600)) else None
    return ReportedError(kind if isinstance(kind, str) else None, str(error if message is None else message), status)


def _loads(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError as error:
        try:
            return json.loads(data)  # takes halves of characters, which servers split between two events
        except ValueError:
            raise error from None


def _loads_or_text(data: bytes) -> Any:
    try:
        return _loads(data)
    except ValueError:
        return data.decode(errors="replace").strip()
