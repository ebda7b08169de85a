"""Reads plans as models and people write them: other field names, one value for a list, numbers as texts. Pure.

The trap: a lenient reader guesses, and a guess is another plan. So what can mean one thing only is read that way and
noted; what is left over or could mean two things is a doubt, and goes back to whoever wrote it.
"""

import re
from collections.abc import Iterable, Mapping
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
}
"""Each field of a step with the names it goes by, in lower case and without separators."""

NO_STEPS = ("", "none", "null", "n/a", "-")
"""What stands for no dependencies in a text, unless a step is called that."""

NESTING = 4
"""How deep the steps may lie within other objects."""

_STEP_WORD = re.compile(r"^(?:step(?![^\W\d_])|#)[\s_#:-]*", re.IGNORECASE)


@dataclass
class Reading:
    """Plan data in the form that `Plan` takes; `notes` say what was read otherwise than written, `doubts` what is unclear."""

    data: Any = None
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, data: Any) -> "Reading":
        """Read JSON data: an object with `steps`, or the bare list."""
        reading = cls()
        steps = reading._steps(data)
        if isinstance(steps, list):
            items = [reading._named(position, item) for position, item in enumerate(steps)]
            ids = {str(item["step"]): None for item in items if isinstance(item, dict) and _is_id(item.get("step"))}
            steps = [reading._with_dependencies(item, ids) if isinstance(item, dict) else item for item in items]
            for position, (item, read) in enumerate(zip(data_of(steps), steps, strict=True)):
                pass
        reading.data = {"steps": steps}
        return reading
