"""The help of the command line stays light, and the names it repeats stay true."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from activities.search.contracts import SourceKind
from cli.start.consensus import By, Tie
from cli.start.plan import OnFailure
from cli.start.research import Kind
from cli.start.route import Router
from outlast.cli.kinds import kinds
from outlast.cli.leaving import WRONG, run
from outlast.consensus.votes import OnTie, RuleKind
from outlast.contracts import OnStepFailure
from outlast.routing.requests import RouteRequest
from starter import build_app
from tests.processes import PROJECT, clean_environment
from tests.served import STARTED

HEAVY = ("temporalio", "anthropic", "obstore", "asyncio", "rich", "sklearn")
COMMANDS = [
    "up",
    "demo",
    "document",
    "plan",
    "research",
    "route",
    "train-router",
    "consensus",
    "staged",
    "agent",
    "refund",
    "agents",
    "list",
    "status",
    "watch",
    "result",
    "trace",
    "why",
    "report",
    "schedule",
    "cancel",
    "rollback",
    "answer",
    "approve",
    "deny",
    "decide",
    "approver-token",
    "pause",
    "resume",
    "inbox",
    "audit",
    "setup-namespace",
    "payload-key",
    "codec-server",
]
SCRIPT = """
import sys
import starter
code = starter.run(sys.argv[1:])
print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}))
raise SystemExit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["plan", "--help"],
        ["schedule", "add", "--help"],
        ["route", "--help"],
        ["train-router", "--help"],
        ["up", "--help"],
        ["nonsense"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    # Typer itself reads the options of a single command through pydantic; the list of commands has none.
    heavy = (*HEAVY, "pydantic") if arguments == ["--help"] else HEAVY

    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == (2 if arguments == ["nonsense"] else 0), ended.stderr
    loaded = ended.stdout.splitlines()[-1].split()
    assert "typer" in loaded
    assert [name for name in heavy if name in loaded] == []


LOOKING = """
import os, sys
import starter
from outlast.cli import leaving

def leave(code):
    print("loaded:", *sorted(sys.modules), flush=True)
    os._exit(code)

leaving.leave = leave
starter.main()
"""


@pytest.mark.parametrize("command", [["status", "none"], ["list"], ["approve", "none"]])
def test_a_command_that_looks_or_decides_imports_what_it_needs_alone(command: list[str]) -> None:
    """They are typed all day, and each import that they do without is time that somebody waits."""
    ended = subprocess.run(
        [sys.executable, "-c", LOOKING, *command],
        cwd=PROJECT,
        env=clean_environment(TEMPORAL_ADDRESS="127.0.0.1:9"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 3, ended.stderr
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "temporalio.client" in loaded
    needless = {"cli.start.begin", "outlast.cli.inbox.command", "outlast.cli.recorded.events", "outlast.llm.base"}
    needless |= {f"outlast.contracts.{name}" for name in ("models", "plans", "requests", "tools")}
    assert loaded & {*needless, "anthropic", "aiohttp"} == set()


def test_help_names_every_command() -> None:
    ended = subprocess.run(
        [sys.executable, "starter.py", "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    named = [line.split()[0] for line in ended.stdout.splitlines() if line.startswith("  ") and line.split()]
    for command in COMMANDS:
        assert command in named
    assert "Exit codes: 0 done" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["approve", "x", "--as", ""], "--as is empty; write one, or leave it out"),
        (["chat", "researcher", "--as", " "], "--as is empty"),
        (["approve", ""], "ID is empty; write one"),
        (["approve", "x", ""], "GATE is empty; write one, or leave it out"),
        (["deny", "x", "--digest", ""], "--digest is empty"),
        (["pause", "x", "--reason", ""], "--reason is empty"),
        (["approver-token", "ada", "--run", ""], "--run is empty"),
        (["rollback", "x", "--to", ""], "--to is empty"),
        (["status", ""], "ID is empty"),
        (["diff", "x", ""], "OTHER is empty"),
    ],
)
def test_an_empty_name_is_refused(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell variable that is not set must not decide in somebody else's name, or undo a whole run."""
    assert run(build_app(), arguments) == WRONG
    assert capsys.readouterr().err.startswith(f"starter: {named}")


def test_a_folder_of_agents_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTS_DIR", "/nonexistent")
    assert run(build_app(), ["agents"]) == WRONG
    assert capsys.readouterr() == ("", "starter: AGENTS_DIR=/nonexistent: there is no such folder\n")


def test_commands_know_every_workflow_and_choice() -> None:
    """The commands repeat these names, because importing what defines them would make each command slow."""
    build_app()
    assert {kind.workflow for kind in kinds()} == {workflow.__name__ for workflow in STARTED}
    assert get_args(OnFailure) == tuple(OnStepFailure)
    assert get_args(Router) == get_args(RouteRequest.model_fields["router"].annotation)
    assert list(map(str, Kind)) == list(map(str, SourceKind))
    assert list(map(str, By)) == list(map(str, RuleKind))
    assert list(map(str, Tie)) == list(map(str, OnTie))


def test_neither_the_worker_nor_a_workflow_loads_what_only_training_needs() -> None:
    script = "import sys, worker, cli.start.requests; print('sklearn' in sys.modules, 'skops' in sys.modules)"

    ended = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["False", "False"]


def test_a_worker_is_built_before_the_sdk_of_its_model_is_imported(tmp_path: Path) -> None:
    script = """
import sys
import worker
from outlast.client import Settings
from outlast.worker.registry import Registry, model_client

settings = Settings(anthropic_api_key="key", state_dir=sys.argv[1], _env_file=None)
Registry(settings, model_client(settings))
print(*sorted({name.split(".")[0] for name in sys.modules} & {"anthropic", "aiohttp", "sklearn", "lxml", "mcp", "rich"}))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, ""), ended.stderr
