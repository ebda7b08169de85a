"""What an object of the content store is: by its key, and where that does not tell it, by what it holds.

What nobody here knows is never deleted. An application whose activities remember records of their own registers them:

    register_record(RecordKind("found in a search", needs=frozenset({"source", "text"}), may=frozenset({"found", "notes"})))
"""

import re
from dataclasses import dataclass

from pydantic_core import from_json

CONTENT = "content"
UNKNOWN = "unknown"
ROUTER = "trained router"

KEY = re.compile(r"(?:named/)?([A-Za-z0-9_-]{2})/\1[A-Za-z0-9_-]{41}")
"""Keys of content, and of records by the digest of their name."""
_REFERENCE = re.compile(rb"[A-Za-z0-9_-]{43}")
_TURN = re.compile(rb"turn [0-9a-f]{32}")


@dataclass(frozen=True)
class RecordKind:
    """A record that is JSON: the fields that it always has, and those that it may have beside them."""

    name: str
    needs: frozenset[str]
    may: frozenset[str] = frozenset()

    def fits(self, fields: frozenset[str]) -> bool:
        """Whether an object with these fields is such a record."""
        return self.needs <= fields <= self.needs | self.may


_USAGE = frozenset({"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"})
_KINDS = [
    RecordKind("paid reply", frozenset({"reply", "ms", "attempt"}), frozenset({"left_out", "bound", "wasted"})),
    RecordKind("result of a tool", frozenset({"said"}), frozenset({"failed", "ms", "attempt", "undo"})),
    RecordKind("how to undo a call", frozenset({"call", "arguments"}), frozenset({"undo"})),
    RecordKind("mark of an undone call", frozenset({"undone"})),
    *(RecordKind("cost of an attempt", frozenset({field}), _USAGE) for field in sorted(_USAGE)),
]


def register_record(kind: RecordKind) -> None:
    """Let `gc` know a kind of record, which it deletes once no run can ask for it any more."""
    if kind not in _KINDS:
        _KINDS.append(kind)


def kind_of(record: bytes) -> str:
    """Return what a record is; UNKNOWN for what must not be deleted."""
    if _TURN.fullmatch(record):
        return "turn at a service"
    if _REFERENCE.fullmatch(record):
        return ROUTER
    try:
        read = from_json(record)
    except ValueError:
        return UNKNOWN
    fields = frozenset(read) if isinstance(read, dict) else frozenset()
    return next((kind.name for kind in _KINDS if kind.fits(fields)), UNKNOWN)
