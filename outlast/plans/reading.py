"""Reads plans as models and people write them: other field names, one value for a list, numbers as texts. Pure.

A lenient reader guesses, and a guess is another plan. So what can mean one thing only is read that way and
noted; what is left over or could mean two things is a doubt, and goes back to the author.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from outlast.plans.order_words import bare, is_id, known, may_carry_order, plain, resolved
from outlast.plans.written_order import NotUnderstoodError, PlanOrder

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
    "confirm": ("confirm", "confirmation", "approval", "needsapproval", "requiresapproval"),
    "gate": ("gate",),
}
"""Each field of a step with the names it goes by, in lower case and without separators."""

NO_STEPS = ("", "none", "null", "n/a", "-")
"""Texts that stand for no dependencies, unless a step is called that."""

NESTING = 4
"""How deep the steps may lie within other objects."""

_MEANT_AS_ORDER = re.compile(r"depend|prereq|requir|block|wait|parent|previous|predecessor|condition", re.IGNORECASE)


@dataclass
class Reading:
    """Data in the form that `Plan` takes; `notes` say what was read otherwise than written, `doubts` what is unclear."""

    data: Any = None
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    left: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What stands beside the steps, with where."""

    @classmethod
    def of(cls, data: Any) -> "Reading":
        """Read JSON data: an object with `steps`, or the bare list; the order of steps wherever it stands."""
        reading = cls()
        steps = reading._find_steps(data)
        if steps is not None:
            named = [reading._named(f"steps[{position}]", item) for position, item in enumerate(steps)]
            ids = {str(fields["step"]): None for fields, _ in named if is_id(fields.get("step"))}
            written = [position for position, item in enumerate(steps) if isinstance(item, dict)]
            explicit = all("depends_on" in named[position][0] for position in written)
            for position in written:
                reading._read_dependencies(f"steps[{position}]", named[position][0], ids)
            reading._read_order([named[position] for position in written], list(ids), explicit=explicit)
            for position in written:
                reading._judge(f"steps[{position}]", *named[position], ids)
                steps[position] = named[position][0]
        for where, left in reading.left:
            reading._leave_out(where, left)
        reading.data = {"steps": steps}
        return reading

    def _read_order(
        self, named: Sequence[tuple[dict[str, Any], dict[str, Any]]], ids: Sequence[str], *, explicit: bool
    ) -> None:
        """Read what says the order of steps elsewhere than in their `depends_on`, and take it out of what is left."""
        steps = {str(fields["step"]): (fields, rest) for fields, rest in named if is_id(fields.get("step"))}
        own = {step: _ids_in(fields.get("depends_on")) for step, (fields, _) in steps.items()}
        found = PlanOrder(ids, own, explicit=explicit)
        for step, (_, rest) in steps.items():
            for key in list(rest):
                self._taken(f"step {step}", rest, key, found.within(step, key, rest[key]))
        for key in dict.fromkeys(key for _, rest in steps.values() for key in rest):
            turns = {step: rest[key] for step, (_, rest) in steps.items() if key in rest}
            try:
                note = found.numbered(key, turns)
            except NotUnderstoodError as error:
                note = None
                self.doubts.append(f"steps.{error}")
            if note:
                self.notes.append(note)
                for _, rest in steps.values():
                    del rest[key]
        for _, left in self.left:
            for key in list(left):
                try:
                    self._taken("the plan", left, key, found.beside(key, left[key]))
                except NotUnderstoodError as error:
                    self.doubts.append(f"the plan.{error}")
                    del left[key]
        self.doubts += found.settle()
        for one, other in found.edges:
            fields = steps[other][0]
            needed = fields.setdefault("depends_on", [])
            if isinstance(needed, list) and one not in map(str, needed):
                fields["depends_on"] = [*needed, one]

    def _taken(self, where: str, rest: dict[str, Any], key: str, note: str | None) -> None:
        if note is not None:
            self.notes.append(f"{where}: {note}")
            del rest[key]

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
            self.left.append(("the plan", {key: value for key, value in data.items() if key != holders[0]}))
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
        own = {str(value[key]): name for name, value in data.items() for key in value if bare(key) in FIELDS["step"]}
        for name in data:
            if own.get(name, name) != name:
                self.doubts.append(f"{name!r} is the key of one step and the id of another; write a list of steps")
        return [value if _has(value, "step") else {"step": name, **value} for name, value in data.items()]

    def _named(self, where: str, item: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Find the fields of a step by all their names; returns them, and what else stands there."""
        fields: dict[str, Any] = {}
        rest = dict(item) if isinstance(item, dict) else {}
        for name, names in FIELDS.items():
            keys = [key for key in rest if bare(key) in names]
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
            fields["step"] = self._noted(f"{where}.step", fields["step"], plain(fields["step"]))
        return fields, rest

    def _read_dependencies(self, where: str, fields: dict[str, Any], ids: Collection[str]) -> None:
        if "depends_on" in fields:
            written = fields["depends_on"]
            fields["depends_on"] = self._noted(f"{where}.depends_on", written, _dependencies(written, ids))

    def _judge(self, where: str, fields: Mapping[str, Any], rest: Mapping[str, Any], ids: Collection[str]) -> None:
        """Judge what no field of a step is."""
        left: dict[str, Any] = {}
        for key, value in rest.items():
            names = value if isinstance(value, list) else []
            meant = _MEANT_AS_ORDER.search(key) or (may_carry_order(key) and not _holds_steps(value))
            names = [value] if _names_another(value, fields.get("step"), ids) else names
            if value and (meant or (names and all(known(name, ids) for name in names))):
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
        if known(written, ids):
            return [resolved(written, ids)]
        if written.strip().casefold() in NO_STEPS:
            return []
        written = [piece for piece in re.split("[,;]", written) if piece.strip()]
    elif is_id(written):
        written = [written]
    return [resolved(name, ids) for name in written] if isinstance(written, list) else written


def _ids_in(needed: Any) -> list[str]:
    return [str(name) for name in needed if is_id(name)] if isinstance(needed, list) else []


def _names_another(value: Any, own: Any, ids: Collection[str]) -> bool:
    """Whether a text names another step; a number may count anything."""
    if not isinstance(value, str) or value.strip().isdecimal() or not known(value, ids):
        return False
    return str(resolved(value, ids)) != str(own)


def _has(data: Iterable[str], name: str) -> bool:
    return any(bare(key) in FIELDS[name] for key in data)


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
