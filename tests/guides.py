"""What the guides tell people to type, read out of their text, so that a guide and the test that runs it cannot drift apart.

Commands stand in blocks of the language `sh` alone; `tests/unit/test_guide_texts.py` finds those that stand elsewhere.
Each is run by a test, but those that `needs_more` tells: where an engine, a cluster or a key is asked for.
Whoever makes `MORE` wider takes commands out of the tests, so it names what is asked for, never a command of ours.
"""

import re

from tests.real_process import PROJECT

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:.*\\\n)*.+$", re.MULTILINE)
COMMENT = re.compile(r"(?:^|\s{2,})#.*$", re.MULTILINE)
SETTING = r"(?:[A-Z_]+=\S*\s+)*"
PROGRAM = re.compile(
    rf"{SETTING}(?:(?:\S*/)?python3?|starter\.py|worker\.py|temporal|make|docker|docker-compose|kubectl|helm|pip|uv|"
    r"npm|npx|curl|git|apt-get|export|source|\S+\.sh)\s+[!-~…]"
)
"""What a line that is a command begins with."""

MORE = re.compile(
    rf"^{SETTING}(?:docker|docker-compose|kubectl|helm|tcld)\s"  # a container engine, a cluster
    r"|\.tmprl\.cloud\b|\b(?:s3|gs|az)://"  # an account
    r"|\b(?:ANTHROPIC|TEMPORAL)_API_KEY="  # a key
)

OWN = {"README": "test_readme.py", "extending": "test_guides.py", "performance": "test_benchmarks.py"}
"""Guides whose commands belong together or to another program, and the test in `tests/resilience` that runs them."""


def texts() -> dict[str, str]:
    """Return the text of README.md and of every page of docs, by its name without the ending."""
    files = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
    return {file.stem: file.read_text() for file in files}


def blocks(text: str) -> list[tuple[str, str]]:
    """Return language ("" where none is named) and content of every block."""
    return [(found[1], found[2]) for found in FENCE.finditer(text)]


def commands(guide: str) -> list[str]:
    """Return the commands of a guide in their order, without comments; one of several lines is one command."""
    shell = "\n".join(content for language, content in blocks(texts()[guide]) if language == "sh")
    return [line.strip() for line in COMMAND.findall(COMMENT.sub("", shell)) if line.strip()]


def needs_more(command: str) -> bool:
    """Say whether a command needs a container engine, a cluster, an account or a key."""
    return MORE.search(command) is not None
