"""How signals and updates read what a person sent: people send text, JSON, JSON in a text, bytes, or nothing at all.

Handlers take `*args: Any` and never raise: an input that does not decode would otherwise fail the workflow task forever.
"""

import json
from collections.abc import Sequence
from typing import Any


def plain(data: Any) -> Any:
    """Read one input: bytes as text, a text that is JSON as data, other text without the space around it, and "" as None."""
    if isinstance(data, bytes | bytearray):
        try:
            data = bytes(data).decode()
        except UnicodeDecodeError:
            return data
    if not isinstance(data, str):
        return data
    text = data.strip()
    if text[:1] in ("{", "[", '"'):
        try:
            return None if text == '""' else json.loads(text, object_pairs_hook=_once_each)
        except (ValueError, RecursionError):
            return text
    return text or None


def only(arguments: Sequence[Any]) -> Any:
    """Read the one input of a message, None where it has none; raises ValueError, in words, for more of them and broken JSON."""
    if len(arguments) > 1:
        raise ValueError(f"{len(arguments)} inputs")
    data = plain(arguments[0]) if arguments else None
    if isinstance(data, str) and data.startswith("{"):
        raise ValueError("not JSON")
    return data


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object of JSON; of a key that is given twice only one value would be left, so that a no could be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found
