"""Every pattern of the application under chaos: how each run is started, what the model answers, and what each run must leave."""

import json
import os
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from outlast.testing.chaos import Rule, Says, Scenario, Setup
from outlast.testing.chaos.processes import Launched
from tests.forked import Forked
from tests.processes import EVERY_WORKER, PROJECT, clean_environment
from tests.workflow.undo.refunding import Shop, shop_in

LEASE = PROJECT / "samples" / "documents" / "legal-studio-lease.docx"
LEDGER = Path(__file__).with_name("ledger_server.py")
NOTARY = "---\nname: notary\ndescription: Books lines.\nmodel: sonnet\ntools: mcp__ledger\n---\nYou book lines."
FOREMAN = (
    "---\nname: foreman\ndescription: Leads.\nmodel: sonnet\nagents: [file-clerk, analyst]\n---\nYou lead the clerks."
)
CONCIERGE = (
    "---\nname: concierge\ndescription: Serves people.\nmodel: sonnet\ntools: Write, mcp__ledger, AskUserQuestion\n---\n"
    "You serve people."
)
SOON_ANEW = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=30")
"""Runs continue as new in the middle, as they otherwise do after thousands of events."""
SAYS = (
    Says("Write it down for {run}", "ada"),
    Says("Be quick in {run}", "bob", at_once=True),
    Says("Book it for {run}", "ada"),
    Says("Be careful in {run}", "bob", at_once=True),
    Says("Think about {run}", "ada"),
    Says("Never mind {run}", "bob", at_once=True, interrupt=True),
    Says("Ask me about {run}", "ada"),
    Says("Thanks for {run}", "bob"),
)
"""A conversation: messages in the middle of turns, an effect, a gate, one that interrupts, and a question."""
EFFECTS = """
    CREATE TABLE refunded (order_id TEXT);
    CREATE TRIGGER refund_made AFTER INSERT ON refunds BEGIN INSERT INTO refunded VALUES (new.order_id); END;
"""
PLAN = {
    "steps": [
        {"step": "look", "agent": "generalist", "input": "Look around in {run}"},
        {"step": "act", "agent": "generalist", "input": "Act in {run}", "depends_on": ["look"], "confirm": True},
    ]
}
SPOILING = {
    "steps": [
        {"step": "look", "agent": "generalist", "input": "Look around in {run}"},
        {"step": "spoil", "agent": "spoiler", "input": "Spoil {run}", "depends_on": ["look"]},
    ]
}
TURNS = 4
WRITE = {"tool": "write_file", "before_turn": 1}
ANSWERS = [
    Rule(system="You sort requests", data={"category": "billing", "confidence": 0.9}),
    Rule(system="customers on billing", user="refund", data={"amount": 45, "reason": "broken"}),
    Rule(system="You spoil", tool="write_file", before_turn=1, input={"path": "r-{run}.md", "content": "new"}),
    Rule(system="You spoil", stop_reason="refusal"),
    Rule(
        system="You work with the files",
        tool="write_file",
        before_turn=TURNS,
        input={"path": "s-{run}-{turn}.md", "content": "new"},
    ),
    Rule(system="You lead the clerks", tool="ask_file-clerk", before_turn=1, input={"task": "write for {run}"}),
    Rule(system="You lead the clerks", tool="ask_analyst", before_turn=2, input={"task": "look at {run}"}),
    Rule(
        system="You serve people",
        user="Write it",
        tool="write_file",
        input={"path": "c-{run}-{turn}.md", "content": "x"},
    ),
    Rule(system="You serve people", user="Book it", tool="mcp__ledger__book", input={"line": "{run} {turn}"}),
    Rule(
        system="You serve people",
        user="Ask me",
        tool="ask_person",
        input={"question": "Which?", "options": ["red", "blue"]},
    ),
    Rule(system="You serve people", user="Think about", latency=2.5),
    Rule(system="You book lines", tool="mcp__ledger__book", before_turn=TURNS, input={"line": "{run} {turn}"}),
]


def forked(command: Sequence[str], env: Mapping[str, str], log: Path) -> Launched:
    """Start a Python program from a process that has imported everything."""
    program, *arguments = command
    return Forked(program, arguments, env=env, stdin=Path(os.devnull), stdout=log, stderr=log)


@dataclass(frozen=True)
class Application:
    """The scenarios of every pattern, what their workers need, and the effects that they had."""

    directory: Path
    shop: Shop

    @property
    def booked(self) -> Path:
        return self.directory / "booked.db"

    @property
    def setup(self) -> Setup:
        settings = {
            **self.shop.settings,
            "AGENTS_DIR": str(self.directory / "agents"),
            "MCP_CONFIG": str(self.directory / "mcp.json"),
            "WORKSPACE_DIR": str(self.workspace),
        }
        return Setup([EVERY_WORKER], settings=settings, answers=ANSWERS, server_options=SOON_ANEW, launch=forked)

    @property
    def workspace(self) -> Path:
        return self.directory / "workspace"

    def effects(self) -> Counter[str]:
        """How often each effect was applied."""
        found: Counter[str] = Counter()
        with closing(sqlite3.connect(self.booked)) as connection:
            found.update(f"booked {line}" for (line,) in connection.execute("SELECT line FROM booked"))
        with closing(sqlite3.connect(self.shop.database)) as connection:
            found.update(f"refunded {order}" for (order,) in connection.execute("SELECT order_id FROM refunded"))
        mails = {(str(mail["Message-ID"]), str(mail["Subject"])) for mail in self.shop.sink.mails}
        found.update(f"mail {subject}" for _, subject in mails)
        return found

    def scenarios(self) -> list[Scenario]:
        letter, plan = str(self.directory / "letter-{run}.txt"), str(self.directory / "plan-{run}.json")
        charged, order = "I was charged twice for {run}", "ORD-{run}"
        refund = ("refund", "--order", order, "--text", "please refund {run}", "--task-queue", "agents")
        spoiling, writing, budget = (
            str(self.directory / "spoiling-{run}.json"),
            "write for {run}",
            ("--budget-calls", "60"),
        )
        voted = ("--question", "May {run} sublet?", "--option", "yes", "--option", "no")
        return [
            _scenario("document, streamed", "document", letter, "--stream", prepare=self._write_letter),
            _scenario("plan, streamed, in a budget", "plan", "Compare tides {run}", "--stream", *budget),
            _scenario("plan with a gate", "plan", "--plan", plan, prepare=self._write_plan, approvers=("ann",)),
            _scenario(
                *("plan, undone", "plan", "--plan", spoiling, "--on-failure", "all"),
                prepare=self._write_spoiling,
                check=self._taken_back,
                failed=True,
            ),
            _scenario(
                *("staged, reviewed, with a gate, streamed", "staged", "Write of {run}", "--stream"),
                *("--checkpoint", "after-plan"),
                approvers=("ann",),
            ),
            _scenario("route, classifier", "route", charged),
            _scenario("route, LLM, streamed, in a budget", "route", charged, "--router", "llm", "--stream", *budget),
            _scenario("research, in a budget", "research", "Heat pumps in winter {run}", "--source", "local", *budget),
            _scenario("consensus, in a budget", "consensus", letter, *voted, *budget, prepare=self._write_letter),
            _scenario("agent with tools, streamed", "agent", "file-clerk", writing, "--stream", check=self._written),
            _scenario(
                *("agent with MCP", "agent", "notary", "book for {run}", "--allow", "mcp__ledger__book"),
                check=self._booked,
            ),
            _scenario(
                *(
                    "delegating, streamed, in a budget",
                    "agent",
                    "foreman",
                    "have it written for {run}",
                    "--stream",
                    *budget,
                ),
                check=self._written,
            ),
            Scenario(
                "conversation, with a gate and a question, streamed, in a budget",
                request={"agent": "concierge", "budget": {"calls": 60}, "stream": True},
                says=SAYS,
                approvers=("ann",),
                answer="blue",
                check=self._served,
            ),
            _scenario("refund", *refund, "--amount", "45", prepare=self._order, check=self._refunded),
            _scenario(
                *("refund with a gate", *refund, "--amount", "150"),
                prepare=self._order,
                check=self._refunded,
                approvers=("ann", "bob"),
            ),
            _scenario(
                *("agent, undone", "agent", "spoiler", "spoil {run}", "--on-failure", "all"),
                check=self._taken_back,
                failed=True,
            ),
        ]

    def _write_letter(self, run: str) -> None:
        text = f"Dear Sir or Madam, this is about {run}. " + "The rent is due. " * 200
        (self.directory / f"letter-{run}.txt").write_text(text)

    def _write_plan(self, run: str) -> None:
        (self.directory / f"plan-{run}.json").write_text(json.dumps(PLAN).replace("{run}", run))

    def _write_spoiling(self, run: str) -> None:
        (self.directory / f"spoiling-{run}.json").write_text(json.dumps(SPOILING).replace("{run}", run))

    def _order(self, run: str) -> None:
        with closing(sqlite3.connect(self.shop.database, timeout=30)) as connection, connection:
            row = (f"ORD-{run}", "Ben", "ben@example.org", 20_000)
            connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", row)

    def _written(self, run: str) -> str:
        missing = [turn for turn in range(TURNS) if not (self.workspace / f"s-{run}-{turn}.md").exists()]
        return f"files of turns {missing} are missing" if missing else ""

    def _booked(self, run: str) -> str:
        with closing(sqlite3.connect(self.booked)) as connection:
            found = [line for (line,) in connection.execute("SELECT line FROM booked WHERE line LIKE ?", (f"{run} %",))]
        return "" if sorted(found) == [f"{run} {turn}" for turn in range(TURNS)] else f"booked {found}"

    def _served(self, run: str) -> str:
        with closing(sqlite3.connect(self.booked)) as connection:
            found = [line for (line,) in connection.execute("SELECT line FROM booked WHERE line LIKE ?", (f"{run} %",))]
        written = list(self.workspace.glob(f"c-{run}-*.md"))
        return "" if len(found) == len(written) == 1 else f"booked {found}, written {written}"

    def _refunded(self, run: str) -> str:
        return "" if f"ORD-{run}" in {order for order, *_ in self.shop.refunds} else "it is not refunded"

    def _taken_back(self, run: str) -> str:
        return "its file is still there" if (self.workspace / f"r-{run}.md").exists() else ""


@contextmanager
def application(directory: Path) -> Iterator[Application]:
    """Lay out what the application needs: agents, a shop, a ledger behind MCP."""
    agents = directory / "agents"
    shutil.copytree(PROJECT / "agents", agents)
    clerk = (agents / "file-clerk.md").read_text()
    spoiler = clerk.replace("name: file-clerk", "name: spoiler").replace("You work with", "You spoil")
    (agents / "spoiler.md").write_text(spoiler.replace("fallback: generalist\n", ""))
    (agents / "notary.md").write_text(NOTARY)
    (agents / "concierge.md").write_text(CONCIERGE)
    (agents / "foreman.md").write_text(FOREMAN)
    (directory / "workspace").mkdir()
    with shop_in(directory) as shop:
        found = Application(directory, shop)
        for database, script in (
            (shop.database, EFFECTS),
            (found.booked, "CREATE TABLE booked (key TEXT PRIMARY KEY, line TEXT)"),
        ):
            with closing(sqlite3.connect(database)) as connection:
                connection.executescript(script)
        server = {
            "command": sys.executable,
            "args": [str(LEDGER), str(found.booked)],
            "env": {"PYTHONPATH": str(PROJECT)},
        }
        (directory / "mcp.json").write_text(json.dumps({"mcpServers": {"ledger": server}}))
        yield found


ENVIRONMENT = clean_environment(WORKER_WAIT="60")


def _scenario(name: str, *command: str, failed: bool = False, **more: object) -> Scenario:
    written = ("starter.py", *command, "--id", "{run}")
    return Scenario(name, command=written, ends="failed" if failed else "completed", **more)  # type: ignore[arg-type]
