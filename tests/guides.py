"""What the guides tell people to type, read out of their text, so that a guide and the test that runs it cannot drift apart.

Commands stand in blocks of the language `sh` alone; `tests/unit/house/test_guide_texts.py` finds those that stand elsewhere.
Each is run by a test, but those that `needs_more` finds: where an engine, a cluster, a key or an index of packages is asked for.
Whoever makes `MORE` wider takes commands out of the tests, so it names what is asked for, never a command of ours.
"""

import re
from typing import NamedTuple

from tests.real_process import PROJECT

FENCE = re.compile(r'^```(\w*)(?: title="([^"\n]+)")?[^\n]*\n(.*?)^```', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:.*\\\n)*.+$", re.MULTILINE)
COMMENT = re.compile(r"(?:^|\s{2,})#.*$", re.MULTILINE)
SETTING = r"(?:[A-Z_]+=\S*\s+)*"
PROGRAM = re.compile(
    rf"{SETTING}(?:(?:\S*/)?python3?|starter\.py|worker\.py|outlast|uvicorn|temporal|make|docker|docker-compose|kubectl|helm|pip|uv|"
    r"npm|npx|curl|git|apt-get|export|source|\S+\.sh)\s+[!-~…]"
)
"""What a line that is a command begins with."""

MORE = re.compile(
    rf"^{SETTING}(?:docker|docker-compose|kubectl|helm|tcld)\s"  # a container engine, a cluster
    r"|\.tmprl\.cloud\b|\b(?:s3|gs|az)://"  # an account
    r"|\b(?:ANTHROPIC|TEMPORAL)_API_KEY="  # a key
    r"|^temporal (?:worker deployment|workflow update-options) "  # workers of a build: resilience/deploy/test_versions.py
    r"|^pip install 'outlast\["  # an index that has it; tests/resilience/deploy/test_wheel.py installs what is built here
)

OWN = {
    "README": "test_readme.py",
    "cookbook": "test_guides.py",
    "extending": "test_guides.py",
    "http": "test_http_guide.py",
    "performance": "test_benchmarks.py",
    "quickstart": "test_guides.py",
    "resilience": "test_resilience.py",
}
"""Guides whose commands belong together or to another program, and the test in `tests/resilience` that runs them."""


class Block(NamedTuple):
    """A block of a guide; language and title are "" where none is named, and a title is the name of a file."""

    language: str
    title: str
    text: str


def texts() -> dict[str, str]:
    """Return the text of README.md and of every page of docs, by its name without the ending."""
    files = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
    return {file.stem: file.read_text() for file in files}


def blocks(text: str) -> list[Block]:
    """Return every block."""
    return [Block(found[1], found[2] or "", found[3]) for found in FENCE.finditer(text)]


def section(guide: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    return re.split(r"^## ", texts()[guide].partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def files(text: str) -> dict[str, str]:
    """Return the files that a text shows, by their paths."""
    return {block.title: block.text for block in blocks(text) if block.title}


def commands_of(text: str) -> list[str]:
    """Return the commands of a text in their order, without comments; one of several lines is one command."""
    shell = "\n".join(block.text for block in blocks(text) if block.language == "sh")
    return [line.strip() for line in COMMAND.findall(COMMENT.sub("", shell)) if line.strip()]


def commands(guide: str) -> list[str]:
    """Return the commands of a guide."""
    return commands_of(texts()[guide])


def needs_more(command: str) -> bool:
    """Say whether a command needs a container engine, a cluster, an account, a key or an index of packages."""
    return MORE.search(command) is not None
