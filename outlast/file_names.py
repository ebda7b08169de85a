"""File names as text: bytes that are no UTF-8 are written as `\\xNN`, because JSON, histories and terminals take text alone."""

import re
from pathlib import Path

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
"""A byte that ASCII does not have: so no `/` or `.` can come out of one."""


def readable(text: str) -> str:
    """Return a name, or a text with names in it, that can be encoded: `b\\udcfcro` becomes `b\\xfcro`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if not text.isascii() else text


def original(folder: Path, name: str) -> str:
    """Return the name of a file in a folder that `readable` has made that of; any other name stays as it is."""
    if "\\x" not in name or (folder / name).exists():
        return name
    meant = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode("utf-8", "surrogateescape"))
    there = meant.decode("utf-8", "surrogateescape")
    return there if (folder / there).exists() else name
