"""What the guides list is what the code has: every type of error, the value of every limit, every public name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import outlast
import outlast.testing
from outlast.errors import ErrorKind
from tests.limits_page import PAGE, ROW, written
from tests.processes import PROJECT

ERROR = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def test_every_type_of_error_has_its_entry_and_no_other() -> None:
    rows = ERROR.findall((PROJECT / "docs" / "troubleshooting.md").read_text())
    assert sorted(name for name, *_ in rows) == sorted(ErrorKind)
    for name, *cells in rows:
        assert all(len(part.strip()) > 1 for part in cells), name


def test_the_limits_are_written_from_the_code() -> None:
    text = PAGE.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| limit")]
    assert len(rows) == len(ROW.findall(text)) > 30, "a row is not read"
    assert text == written(text), "write it anew: python -m tests.limits_page"
    assert written(text.replace("| 524288 bytes", "| 1 bytes")) == text


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
