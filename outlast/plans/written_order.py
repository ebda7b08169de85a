"""Reads the order of a plan's steps where it stands elsewhere than in `depends_on`: edges, maps, lists, numbers. Pure.

An order that was given and is not understood must not be lost: such a plan would look valid, with all steps at once. So what
may carry order is read into dependencies, or is a doubt that goes back to the author of the plan.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from outlast.plans.order_words import (
    BACKWARD,
    EDGES,
    FORWARD,
    LISTED,
    MEMBERS,
    NO,
    NODES,
    ORDER_WORDS,
    SEQUENTIAL,
    SOURCES,
    TARGETS,
    YES,
    bare,
    is_nothing,
    known,
    resolved,
    words_of,
)

Edge = tuple[str, str]
"""Two step ids: the second waits for the first."""

TO_DO = "write the order as 'depends_on' of each step"

_ARROW = re.compile(r"\s*(?:-+>|→|=+>|>>)\s*")


class NotUnderstoodError(Exception):
    """An order that cannot be read for certain; the message says why."""


@dataclass
class PlanOrder:
    """The dependencies found beside those in `depends_on`; `ids` are all steps, `own` what their `depends_on` says.

    `explicit` says that every step has a `depends_on`, be it empty.
    """

    ids: Collection[str]
    own: Mapping[str, Sequence[str]]
    explicit: bool
    edges: list[Edge] = field(default_factory=list)
    _turns: list[tuple[str, list[list[str]]]] = field(default_factory=list)

    def beside(self, key: str, value: Any) -> str | None:
        """Read a key that stands beside the steps: a note, None if it carries no order; raises NotUnderstoodError."""
        words = words_of(key)
        if _says_sequential(key, value) or (
            isinstance(value, dict) and any(_says_sequential(name, inner) for name, inner in value.items())
        ):
            self._turns.append((key, [[each] for each in self.ids]))
            return f"{key!r} is read as the order in which the steps stand"
        if isinstance(value, str):
            found = self._read_text(key, value, words)
        elif isinstance(value, list):
            found = bool(value) and self._read_list(key, value, words)
        else:
            found = isinstance(value, dict) and bool(value) and self._read_map(key, value, words)
        return f"the order in {key!r} is read as 'depends_on'" if found else None

    def within(self, step: str, key: str, value: Any) -> str | None:
        """Read a field of a step that says what comes before or after it, as `beside` does."""
        name = bare(key)
        if name not in BACKWARD | FORWARD or not value:
            return None
        named = value if isinstance(value, list) else [value]
        if all(is_nothing(each) for each in named):
            return f"{key!r} names no step"
        if not all(known(each, self.ids) for each in named):
            return None
        others = [str(resolved(each, self.ids)) for each in named]
        self.edges += ((step, other) if name in FORWARD else (other, step) for other in others)
        return f"{key!r} is read as 'depends_on'"

    def numbered(self, key: str, turns: Mapping[str, Any]) -> str | None:
        """Read a number that every step has, such as its phase: lower ones come first; raises NotUnderstoodError."""
        if "parallel" in words_of(key) and False in [turn for turn in turns.values() if isinstance(turn, bool)]:
            if len(turns) != len(self.ids) or True in turns.values():
                _refuse(key)
            self._turns.append((key, [[each] for each in self.ids]))
            return f"{key!r} is read as the order in which the steps stand"
        if not words_of(key) & LISTED or len(turns) != len(self.ids):
            return None
        if not all(isinstance(turn, int | float) and not isinstance(turn, bool) for turn in turns.values()):
            return None
        groups = [[step for step, turn in turns.items() if turn == each] for each in sorted(set(turns.values()))]
        self._turns.append((key, groups))
        return f"the numbers in {key!r} are read as 'depends_on'"

    def settle(self) -> list[str]:
        """Turn lists into dependencies where nothing else says them; returns what contradicts what."""
        doubts = []
        for key, groups in self._turns:
            wanted = [(one, other) for before, after in pairwise(groups) for one in before for other in after]
            given = [*self.edges, *((one, other) for other, ones in self.own.items() for one in ones)]
            if not given:
                self.edges += wanted
            elif not self._is_listing(given) and not _follows(wanted, given):
                doubts.append(f"{key} and 'depends_on' say different things; {TO_DO}")
            elif not _agree(groups, given):
                doubts.append(f"{key} and 'depends_on' contradict each other; {TO_DO}")
        return doubts

    def _is_listing(self, given: Sequence[Edge]) -> bool:
        """Whether the dependencies speak of every step, so that a list beside them only lists the steps in a fitting order."""
        return self.explicit or {step for edge in given for step in edge} >= set(self.ids)

    def _read_text(self, key: str, value: str, words: set[str]) -> bool:
        parts = [part for part in _ARROW.split(value) if part.strip()]
        if len(parts) > 1 and all(known(part, self.ids) for part in parts):
            self.edges += self._chain(key, value)
            return True
        if value.strip() and words & (LISTED | EDGES | {"dependencies"}) and not is_nothing(value):
            _refuse(key)
        return False

    def _chain(self, key: str, written: str) -> list[Edge]:
        return list(pairwise([self._id(key, part) for part in _ARROW.split(written) if part.strip()]))

    def _read_list(self, key: str, value: list[Any], words: set[str]) -> bool:
        pairs = all(isinstance(each, list) and len(each) == 2 for each in value)
        if all(isinstance(each, dict) for each in value) and (edges := self._objects(key, value)) is not None:
            self.edges += edges
        elif all(isinstance(each, str) and _ARROW.search(each) for each in value):
            self.edges += (edge for each in value for edge in self._chain(key, each))
        elif pairs and words & EDGES and not words & (LISTED - EDGES):
            self.edges += ((self._id(key, one), self._id(key, other)) for one, other in value)
        elif words & LISTED or (pairs and words & EDGES):
            self._turns.append((key, self._groups(key, value)))
        elif words & ORDER_WORDS or (_leaves(value) and all(known(leaf, self.ids) for leaf in _leaves(value))):
            _refuse(key)
        else:
            return False
        return True

    def _read_map(self, key: str, value: dict[str, Any], words: set[str]) -> bool:
        name = bare(key)
        lists = {each: inner if isinstance(inner, list) else [inner] for each, inner in value.items() if inner}
        if name in BACKWARD | FORWARD:
            for each, inner in lists.items():
                others = [self._id(key, other) for other in inner if not is_nothing(other)]
                step = self._id(key, each)
                self.edges += ((step, other) if name in FORWARD else (other, step) for other in others)
        elif words & LISTED and len(lists) == len(value) and not all(known(each, self.ids) for each in value):
            self._turns.append((key, self._groups(key, list(lists.values()))))
        elif words & ORDER_WORDS or (
            all(known(each, self.ids) for each in value) and all(isinstance(inner, list) for inner in value.values())
        ):
            _refuse(key)
        else:
            return False
        return True

    def _objects(self, key: str, value: Sequence[dict[str, Any]]) -> list[Edge] | None:
        """Read edges that are objects; None where these are none."""
        edges: list[Edge] = []
        for each in value:
            fields = {bare(name): inner for name, inner in each.items()}
            source, target = _one_of(fields, SOURCES), _one_of(fields, TARGETS)
            node, needed = _one_of(fields, NODES), _one_of(fields, BACKWARD)
            ends = (source, target) if source and target else (needed, node) if needed and node else None
            if ends is None:
                return None
            if fields.get("condition"):
                raise NotUnderstoodError(f"{key}: an edge has a condition, which no plan can hold; {TO_DO}")
            ones, others = ([self._id(key, name) for name in _listed(fields[end])] for end in ends)
            edges += [(one, other) for one in ones for other in others]
        return edges

    def _groups(self, key: str, value: Sequence[Any]) -> list[list[str]]:
        """Read a list of steps, or of lists of steps, that come one after another; it must name all of them."""
        groups = [[self._id(key, name) for name in _members(each)] for each in value]
        named = [name for group in groups for name in group]
        if sorted(named) != sorted(self.ids):
            raise NotUnderstoodError(f"{key}: it does not name every step once; {TO_DO}")
        return groups

    def _id(self, key: str, written: Any) -> str:
        if not known(written, self.ids):
            raise NotUnderstoodError(f"{key}: {str(written)[:60]!r} is not a step; {TO_DO}")
        return str(resolved(written, self.ids))


def _says_sequential(key: str, value: Any) -> bool:
    """Whether a key and its value say that the steps come one after another: `sequential: true`, `mode: "sequential"`."""
    written = str(value).strip().casefold() if isinstance(value, str | bool | int) else ""
    words = words_of(key)
    return (
        written in SEQUENTIAL
        or (written in NO and "parallel" in words)
        or (written in YES and bool(words & set(SEQUENTIAL)) and not words & {"no", "not", "non"})
    )


def _refuse(key: str) -> Any:
    raise NotUnderstoodError(f"{key}: this may be an order of the steps, and cannot be read for certain; {TO_DO}")


def _agree(groups: Sequence[Sequence[str]], given: Sequence[Edge]) -> bool:
    """Whether no step comes before one that it waits for."""
    turn = {step: number for number, group in enumerate(groups) for step in group}
    return all(turn.get(one, -1) < turn.get(other, len(groups)) for one, other in given)


def _follows(wanted: Sequence[Edge], given: Sequence[Edge]) -> bool:
    """Whether all wanted dependencies follow from those that are given."""
    after: dict[str, list[str]] = {}
    for one, other in given:
        after.setdefault(one, []).append(other)
    reached: dict[str, set[str]] = {}
    for one, _ in wanted:
        if one not in reached:
            found, waiting = set[str](), [one]
            while waiting:
                fresh = [each for each in after.get(waiting.pop(), ()) if each not in found]
                found.update(fresh)
                waiting += fresh
            reached[one] = found
    return all(other in reached[one] for one, other in wanted)


def _one_of(fields: Mapping[str, Any], names: Collection[str]) -> str | None:
    return next((name for name in fields if name in names), None)


def _members(group: Any) -> list[Any]:
    """Return the steps of one group: a list, an object that holds one, or a step alone."""
    if isinstance(group, dict):
        inner = [value for name, value in group.items() if bare(name) in (*MEMBERS, *NODES)]
        group = next((value for value in inner if isinstance(value, list)), inner[0] if inner else group)
    return _listed(group)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _leaves(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if inner is None else [leaf for each in inner for leaf in _leaves(each)]
