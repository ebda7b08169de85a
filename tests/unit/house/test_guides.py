"""What the guides list is what the code has: every type of error, the value of every limit, every public name."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import outlast
import outlast.testing
from outlast.client import Settings
from outlast.errors import ErrorKind
from tests.processes import PROJECT

ERROR = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
LIMIT = re.compile(r"^\| ([^|]+) \| ([\d.]+)(?: \w+)? \| ([A-Z_]+|[a-z_.]+:[\w.]+) \| [^|]+ \|$", re.MULTILINE)
LIMITS = LIMIT.findall((PROJECT / "docs" / "limits.md").read_text())


def test_every_type_of_error_has_its_entry_and_no_other() -> None:
    rows = ERROR.findall((PROJECT / "docs" / "troubleshooting.md").read_text())
    assert sorted(name for name, *_ in rows) == sorted(ErrorKind)
    for name, *cells in rows:
        assert all(len(part.strip()) > 1 for part in cells), name


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


def test_the_site_is_built_without_a_warning_and_has_every_public_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    shown = re.findall(r'<h3 id="outlast\.[\w.]*?(\w+)"', (tmp_path / "api.html").read_text())
    public = {*outlast.__all__, *outlast.testing.__all__} - {"__version__"}
    assert sorted(shown) == sorted(public)
    pages = {page.name: page.read_text() for page in tmp_path.glob("*.html")}
    fetched = r'<(?:script|link|img)[^>]*(?:src|href)="https?:'
    assert not [name for name, text in pages.items() if re.search(fetched, text)]
    assert not [name for name, text in pages.items() if "```" in text], "a block that is not read as one"
