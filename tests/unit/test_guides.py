"""What the guides list is what the code has: every type of error, and the value of every limit."""

import importlib
import re

import pytest
from pydantic import BaseModel

from outlast.client import Settings
from outlast.errors import ErrorKind
from tests.processes import PROJECT

ERROR = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
LIMIT = re.compile(r"^\| ([^|]+) \| ([\d.]+)(?: \w+)? \| ([A-Z_]+|[a-z_.]+:[\w.]+) \| [^|]+ \|$", re.MULTILINE)
LIMITS = LIMIT.findall((PROJECT / "docs" / "limits.md").read_text())


def test_every_type_of_error_has_its_entry_and_no_other() -> None:
    rows = ERROR.findall((PROJECT / "docs" / "troubleshooting.md").read_text())
    assert sorted(name for name, *_ in rows) == sorted(ErrorKind)
    for name, *told in rows:
        assert all(len(part.strip()) > 1 for part in told), name


def test_every_row_of_the_limits_is_read() -> None:
    text = (PROJECT / "docs" / "limits.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| limit")]
    assert len(rows) == len(LIMITS) > 30


@pytest.mark.parametrize(("what", "value", "where"), LIMITS, ids=[row[2] for row in LIMITS])
def test_a_limit_has_the_value_that_the_guide_says(what: str, value: str, where: str) -> None:
    if ":" not in where:
        found = Settings.model_fields[where.lower()].default
    else:
        module, _, name = where.partition(":")
        owner, _, field = name.partition(".")
        found = getattr(importlib.import_module(module), owner)
        if field:
            assert issubclass(found, BaseModel)
            found = found.model_fields[field].default
    assert float(value) == found, what
