"""A request body of megabytes, written as JSON while it is sent, so that it is never in memory beside its texts. Pure."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

LARGE = 1024 * 1024
"""Characters from which a body is written piece by piece; below, what that saves is less than what it costs."""

SLICE = 64 * 1024
"""Characters that are written at a time."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class StreamedJson:
    """A value as JSON, in pieces of bytes; it can be sent again.

    Raises ValueError at once for what cannot be written.
    """

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._value = value
        self.size = sum(map(len, _chunks(value)))
        """Bytes of the whole, which servers want to know beforehand."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the bytes in their order."""
        for chunk in _chunks(self._value):
            yield chunk


def characters(value: object) -> int:
    """Count the characters of all texts in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(characters, value.values()))
    return sum(map(characters, value)) if isinstance(value, list | tuple) else 0


def _chunks(value: object) -> Iterator[bytes]:
    """Collect pieces into chunks that are worth a system call each."""
    held: list[str] = []
    size = 0
    for piece in _pieces(value):
        held.append(piece)
        size += len(piece)
        if size >= SLICE:
            yield "".join(held).encode()
            held, size = [], 0
    yield "".join(held).encode()


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) > SLICE:
        yield '"'
        for at in range(0, len(value), SLICE):
            yield _ENCODER.encode(value[at : at + SLICE])[1:-1]  # what is escaped never depends on its neighbours
        yield '"'
    elif isinstance(value, Mapping):
        for index, (name, inner) in enumerate(value.items()):
            yield ("," if index else "{") + _ENCODER.encode(name) + ":"
            yield from _pieces(inner)
        yield "}" if value else "{}"
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield "," if index else "["
            yield from _pieces(inner)
        yield "]" if value else "[]"
    else:
        yield _ENCODER.encode(value)
