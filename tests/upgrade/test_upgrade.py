"""Runs of each earlier release, stopped in the middle, finish on the code of today: answers, changes and calls exact.

Five runs at once: one waits at a gate, one is in the middle of a plan, one of a session, one of its rollback, and one is paused.
Two more have ended on the earlier release: one is forked with the code of today, the other, which failed, is retried.
"""

import json
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import (
    DevServer,
    MessagesApi,
    RealProcess,
    dev_server,
    messages_api,
    stack_environment,
    starter,
    wait_for,
    worker,
)
from tests.upgrade.releases import RELEASES, Installed, Release, changed_histories, install

pytestmark = pytest.mark.xdist_group("upgrade")

AGENTS = {
    "analyst": "description: Weighs things.\nmodel: sonnet",
    "writer": "description: Writes.\nmodel: sonnet",
    "clerk": "description: Takes notes.\nmodel: sonnet\ntools: Write",
    "mason": "description: Builds.\nmodel: sonnet\ntools: Write, insert_row",
}


def step(number: int, agent: str, text: str, **more: Any) -> dict[str, Any]:
    return {"step": number, "agent": agent, "input": text, "depends_on": [number - 1] if number > 1 else [], **more}


PLANS = {
    "gate": [step(1, "analyst", "gate: weigh it"), step(2, "writer", "gate: send it", confirm=True)],
    "plan": [step(1, "analyst", "plan: weigh"), step(2, "analyst", "plan: compare"), step(3, "writer", "plan: write")],
    "paused": [step(1, "analyst", "paused: weigh it"), step(2, "writer", "paused: write it")],
    "ended": [step(number, "writer", f"ended: part {number}") for number in (1, 2, 3)],
    "broken": [step(number, "writer", f"broken: part {number}") for number in (1, 2, 3)],
}


def writes(name: str, turn: int) -> dict[str, Any]:
    return {"tool": "write_file", "input": {"path": f"{name}-{turn}.md", "content": f"{name} {turn}"}}


RULES = [
    {"system": "You are clerk.", "before_turn": 1, **writes("session", 0)},
    {"system": "You are clerk.", "before_turn": 2, "hold": "switch", **writes("session", 1)},
    {"system": "You are clerk.", "text": "All noted."},
    {
        "system": "You are mason.",
        "before_turn": 1,
        "tool": "insert_row",
        "input": {"table": "t", "values": {"name": "x"}},
    },
    {"system": "You are mason.", "before_turn": 2, **writes("rollback", 1)},
    {"system": "You are mason.", "stop_reason": "refusal", "hold": "refusal", "text": ""},
    {"user": "broken: part 2", "status": 400, "error_type": "invalid_request_error", "message": "no"},
    {"user": "ended: part", "text": "part done"},
    {"user": "broken: part", "text": "part done"},
    {"user": "plan: compare", "hold": "switch", "text": "compared"},
    {"user": "paused: weigh it", "hold": "switch", "text": "weighed"},
    *({"user": f"{run}: {word}", "text": f"{run} {word} done"} for run, word in (("gate", "send"), ("plan", "write"))),
    {"user": "paused: write", "text": "paused write done"},
]
MARKS = {
    "gate": "gate: ",
    "plan": "plan: ",
    "paused": "paused: ",
    "ended": "ended: ",
    "broken": "broken: ",
    "session": "You are clerk.",
    "rollback": "You are mason.",
}
"""What the calls of each run hold."""
HELD = (("plan: compare", 0), ("paused: weigh", 0), ("You are clerk.", 1), ("You are mason.", 2))
"""The calls that are under way when the worker of the earlier release stops, and the one after which a run is rolled back."""
ENDED = {"ended": 3, "broken": 2}
CALLS = {"gate": 2, "plan": 3, "paused": 2, "session": 3, "rollback": 3, **ENDED}


@dataclass
class Upgrade:
    """One server, one model and one content store, which the workers of two releases share."""

    folder: Path
    server: DevServer
    api: MessagesApi
    old: Installed
    env: dict[str, str]

    def command(self, *arguments: str) -> str:
        done = starter(*arguments, env=self.env)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def rows(self) -> int:
        with closing(sqlite3.connect(self.folder / "data.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])

    def calls(self) -> Counter[str]:
        """How many calls each run made, none of them twice."""
        hits = self.api.hits()
        same = Counter((hit["system"], hit["user"], hit["turn"]) for hit in hits)
        assert set(same.values()) == {1}, f"made twice: {[call for call, times in same.items() if times > 1]}"
        return Counter(next(run for run in CALLS if MARKS[run] in hit["system"] + hit["user"]) for hit in hits)

    def under_way(self) -> bool:
        """Whether every run has come as far as it shall: each of these calls is being made."""
        held = {(hit["system"] + hit["user"], hit["turn"]) for hit in self.api.hits() if hit["outcome"] == "running"}
        done = Counter(mark for mark in ENDED for hit in self.api.hits() if MARKS[mark] in hit["user"])
        return done == ENDED and all(any(mark in text and turn == at for text, at in held) for mark, turn in HELD)


@contextmanager
def prepared(folder: Path, release: Release) -> Iterator[Upgrade]:
    for name, front in AGENTS.items():
        (folder / "agents").mkdir(exist_ok=True)
        (folder / "agents" / f"{name}.md").write_text(f"---\nname: {name}\n{front}\n---\nYou are {name}.")
    (folder / "work").mkdir()
    with closing(sqlite3.connect(folder / "data.db")) as connection:
        connection.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);")
    for name, steps in PLANS.items():
        (folder / f"{name}.json").write_text(json.dumps({"steps": steps}))
    settings = {
        "AGENTS_DIR": str(folder / "agents"), "WORKSPACE_DIR": str(folder / "work"),
        "DATABASE_URL": f"sqlite:///{folder / 'data.db'}", "DATABASE_WRITE_TABLES": "t",
    }  # fmt: skip
    old = install(release, folder)
    with dev_server(folder) as server, messages_api(folder) as api:
        api.script(rules=RULES)
        yield Upgrade(folder, server, api, old, stack_environment(folder, server, api, **settings))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_every_run_of_an_earlier_release_finishes_on_this_code(release: Release, tmp_path: Path) -> None:
    with prepared(tmp_path, release) as upgrade:
        in_the_middle(upgrade)
        settings = {
            name: upgrade.env[name] for name in ("AGENTS_DIR", "WORKSPACE_DIR", "DATABASE_URL", "DATABASE_WRITE_TABLES")
        }
        with worker(tmp_path, upgrade.server, upgrade.api, **settings):
            finished(upgrade)
            done_again(upgrade)


def in_the_middle(upgrade: Upgrade) -> None:
    """Start all five with the earlier release, and stop its worker while each is in the middle."""
    old = upgrade.old.worker(upgrade.folder / "old.log", upgrade.env)
    old.start()
    with closing(sqlite3.connect(upgrade.folder / "data.db", isolation_level=None)) as lock:
        try:
            old.wait_until(lambda: "worker ready" in old.output, "the earlier release works")
            begin(upgrade)
            wait_for(upgrade.under_way, "each run comes as far as it shall")
            assert upgrade.rows() == 1
            assert (upgrade.folder / "work" / "rollback-1.md").exists()
            upgrade.command("pause", "paused", "--as", "ada")
            lock.execute("BEGIN EXCLUSIVE")  # an undo that cannot end: the row stays until the lock is gone
            upgrade.api.script(release=["refusal"])
            wait_for(lambda: not (upgrade.folder / "work" / "rollback-1.md").exists(), "half of it is rolled back")
            stop(old, upgrade)
        finally:
            old.kill()
        lock.execute("ROLLBACK")
    assert upgrade.rows() == 1
    assert upgrade.calls() == {"gate": 1, "plan": 2, "paused": 1, "session": 2, "rollback": 3, **ENDED}


def begin(upgrade: Upgrade) -> None:
    plans = [("plan", "--plan", str(upgrade.folder / f"{name}.json"), "--id", name) for name in PLANS]
    sessions = [("agent", "clerk", "Take notes.", "--id", "session"), ("agent", "mason", "Build.", "--id", "rollback")]
    commands = [(*plans[0], "--requester", ""), *plans[1:], sessions[0], (*sessions[1], "--on-failure", "all")]
    upgrade.old.starter([(*each, "--detach") for each in commands], upgrade.env)


def stop(old: RealProcess, upgrade: Upgrade) -> None:
    """Stop the worker as a deploy does: calls that are under way end, and nothing new begins."""
    old.send(signal.SIGTERM)
    old.wait_until(lambda: "stopping: waiting for running calls" in old.output, "it stops")
    upgrade.api.script(release=["switch"])
    assert old.wait(60) == 0


def finished(upgrade: Upgrade) -> None:
    """Decide and resume with the command line of today; then every run ends as if nothing had happened."""
    assert "paused by ada" in upgrade.command("status", "paused")
    upgrade.command("approve", "gate", "--as", "ada")
    upgrade.command("resume", "paused", "--as", "ada")
    for name, text in (("gate", "gate send done"), ("plan", "plan write done"), ("paused", "paused write done")):
        result = json.loads(upgrade.command("result", name, "--json"))
        assert (result["state"], [each["text"] for each in result["answers"]]) == ("completed", [text])
    assert "All noted." in upgrade.command("result", "session")
    failed = starter("result", "rollback", env=upgrade.env)
    assert failed.returncode == 1
    assert "refused to go on; rolled back: 2 undone" in failed.stderr
    assert upgrade.rows() == 0
    work = {file.name: file.read_text() for file in (upgrade.folder / "work").iterdir() if file.is_file()}
    assert work == {"session-0.md": "session 0", "session-1.md": "session 1"}
    assert upgrade.calls() == CALLS


def done_again(upgrade: Upgrade) -> None:
    """Fork and retry what ended on the earlier release: exactly the calls of the steps that follow are made."""
    upgrade.api.reset()
    failed = starter("result", "broken", env=upgrade.env)
    assert failed.returncode == 1, failed.stdout
    for command in (("fork", "ended", "--from-step", "2"), ("retry", "broken")):
        run = f"{command[1]}-again"
        made = json.loads(upgrade.command(*command, "--id", run, "--json"))
        assert (made["state"], made["spend"]["calls"]) == ("completed", 2)
    calls = [max(re.findall(r"\w+: part \d", hit["user"])) for hit in upgrade.api.hits()]
    assert calls == ["ended: part 2", "ended: part 3", "broken: part 2", "broken: part 3"]


def test_a_clone_without_the_commit_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(
        AssertionError, match=r"lacks commit 0{39}1 of release 9\.9.*git fetch origin 0{39}1, or .*--unshallow"
    ):
        install(Release("9.9", "0" * 39 + "1"), tmp_path)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_the_recorded_histories_of_a_release_are_as_it_had_them(release: Release) -> None:
    """A history that is recorded anew proves nothing of the runs that the release began."""
    changed = changed_histories(release)
    assert changed == [], f"take back: git checkout {release.commit} -- {' '.join(changed)}"
