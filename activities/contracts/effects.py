"""What a tool does to the world: the one word that decides whether it is undone, or asked about first.

Whoever calls a tool never says so itself: the tool does, and where that hangs on the arguments, the operator's settings do.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from activities.contracts.base import Contract

_NAME = re.compile(r"\{([a-z_][a-z0-9_.]*)\}")
_SEGMENT = r"([A-Za-z0-9_~-][A-Za-z0-9._~-]*)"
"""What a placeholder stands for: one piece of a path that no server reads as anything else (no `..`, no `%2F`, no `?`)."""
_BODY = "body."


class Effect(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    WRITE = "write"
    """Changes something, and names a tool that undoes it."""
    IRREVERSIBLE = "irreversible"


class UndoablePair(Contract):
    """A request over HTTP and the one that undoes it, as the operator declared them.

    Addresses are templates: `{order}` in `url` stands for one piece of the path, and for the same piece in `undo_url`, where
    `{body.id}` stands for a field of the request's JSON body. Anything else in an address is compared as it is written.
    """

    method: str
    url: str
    undo_method: str
    undo_url: str

    def inverse_of(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the request (`method`, `url`) that undoes this one; None where this is not the declared one."""
        if request.get("method") != self.method:
            return None
        names = _NAME.findall(self.url)
        literal = [re.escape(piece) for piece in _NAME.split(self.url)[::2]]
        found = re.fullmatch(_SEGMENT.join(literal), str(request.get("url")))
        if found is None:
            return None
        body = request.get("body")
        fields = {f"{_BODY}{name}": value for name, value in body.items()} if isinstance(body, Mapping) else {}
        known: dict[str, Any] = {**fields, **dict(zip(names, found.groups(), strict=True))}
        values = {name: str(known.get(name, "")) for name in _NAME.findall(self.undo_url)}
        if not all(re.fullmatch(_SEGMENT, value) for value in values.values()):
            return None
        return {"method": self.undo_method, "url": _NAME.sub(lambda match: values[match[1]], self.undo_url)}
