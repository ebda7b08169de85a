"""Every command of the guides runs as it stands there, only with the names of runs that are in the state it is about.

A new guide, and a new command of a guide, is run here without being listed; what cannot be run as it stands fails. Left out is
only what `tests.guides.needs_more` tells by its words, and the guides of `OWN`, which tests of their own run.
"""

import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from outlast.contracts import SEARCH_ATTRIBUTES, RunStatus
from tests.doubles.otlp import Collector, collector
from tests.guides import OWN, commands, needs_more, texts
from tests.processes import PROJECT, wait_for
from tests.resilience.guides.desk import (
    MAILER,
    PLANS,
    Desk,
    asks,
    at_a_gate,
    at_a_tool,
    at_work,
    ended,
    failed,
    free_ports,
    served,
    stands,
)
from tests.stacks import whole_stack

pytestmark = pytest.mark.timeout(240)

GUIDES = [guide for guide in texts() if guide not in OWN and commands(guide)]
REGISTERED = [part for each in SEARCH_ATTRIBUTES.items() for part in ("--search-attribute", "=".join(each))]

DECIDING = re.compile(r" (approve|deny|decide) ")

Making = Callable[[Desk, str], str]
STATES: tuple[tuple[str, Making], ...] = (
    (r"(--name|starter.py) pause", at_work),
    (r"temporal .* rollback", at_work),
    (r" rollback ID", ended),
    (r" retry ID", failed),
    (r"stop.asking", at_a_tool),
    (r"--verdict revoke", stands),
    (r"starter.py answer ", asks),
    (r'"edit": {"plan"', lambda desk, run: at_a_gate(desk, run, checkpoint="steps=2")),
    (rf"{DECIDING.pattern}|inbox|watch --all", at_a_gate),
)
"""Which state a run of its own is brought into for a command; the first that fits."""
STARTING = re.compile(r"--checkpoint|--budget")
"""Commands that start a run which is not waited for."""
SAME = re.compile(r"(--name|starter.py) resume|\baudit\b")
"""Commands on the run that the one before them was about. All others that name one look at the same ended one."""


@pytest.fixture(scope="module")
def otlp() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, otlp: Collector) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("guides")
    agents = shutil.copytree(PROJECT / "agents", directory / "agents")
    (agents / "mailer.md").write_text(MAILER)
    settings = {
        "AGENTS_DIR": str(agents),
        "SMTP_URL": f"maildir://{directory / 'letters'}",
        "MAIL_FROM": "us@example.org",
    }
    with whole_stack(directory, options=REGISTERED, **settings) as stack:
        yield Desk(stack, free_ports("8288", "8289", "9464") | {"4318": int(otlp.url.rpartition(":")[2])})


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_of_a_guide_runs(desk: Desk, otlp: Collector, guide: str) -> None:
    run = ""
    with closing(desk):
        for number, command in enumerate(commands(guide)):
            if needs_more(command):
                continue
            run = _run_for(desk, command, f"{guide}-{number}", run)
            typed = (
                command.replace(" ID", f" {run}")
                .replace("--to STEP", "--to 1")
                .replace(" STEP", " 2")
                .replace("…", "Compare tea and coffee")
            )
            if STARTING.search(command):
                run = f"{guide}-{number}"
                typed += f" --id {run} --detach"
            gates = _gates(desk, run) if DECIDING.search(command) else set()
            said = desk.leave_serving(typed) if served(command) else desk.type(typed)
            for words, check in CHECKS:
                if re.search(words, command):
                    check(Typed(desk, otlp, command, run, said, gates))


def _run_for(desk: Desk, command: str, name: str, last: str) -> str:
    make = next((make for words, make in STATES if re.search(words, command)), None)
    if make is not None:
        return make(desk, name)
    if SAME.search(command):
        return last
    if " ID" in command:
        return desk.ended_one
    desk.stack.api.script(hold=False, rules=[PLANS])
    return last


def _gates(desk: Desk, run: str) -> set[str]:
    return {gate.name for gate in desk.status(run).gates}


@dataclass(frozen=True)
class Typed:
    """A command that was typed: the run it was about, what it said, and which gates were open before."""

    desk: Desk
    otlp: Collector
    command: str
    run: str
    said: str
    gates: set[str]

    def until(self, holds: Callable[[RunStatus], Any], what: str) -> None:
        """Wait until the status of the run is as it should be."""
        self.desk.until(self.run, holds, what)

    def page(self, port: str, path: str = "") -> str:
        """Return what is served at the port that the guide names."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.desk.ports[port]}/{path}", timeout=10) as answer:
            return str(answer.read().decode())


def _closes_the_gate(typed: Typed) -> None:
    assert typed.gates
    wait_for(lambda: not typed.gates & _gates(typed.desk, typed.run), f"{typed.command}: the gate to close")


def _is_rolled_back(typed: Typed) -> None:
    typed.desk.stack.api.script(hold=False)
    typed.until(lambda status: status.state == "failed", "is rolled back")


def _sends_metrics(typed: Typed) -> None:
    wait_for(lambda: typed.otlp.requests["/v1/metrics"], "metrics by OTLP")


def _is_traced(typed: Typed) -> None:
    assert typed.otlp.named("StartWorkflow:PlanAndExecuteWorkflow")


def _says(words: str) -> Callable[[Typed], None]:
    def check(typed: Typed) -> None:
        wanted = words.replace("RUN", typed.run)
        assert wanted in typed.said, typed.said

    return check


def _serves(words: str, *where: str) -> Callable[[Typed], None]:
    def check(typed: Typed) -> None:
        assert words in typed.page(*where)

    return check


CHECKS: tuple[tuple[str, Callable[[Typed], None]], ...] = (
    (rf"{DECIDING.pattern}(?!.*revoke)", _closes_the_gate),
    (r"--verdict revoke", lambda typed: typed.until(lambda status: not status.standing, "nothing stands")),
    (r"starter.py answer ", lambda typed: typed.until(lambda status: not status.questions, "is answered")),
    (r"(--name|starter.py) pause", lambda typed: typed.until(lambda status: status.paused, "is paused")),
    (r"(--name|starter.py) resume", lambda typed: typed.until(lambda status: not status.paused, "goes on")),
    (r"--checkpoint", lambda typed: typed.until(lambda status: status.gates, "waits at its checkpoint")),
    (r"temporal .* rollback", _is_rolled_back),
    (r" rollback ID", _says("undone")),
    (r" audit ID", _says("ada")),
    (r" fork ID .*--(agent|model|input|id)", _says("taken over from RUN")),
    (r" retry ID", _says("taken over from RUN")),
    (r" diff ID", _says("the same in both: 1, 2")),
    (r" inbox$", _says("approve RUN")),
    (r" inbox --serve", _serves("Sign in", "8288")),
    (r" show -w ID", _says('"state":"completed"')),
    (r"4318 python worker", _sends_metrics),
    (r"4318 python starter", _is_traced),
    (r"--metrics-port", _serves("temporal_", "9464", "metrics")),
)
"""What came of a command, for those whose exit code says little: that of a signal says only that the server took it."""
