"""Reads plans as models and people write them: other field names, one value for a list, numbers as texts. Pure.

The trap: a lenient reader guesses, and a guess is another plan. So what can mean one thing only is read that way and
noted; what is left over or could mean two things is a doubt, and goes back to whoever wrote it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

FIELDS = {
    "step": ("step", "id", "stepid", "number", "stepnumber"),
    "agent": ("agent", "agentname", "assignee", "assignedto"),
    "input": ("input", "task", "description", "prompt", "instruction", "instructions"),
    "depends_on": (
        "dependson",
        "dependencies",
        "dependency",
        "depends",
        "deps",
        "requires",
        "needs",
        "after",
        "waitsfor",
        "prerequisites",
    ),
    "confirm": ("confirm",),
}
"""Each field of a step with the names it goes by, in lower case and without separators."""

NO_STEPS = ("", "none", "null", "n/a", "-")
"""Texts that stand for no dependencies, unless a step is called that."""

NESTING = 4
"""How deep the steps may lie within other objects."""

_MEANT_AS_ORDER = re.compile(r"depend|prereq|requir|block|wait|parent|previous|predecessor|condition", re.IGNORECASE)
_STEP_WORD = re.compile(r"^(?:step(?![^\W\d_])|#)[\s_#:-]*", re.IGNORECASE)


@dataclass
class Reading:
    """Data in the form that `Plan` takes; `notes` say what was read otherwise than written, `doubts` what is unclear."""

    data: Any = None
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, data: Any) -> "Reading":
        """Read JSON data: an object with `steps`, or the bare list."""
        reading = cls()
        steps = reading._find_steps(data)
        if steps is not None:
            named = [reading._named(f"steps[{position}]", item) for position, item in enumerate(steps)]
            ids = {str(fields["step"]): None for fields, _ in named if _is_id(fields.get("step"))}
            for position, (fields, rest) in enumerate(named):
                if isinstance(steps[position], dict):
                    reading._finish(f"steps[{position}]", fields, rest, ids)
                    steps[position] = fields
        reading.data = {"steps": steps}
        return reading

    def _find_steps(self, data: Any) -> list[Any] | None:
        """Find the list of steps, within other objects or JSON texts if need be; None if there is no single one."""
        for _ in range(NESTING):
            decoded = _decoded(data)
            if decoded is not data:
                self.notes.append("the steps are read from a JSON text")
            data = decoded
            if isinstance(data, list):
                return list(data)
            if not isinstance(data, dict):
                return None
            if "steps" not in data:
                listed = self._without_list(data)
                if listed is not None:
                    return listed
            holders = ["steps"] if "steps" in data else [key for key, value in data.items() if _holds_steps(value)]
            if len(holders) != 1:
                return None
            if holders[0] != "steps":
                self.notes.append(f"the steps are read from {holders[0]!r}")
            self._leave_out("the plan", {key: value for key, value in data.items() if key != holders[0]})
            data = data[holders[0]]
        return None

    def _without_list(self, data: Mapping[str, Any]) -> list[Any] | None:
        """Read one step alone, or steps under their ids."""
        if _has(data, "agent") and _has(data, "input"):
            self.notes.append("the one step is read as a plan of one step")
            return [data]
        if not data or not all(_looks_like_a_step(value) for value in data.values()):
            return None
        self.notes.append(f"the object with {', '.join(map(repr, data))} is read as a list of steps")
        own = {str(value[key]): name for name, value in data.items() for key in value if _bare(key) in FIELDS["step"]}
        for name in data:
            if own.get(name, name) != name:
                self.doubts.append(f"{name!r} is the key of one step and the id of another; write a list of steps")
        return [value if _has(value, "step") else {"step": name, **value} for name, value in data.items()]

    def _named(self, where: str, item: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Find the fields of a step by all their names; returns them, and what else stands there."""
        fields: dict[str, Any] = {}
        rest = dict(item) if isinstance(item, dict) else {}
        for name, names in FIELDS.items():
            keys = [key for key in rest if _bare(key) in names]
            if not keys:
                continue
            fields[name] = rest[name if name in keys else keys[0]]
            if any(repr(rest[key]) != repr(fields[name]) for key in keys):
                found = " and ".join(map(repr, keys))
                self.doubts.append(f"{where}: {found} say different things; write one {name!r} that holds all of it")
            elif name not in keys:
                self.notes.append(f"{where}: {keys[0]!r} is read as {name!r}")
            for key in keys:
                del rest[key]
        if "step" in fields:
            fields["step"] = self._noted(f"{where}.step", fields["step"], _plain(fields["step"]))
        return fields, rest

    def _finish(self, where: str, fields: dict[str, Any], rest: Mapping[str, Any], ids: Collection[str]) -> None:
        """Read the dependencies, and judge what no field of a step is."""
        if "depends_on" in fields:
            written = fields["depends_on"]
            fields["depends_on"] = self._noted(f"{where}.depends_on", written, _dependencies(written, ids))
        left: dict[str, Any] = {}
        for key, value in rest.items():
            names = value if isinstance(value, list) else []
            if value and (_MEANT_AS_ORDER.search(key) or (names and all(_known(name, ids) for name in names))):
                self.doubts.append(
                    f"{where}.{key}: a step has no such field; put the steps it waits for in 'depends_on', or drop it"
                )
            else:
                left[key] = value
        self._leave_out(where, left)

    def _leave_out(self, where: str, rest: Mapping[str, Any]) -> None:
        for key, value in rest.items():
            if _holds_steps(value):
                self.doubts.append(f"{where}.{key}: there are steps in it; write all steps in the one list 'steps'")
        if rest:
            self.notes.append(f"{where}: left out {', '.join(map(repr, rest))}, since there is no such field")

    def _noted(self, where: str, written: Any, read: Any) -> Any:
        if repr(read) != repr(written):
            self.notes.append(f"{where}: {str(written)[:100]!r} is read as {str(read)[:100]!r}")
        return read


def _dependencies(written: Any, ids: Collection[str]) -> Any:
    """Read a single id, a text of ids or nothing as a list."""
    if written is None:
        return []
    if isinstance(written, str):
        if _known(written, ids):
            return [_resolved(written, ids)]
        if written.strip().casefold() in NO_STEPS:
            return []
        written = [piece for piece in re.split("[,;]", written) if piece.strip()]
    elif _is_id(written):
        written = [written]
    return [_resolved(name, ids) for name in written] if isinstance(written, list) else written


def _resolved(written: Any, ids: Collection[str]) -> Any:
    """Find the one step that a reference can mean, by blanks, case and the word "step"; else leave it as it is."""
    read = _plain(written)
    if not _is_id(read) or str(read) in ids:
        return read
    bare = _bare_id(str(read))
    matches = [name for name in ids if bare and _bare_id(name) == bare]
    return matches[0] if len(matches) == 1 else read


def _known(written: Any, ids: Collection[str]) -> bool:
    return _is_id(written) and str(_resolved(written, ids)) in ids


def _bare_id(text: str) -> str:
    return _STEP_WORD.sub("", text.strip()).casefold()


def _plain(written: Any) -> Any:
    """Read an id without blanks around it, and 1.0 as 1."""
    if isinstance(written, float):
        return int(written) if written.is_integer() else str(written)
    return written.strip() if isinstance(written, str) else written


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _bare(key: str) -> str:
    return "".join(letter for letter in key.casefold() if letter.isalnum())


def _has(data: Iterable[str], name: str) -> bool:
    return any(_bare(key) in FIELDS[name] for key in data)


def _looks_like_a_step(value: Any) -> bool:
    return isinstance(value, dict) and (_has(value, "agent") or _has(value, "input"))


def _holds_steps(value: Any, depth: int = NESTING) -> bool:
    value = _decoded(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and (
        _looks_like_a_step(value)
        or (isinstance(value, dict) and "steps" in value)
        or any(_holds_steps(child, depth - 1) for child in inner)
    )


def _decoded(data: Any) -> Any:
    """Read a text that is JSON, since models write lists as texts at times."""
    if not isinstance(data, str) or not data.lstrip().startswith(("[", "{")):
        return data
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError:
        return data
