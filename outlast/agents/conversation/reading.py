"""Reads what people send to a session, whatever it is: a text, an object, bytes, nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outlast.contracts import SUMMARY_LENGTH
from outlast.workflow.inputs import only

MOST_CHARACTERS = 200_000
"""Characters of one message; a longer text is put into the content store first, and sent as `ref`."""
NAME_LENGTH = 64
KEY_LENGTH = 200
EXAMPLE = 'send a text, or {"text": "…", "by": "your name", "interrupt": false, "key": "…"}'
EXAMPLE_END = 'send nothing, or {"by": "your name", "now": false}'
KNOWN = ("text", "by", "interrupt", "key", "ref", "size")
REF = re.compile("[A-Za-z0-9_-]{43}")
"""What keys of the content store look like."""
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


@dataclass(frozen=True)
class Said:
    """A message as it was read."""

    text: str = ""
    by: str = ""
    interrupt: bool = False
    key: str = ""
    ref: str = ""
    size: int = 0

    @property
    def says(self) -> bool:
        """Whether there is anything to answer."""
        return bool(self.text.strip() or self.ref)


def read_message(arguments: Sequence[Any]) -> Said | str:
    """Read a message, or say in words why it cannot be understood."""
    try:
        data = only(arguments)
    except ValueError as error:
        if len(arguments) != 1:
            return f"{error}; {EXAMPLE}"
        data = None
    written = arguments[0] if len(arguments) == 1 else None
    if isinstance(written, str) and not isinstance(data, Mapping):
        data = {"text": written}  # what is no object is a text as it was written: people may well say `[1, 2]`
    elif isinstance(data, str | int | float) and not isinstance(data, bool):
        data = {"text": str(data)}
    if not isinstance(data, Mapping):
        return f"{repr(data)[:60]} is no message; {EXAMPLE}"
    if unknown := [str(name) for name in data if name not in KNOWN]:
        return f"nobody knows a field {unknown[0][:60]!r}; {EXAMPLE}"
    return _of_fields({name: value for name, value in data.items() if value is not None})


def read_end(arguments: Sequence[Any]) -> tuple[str, bool] | str:
    """Read who ends the session, and whether at once; or say in words why that cannot be understood."""
    try:
        data = only(arguments)
    except ValueError as error:
        return f"{error}; {EXAMPLE_END}"
    if data is None or isinstance(data, str):
        data = {"by": data or ""}
    if not isinstance(data, Mapping) or any(name not in ("by", "now") for name in data):
        return f"{repr(data)[:60]} is not understood; {EXAMPLE_END}"
    now = _switch(data.get("now"))
    if now is None:
        return f"now: {repr(data.get('now'))[:60]} is neither true nor false; {EXAMPLE_END}"
    return _line(data.get("by") or ""), now


def _of_fields(data: Mapping[str, Any]) -> Said | str:
    for name in ("text", "by", "key", "ref"):
        value = data.get(name, "")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return f"{name}: {repr(value)[:60]} is not a text; {EXAMPLE}"
    text, key, ref = (_sound(str(data.get(name, ""))) for name in ("text", "key", "ref"))
    interrupt, size = _switch(data.get("interrupt")), data.get("size", 0)
    if interrupt is None:
        return f"interrupt: {repr(data['interrupt'])[:60]} is neither true nor false; {EXAMPLE}"
    if len(text) > MOST_CHARACTERS:
        return f"text: more than {MOST_CHARACTERS:,} characters; put it into the content store, and send its key as ref"
    if len(key) > KEY_LENGTH:
        return f"key: more than {KEY_LENGTH} characters; send a shorter one"
    if ref and not REF.fullmatch(ref):
        return f"ref: {ref[:70]!r} is no key of the content store (43 letters and digits)"
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        return f"size: {repr(size)[:60]} is no count of bytes"
    said = Said(text=text[:SUMMARY_LENGTH] if ref else text, by=_line(data.get("by", "")), interrupt=interrupt)
    if not said.says and not ref and not interrupt:
        return f"text: it is empty; {EXAMPLE}"
    return Said(said.text, said.by, interrupt, key, ref, size)


def _switch(value: Any) -> bool | None:
    """Read yes or no; None for what is neither."""
    if value is None or isinstance(value, bool):
        return bool(value)
    return WORDS.get(str(value).strip().casefold()) if isinstance(value, str | int) else None


def _line(value: Any) -> str:
    return " ".join(_sound(str(value)).split())[:NAME_LENGTH]


def _sound(text: str) -> str:
    """Replace what cannot be written as UTF-8: history could not hold it."""
    return text.encode("utf-8", "replace").decode()
