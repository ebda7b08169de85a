"""Commands stand where the tests that run the guides find them, and what is named within a sentence exists."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli import COMMAND_LINE
from outlast.cli import app as library
from starter import build_app
from tests.conftest import binary
from tests.guides import FENCE, OWN, PROGRAM, SETTING, blocks, commands, needs_more, texts
from tests.processes import PROJECT

pytestmark = pytest.mark.xdist_group("guide_texts")  # what `--help` says is asked once

LOG = ("decisions",)
"""Pages that tell what was, so a command in a sentence of theirs need not be there any more."""
GUIDES = texts()
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OPTION = re.compile(r"(?<=\s)--?[a-z][a-z-]*")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@cache
def commands_in(*, of_library: bool) -> dict[str, set[str]]:
    """Every command of the starter, or of `outlast`, and its options; those of a group as `group command`."""
    group: Any = typer.main.get_command(library.build_app(COMMAND_LINE) if of_library else build_app())
    found = dict(group.commands)
    for name, command in group.commands.items():
        found |= {f"{name} {inner}": one for inner, one in getattr(command, "commands", {}).items()}
    return {
        name: {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for name, command in found.items()
    }


@cache
def options_in_help(*command: str) -> set[str]:
    shown = subprocess.run([*command, "--help"], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 0, shown.stderr
    return set(OPTION.findall(shown.stdout))


def missing(typed: str) -> str:
    """Return what a command asks for that is not there; "" where all is, and for what is no command of ours."""
    typed, _, another = typed.partition(" -- ")
    if another and (found := missing(f"starter.py {another}")):
        return found
    words = re.sub(rf"^{SETTING}", "", QUOTED.sub("X", typed)).split()
    options = set(OPTION.findall(" ".join(words)))
    if len(words) > 1 and words[0].endswith("python"):
        words = words[1:]
    program, *rest = words or [""]
    known = commands_in(of_library=program == "outlast")
    if program in ("starter.py", "outlast") and rest:
        if rest[0] not in known:
            return f"{program} has no {rest[0]}"
        program, *rest = rest
    if rest and any(name.startswith(f"{program} ") for name in known):
        program, *rest = f"{program} {rest[0]}", *rest[1:]
        if program not in known:
            return f"there is no {program}"
    if rest and program in known:
        return ", ".join(options - known[program])
    if program == "worker.py":
        return ", ".join(options - options_in_help(sys.executable, "worker.py"))
    if program == "make" and rest:
        return "" if re.search(rf"^{rest[0]}:", (PROJECT / "Makefile").read_text(), re.MULTILINE) else rest[0]
    if program == "temporal" and rest:
        named = [word for word in rest if word.isalpha() and word.islower()]
        return ", ".join(options - options_in_help(binary("temporal"), *named))
    if program.endswith(".sh") and "/" in program:
        return "" if (PROJECT / program).exists() else program
    return ""


def test_blocks_that_are_no_shell_hold_no_command() -> None:
    for guide, text in GUIDES.items():
        for language, _, content in blocks(text):
            if language != "sh":
                assert not [line for line in content.splitlines() if PROGRAM.match(line)], guide
        rest = FENCE.sub("", text)
        assert "```" not in rest, f"{guide}: a block does not end"
        assert not re.findall(r"^\n {4,}\S.*", rest, re.MULTILINE), f"{guide}: put it into a block with its language"


def test_no_page_holds_both_sides_of_a_merge() -> None:
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]
    assert [page.name for page in pages if re.search(r"^(<{7}|>{7}) ", page.read_text(), re.MULTILINE)] == []


def test_guides_with_a_test_of_their_own_are_named_there() -> None:
    for guide, test in OWN.items():
        assert commands(guide)
        text = (Path(__file__).parents[2] / "resilience" / "guides" / test).read_text()
        assert re.search(rf'(?:commands\(|texts\(\)\[)"{guide}"', text), f"{test} does not read {guide}"


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("docker compose up -d", True),
        ("SMTP_URL=smtp://mail:1025 docker compose up", True),
        ("kubectl apply -f worker.yaml", True),
        ("TEMPORAL_ADDRESS=x.a1b2c.tmprl.cloud:7233 python worker.py", True),
        ("ANTHROPIC_API_KEY=x python worker.py", True),
        ("python starter.py plan 'Write about docker compose'", False),
        ("python starter.py document *.pdf", False),
        ("temporal workflow list", False),
        ("pip install 'outlast[devstack]'", True),
        ("pip install -r requirements.txt", False),
        ("deploy/make-secrets.sh secrets", False),
    ],
)
def test_only_what_needs_more_is_left_out(command: str, more: bool) -> None:
    assert needs_more(command) is more


@pytest.mark.parametrize("guide", sorted(set(GUIDES) - set(LOG)))
def test_commands_in_sentences_exist(guide: str) -> None:
    spans = SPAN.findall(FENCE.sub("", GUIDES[guide]))
    wrong = {span: found for span in spans if (found := missing(span))}
    assert not wrong


@pytest.mark.parametrize(
    "typed",
    [
        "starter.py pauze ID",
        "outlast plan 'Compare'",
        "outlast up --worker-less",
        "plan … --budget-eur 1",
        "schedule ad NAME",
        "starter.py schedule pause NAME --why X",
        "schedule add NAME --cron @daily -- plan … --budget-eur 1",
        "worker.py --replays open",
        "make benchs",
        "deploy/none.sh",
        "temporal workflow signal --nam approve",
    ],
)
def test_what_does_not_exist_is_found(typed: str) -> None:
    assert missing(typed)
