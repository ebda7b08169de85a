"""The messages between a worker and its parser processes: a small JSON header and a body of bytes, each with its length."""

import json
import struct
from collections.abc import Callable
from typing import Any

LENGTHS = struct.Struct(">IQ")
HEADER_BYTES = 16 * 1024 * 1024
"""Longest header that a worker reads."""


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Write a message, without its body."""
    written = json.dumps(header).encode()
    return LENGTHS.pack(len(written), len(body)) + written


def read(take: Callable[[int], bytes], most: int) -> tuple[dict[str, Any], bytes]:
    """Read a message; `take(n)` gives exactly n bytes. Raises ValueError for lengths over `HEADER_BYTES` and `most`."""
    header_length, body_length = LENGTHS.unpack(take(LENGTHS.size))
    if header_length > HEADER_BYTES or body_length > most:
        raise ValueError(f"a message of {header_length:,} + {body_length:,} bytes is too long")
    header = json.loads(take(header_length))
    return header, take(body_length) if body_length else b""
