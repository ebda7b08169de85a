"""Every pattern at once under an outage of the content store or the Messages API, and what became of each run.

One round starts a run of every pattern with the starter, strikes at a moment, ends it some seconds later, and waits for all.
The round before the first outage says which calls the runs make when nothing goes wrong.
"""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.processes import EVERY_WORKER, PROJECT, starter
from tests.stacks import Stack, whole_stack
from tests.workflow.undo.refunding import Shop, shop_in

LATENCY = 0.3
STORE_SECONDS = 5.0
API_SECONDS = 20.0
LEASE = str(PROJECT / "samples" / "documents" / "legal-studio-lease.docx")
ROLLED_BACK = "rollback"
"""The one pattern that must fail, and take back what it did."""


@dataclass
class Ended:
    """One run: its exit code, and whether it is what it should be."""

    pattern: str
    code: int
    wrong: str = ""


@dataclass
class Round:
    """All runs of one round, and how many answered calls were made more often than without an outage."""

    fault: str
    moment: float
    runs: list[Ended]
    repeated: int
    seconds: float

    @property
    def wrong(self) -> list[Ended]:
        return [run for run in self.runs if run.wrong]


@dataclass
class Outages:
    """The stack under outages."""

    stack: Stack
    shop: Shop
    seconds: float | None = None
    rounds: list[Round] = field(default_factory=list)
    _number: int = 0
    _tag: str = ""
    _hits_before: list[dict[str, Any]] = field(default_factory=list)

    @property
    def content(self) -> Path:
        return self.stack.directory / "content"

    @cached_property
    def calm(self) -> tuple[Counter[str], float]:
        """Which calls a round makes when nothing goes wrong, and how long it takes."""
        found = self._round(lambda: None, lambda: None, 0.0, 0.0, Counter())
        assert not found.wrong, found.wrong
        return self._answered(), found.seconds

    def strike(self, fault: str, share: float) -> Round:
        """Start a round and let a fault strike after a `share` of the time that a calm one takes."""
        calls, seconds = self.calm
        strike, restore, length = self.faults[fault]
        found = self._round(strike, restore, share * seconds, self.seconds or length, calls)
        found.fault = fault
        self.rounds.append(found)
        return found

    def repeated(self) -> Counter[str]:
        """Which calls of the last round were answered more often than without an outage."""
        return self._answered() - self.calm[0]

    @cached_property
    def faults(self) -> dict[str, tuple[Callable[[], Any], Callable[[], Any], float]]:
        """How each fault strikes, how it is put right, and after how many seconds."""
        away = self.content.with_name("content.away")

        def unmount() -> None:
            self.content.rename(away)
            self.content.mkdir()

        def mount() -> None:
            self.content.rmdir()  # fails where something was written into the mount point
            away.rename(self.content)

        def limit_files(size: int) -> None:
            resource.prlimit(self.stack.worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        def down() -> None:
            self._hits_before += self.stack.api.hits()
            self.stack.api.kill()

        def up() -> None:
            self.stack.api.start()
            self._script()

        api = self.stack.api
        return {
            "gone": (lambda: self.content.rename(away), lambda: away.rename(self.content), STORE_SECONDS),
            "unmounted": (unmount, mount, STORE_SECONDS),
            "full": (lambda: limit_files(0), lambda: limit_files(resource.RLIM_INFINITY), STORE_SECONDS),
            "read-only": (lambda: _writable(self.content, False), lambda: _writable(self.content, True), STORE_SECONDS),
            "529": (lambda: api.script(outage=529), lambda: api.script(outage=0), API_SECONDS),
            "429": (lambda: api.script(outage=429), lambda: api.script(outage=0), API_SECONDS),
            "API down": (down, up, API_SECONDS),
        }

    def _round(
        self,
        strike: Callable[[], Any],
        restore: Callable[[], Any],
        after: float,
        length: float,
        calls: Counter[str],
    ) -> Round:
        self._hits_before = []
        self.stack.api.reset()
        self._number += 1
        self._tag = tag = (
            f"job{self._number:05}"  # of one length, because the double keeps only the beginning of a prompt
        )
        self._script()
        commands = self._commands(tag)
        began = time.monotonic()
        with ThreadPoolExecutor(len(commands)) as pool:
            running = {name: pool.submit(self._run, *arguments) for name, arguments in commands.items()}
            if length:
                time.sleep(after)
                strike()
                time.sleep(length)
                restore()
            ended = [self._judged(name, tag, each.result()) for name, each in running.items()]
        repeated = sum((self._answered() - calls).values()) if calls else 0
        return Round("", after, ended, repeated, time.monotonic() - began)

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return starter(*arguments, env=self.stack.env, timeout=150)

    def _judged(self, name: str, tag: str, ended: "subprocess.CompletedProcess[str]") -> Ended:
        said = " ".join(ended.stderr.split())[-300:]
        wanted = 1 if name == ROLLED_BACK else 0
        wrong = "" if ended.returncode == wanted else f"exit {ended.returncode}: {said}"
        workspace = self.stack.directory / "state" / "workspace"
        if name == ROLLED_BACK and (workspace / f"r-{tag}.md").exists():
            wrong = f"not taken back; {wrong}"
        if name == "session" and not (workspace / f"s-{tag}.md").exists():
            wrong = f"not written; {wrong}"
        if name == "refund" and f"ORD-{tag}" not in {order for order, *_ in self.shop.refunds}:
            wrong = f"not refunded; {wrong}"
        return Ended(name, ended.returncode, wrong)

    def _answered(self) -> Counter[str]:
        """Count the answered calls of this round by what they asked."""
        hits = [*self._hits_before, *self.stack.api.hits()]
        asked = (
            f"{hit['model']} {hit['system'][:80]} {hit['turn']} {hit['user']}"
            for hit in hits
            if hit["outcome"] == "answered"
        )
        return Counter(re.sub(r"\s+", " ", each.replace(self._tag, "TAG")) for each in asked)

    def _script(self) -> None:
        tag = self._tag
        clerk = "You work with the files"
        write = {"tool": "write_file", "before_turn": 1}
        self.stack.api.script(
            latency=LATENCY,
            rules=[
                {"system": "You sort requests", "data": {"category": "billing", "confidence": 0.9}},
                {"system": "customers on billing", "user": "refund", "data": {"amount": 45, "reason": "broken"}},
                {"system": "You spoil", "input": {"path": f"r-{tag}.md", "content": "new"}, **write},
                {"system": "You spoil", "stop_reason": "refusal"},
                {"system": clerk, "input": {"path": f"s-{tag}.md", "content": "new"}, **write},
            ],
        )

    def _commands(self, tag: str) -> dict[str, list[str]]:
        letter = self.stack.directory / f"letter-{tag}.txt"
        letter.write_text(f"Dear Sir or Madam, this is about {tag}. " + "The rent is due. " * 200)
        with closing(sqlite3.connect(self.shop.database)) as connection, connection:
            connection.execute("INSERT INTO orders VALUES (?, 'Ben', 'ben@example.org', 4500)", (f"ORD-{tag}",))
        charged = f"I was charged twice for {tag}"
        return {
            "document": ["document", str(letter), LEASE, "--id", f"document-{tag}"],
            "plan": ["plan", f"Compare tides {tag}", "--id", f"plan-{tag}"],
            "staged": ["staged", f"Write of {tag}", "--id", f"staged-{tag}"],
            "route": ["route", charged, "--id", f"route-{tag}"],
            "route-llm": ["route", charged, "--router", "llm", "--id", f"llm-{tag}"],
            "research": ["research", f"Heat pumps in winter {tag}", "--source", "local", "--id", f"research-{tag}"],
            "consensus": [
                *("consensus", LEASE, "--question", f"May {tag} sublet?", "--option", "yes", "--option", "no"),
                *("--id", f"consensus-{tag}"),
            ],
            "session": ["agent", "file-clerk", f"write for {tag}", "--id", f"session-{tag}"],
            "refund": [
                *("refund", "--order", f"ORD-{tag}", "--text", f"please refund {tag}", "--amount", "45"),
                *("--id", f"refund-{tag}", "--task-queue", "agents"),
            ],
            ROLLED_BACK: ["agent", "spoiler", f"spoil {tag}", "--on-failure", "all", "--id", f"spoiled-{tag}"],
        }


@contextmanager
def outages(directory: Path, seconds: float | None = None) -> Iterator[Outages]:
    """Run a stack whose every pattern can be struck; outages last `seconds`, by default as long as they were measured."""
    agents = directory / "agents"
    shutil.copytree(PROJECT / "agents", agents)
    clerk = (agents / "file-clerk.md").read_text()
    spoiler = clerk.replace("name: file-clerk", "name: spoiler").replace("You work with", "You spoil")
    (agents / "spoiler.md").write_text(spoiler.replace("fallback: generalist\n", ""))
    with (
        shop_in(directory) as shop,
        whole_stack(directory, program=EVERY_WORKER, AGENTS_DIR=str(agents), **shop.settings) as stack,
    ):
        yield Outages(
            Stack(stack.directory, stack.server, stack.api, stack.worker, stack.env | {"AGENTS_DIR": str(agents)}), shop
        )


def table(rounds: list[Round]) -> str:
    """Write what became of all rounds, one line for each fault."""
    lines = ["| fault | moments | runs | wrong | finished calls repeated |", "|---|---|---|---|---|"]
    for fault in dict.fromkeys(each.fault for each in rounds):
        of = [each for each in rounds if each.fault == fault]
        runs, wrong = sum(len(each.runs) for each in of), sum(len(each.wrong) for each in of)
        lines.append(f"| {fault} | {len(of)} | {runs} | {wrong} | {sum(each.repeated for each in of)} |")
    return "\n".join(lines)


def _writable(root: Path, writable: bool) -> None:
    """Make a tree read-only, or writable again: by permissions, and for root, who is above them, by a mount."""
    if os.geteuid() == 0:
        if not writable:
            subprocess.run(["mount", "--bind", root, root], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        else:
            subprocess.run(["umount", "-l", root], check=True)
        return
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o755 if writable else 0o555)
