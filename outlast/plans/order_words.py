"""The words by which plans say the order of their steps, and how a reference to a step is read. Pure."""

import re
from collections.abc import Collection
from typing import Any

BACKWARD = frozenset(
    {
        "dependson", "dependencies", "dependency", "depends", "deps", "requires", "needs", "after", "waitsfor",
        "prerequisites", "parents", "predecessors", "predecessor", "previous", "previousstep", "previoussteps", "upstream",
    }
)  # fmt: skip
"""Names, in lower case and without separators, of what a step waits for."""

FORWARD = frozenset(
    {
        "next", "nextstep", "nextsteps", "then", "successors", "successor", "children", "leadsto", "followedby", "blocks",
        "dependents", "downstream", "transitions", "edges", "links", "connections", "flow",
    }
)  # fmt: skip
"""Names of what comes after a step."""

EDGES = frozenset({"edges", "links", "connections", "arrows", "transitions", "flow", "routes", "paths"})
LISTED = frozenset(
    {
        "order", "ordering", "sequence", "sequencing", "chain", "flow", "pipeline", "schedule", "phase", "phases", "wave",
        "waves", "stage", "stages", "level", "levels", "layer", "layers", "batch", "batches", "group", "groups", "rounds",
    }
)  # fmt: skip
"""Words in the names of lists, and of numbers in steps, that say when a step's turn is."""

ORDER_WORDS = (
    LISTED | EDGES | {"dependencies", "dependency", "next", "graph", "dag", "adjacency", "parallel", "concurrent"}
)
SOURCES = ("source", "from", "start", "src", "parent", "predecessor", "u")
TARGETS = ("target", "to", "end", "dst", "dest", "destination", "child", "successor", "v")
NODES = ("step", "id", "stepid", "node", "task", "name")
MEMBERS = ("steps", "tasks", "nodes", "members", "ids")
SEQUENTIAL = ("sequential", "sequentially", "serial", "linear", "in order", "one after another", "one by one")
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NOTHING = ("", "none", "null", "end", "done", "finish", "stop", "-")

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_STEP_WORD = re.compile(r"^(?:step(?![^\W\d_])|#)[\s_#:-]*", re.IGNORECASE)


def may_carry_order(key: str) -> bool:
    """Whether the name of a field suggests that it holds the order of steps."""
    return bool(words_of(key) & ORDER_WORDS) or bare(key) in FORWARD


def words_of(key: str) -> set[str]:
    """Return the words that a key is made of, in lower case."""
    return {word.casefold() for word in _WORDS.findall(key)}


def is_nothing(value: Any) -> bool:
    """Whether a reference says that there is no step."""
    return value is None or (isinstance(value, str) and value.strip().casefold() in NOTHING)


def bare(key: str) -> str:
    """Return a key in lower case and without separators."""
    return "".join(letter for letter in key.casefold() if letter.isalnum())


def resolved(written: Any, ids: Collection[str]) -> Any:
    """Find the one step that a reference can mean, by blanks, case and the word "step"; else leave it as it is."""
    read = plain(written)
    if not is_id(read) or str(read) in ids:
        return read
    meant = _bare_id(str(read))
    matches = [name for name in ids if meant and _bare_id(name) == meant]
    return matches[0] if len(matches) == 1 else read


def known(written: Any, ids: Collection[str]) -> bool:
    """Whether a reference means one of the steps."""
    return is_id(written) and str(resolved(written, ids)) in ids


def plain(written: Any) -> Any:
    """Read an id without blanks around it, and 1.0 as 1."""
    if isinstance(written, float):
        return int(written) if written.is_integer() else str(written)
    return written.strip() if isinstance(written, str) else written


def is_id(value: Any) -> bool:
    """Whether something can be the id of a step."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _bare_id(text: str) -> str:
    return _STEP_WORD.sub("", text.strip()).casefold()
