"""Runs of every pattern for the tests of telemetry: how each is started, what the model says, what people do meanwhile.

A `Side` is a worker with a double of the Messages API and a collector of its own, so that two sides can work at the same time:
one that keeps runs in memory, one that replays each of them at every task.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import binary
from tests.doubles.otlp import Collector, Received, collector
from tests.processes import (
    EVERY_WORKER,
    DevServer,
    MessagesApi,
    RealProcess,
    messages_api,
    stack_environment,
    starter,
    wait_for,
    worker,
)
from tests.workflow.undo.refunding import Shop, shop_in

EXPORTED_SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "200", "HEARTBEAT_TIMEOUT": "60"}
NOBODY_LISTENS = {"NEWS_FEEDS": "http://127.0.0.1:9/feed"}
VOTING = ("--option", "yes", "--option", "no", "--voter", "analyst", "--voter", "sceptic")
LAMP = ("--order", "ORD-1001", "--text", "The lamp came broken.", "--amount", "110")
QUEUE = "THE SIDE'S OWN"
"""Stands for the task queue of a side, in a command."""
LEASE = "# Lease\n\nThe tenant shall pay rent on the first day of each month.\n"


@dataclass(eq=False)
class Side:
    """One worker and what it can see; `env` is the starter's environment."""

    server: DevServer
    api: MessagesApi
    otlp: Collector
    worker: RealProcess
    env: dict[str, str]
    queue: str

    def run(self, *arguments: str) -> str:
        """Run one starter command that must leave with 0; returns stdout."""
        ended = starter(*arguments, env=self.env)
        assert ended.returncode == 0, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def id_of(self, name: str) -> str:
        return f"{name}-{self.queue}"

    def trees(self, run: str) -> str:
        """Every trace of a run and of its rollback, oldest first; chains of single children on one line."""
        spans = list(self.otlp.spans)
        # A rollback is a run of its own, whose id holds that of the execution which it takes back.
        known = {str(span.attributes.get("temporalRunID", "")) for span in spans if span.run == run} - {""}
        names = (run, *(f"rollback-{execution}" for execution in known))
        roots = [span for span in spans if not span.parent and span.run.startswith(names)]
        return "\n".join(brief(self.otlp, span) for span in sorted(roots, key=lambda span: span.start))

    def gates(self, run: str) -> Any:
        return json.loads(self.run("status", run, "--json"))["gates"]


@dataclass(frozen=True)
class Scenario:
    """One run: the starter's command, what the model says, and what people do once it has begun."""

    command: tuple[str, ...]
    rules: tuple[dict[str, Any], ...] = ()
    people: Callable[[Side, str], None] | None = None

    def play(self, side: Side, name: str) -> tuple[str, Any]:
        """Let it run to its end on a side; returns the run's id and its result."""
        run = side.id_of(name)
        side.api.reset()
        side.api.script(rules=list(self.rules))
        command = [side.queue if part == QUEUE else part for part in self.command]
        if self.people is None:
            return run, json.loads(side.run(*command, "--id", run, "--json"))
        side.run(*command, "--id", run, "--detach")
        self.people(side, run)
        return run, json.loads(side.run("result", run, "--json"))


def brief(otlp: Collector, span: Received, depth: int = 0) -> str:
    """Write a tree with each chain of single children on one line, equal branches once with their number."""
    names, below = [span.name], otlp.children(span)
    while len(below) == 1:
        names, below = [*names, below[0].name], otlp.children(below[0])
    branches = sorted(brief(otlp, child, depth + 1) for child in below)
    lines = ["  " * depth + " > ".join(names)]
    for branch in dict.fromkeys(branches):
        first, *rest = branch.split("\n")
        times = branches.count(branch)
        lines.append("\n".join([f"{first} ×{times}" if times > 1 else first, *rest]))
    return "\n".join(lines)


def _approvals(side: Side, run: str) -> None:
    """One yes from the starter, one as the Web UI sends it: a signal that comes from no trace.

    Before that, the run is seen although it waits, perhaps for days: what it has done, and that it is running.
    """
    wait_for(lambda: side.gates(run), "the gate")
    (seen,) = wait_for(lambda: side.otlp.named("Running:*", temporalWorkflowID=run), "the run to be seen")

    def trace() -> list[str]:
        return [span.name for span in list(side.otlp.spans) if span.trace_id == seen.trace_id]

    # Starter and worker export each for themselves, in batches: which of these arrives first is not said.
    wait_for(lambda: {"StartWorkflow:RefundWorkflow", "step propose"} <= {*trace()}, "its beginning and its step")
    assert "RunWorkflow:RefundWorkflow" not in trace()
    side.run("approve", run, "--as", "ann")
    command = [binary("temporal"), "workflow", "signal", "-w", run, "--name", "approve", "--input", '{"by": "bob"}']
    subprocess.run([*command, "--address", side.server.address], check=True, capture_output=True)


def _back(side: Side, run: str) -> None:
    wait_for(lambda: "completed" in side.run("status", run), "the end of the session")
    side.run("rollback", run)


def scenarios(directory: Path) -> dict[str, Scenario]:
    """Return all runs by name; what they read lies in the directory."""
    lease, stages = directory / "lease.md", directory / "stages.json"
    lease.write_text(LEASE)
    stages.write_text(
        json.dumps(
            [
                {"name": "facts", "goal": "All facts.", "agents": ["researcher"], "max_steps": 2},
                {"name": "final", "goal": "The end.", "agents": ["writer"], "max_steps": 1},
            ]
        )
    )
    circle = {"steps": [{"step": n, "agent": "writer", "input": "x", "depends_on": [3 - n]} for n in (1, 2)]}
    verdict = {"evidence": ["shall pay rent"], "reasons": "It says so.", "confidence": 0.9}
    return {
        "document": Scenario(("document", str(lease))),
        "plan": Scenario(
            ("plan", "write about tides"),
            (
                {"system": "You plan work for a team", "data": circle, "times": 1},
                {"user": "Collect the opinions", "status": 529, "error_type": "overloaded_error", "times": 1},
                {"system": "You are a writer", "status": 400, "error_type": "invalid_request_error", "message": "no"},
                {"system": "You are a researcher", "usage": {"cache_read_input_tokens": 70, "input_tokens": 30}},
            ),
        ),
        "staged": Scenario(("staged", "Write a brief about tides", "--stages", str(stages))),
        "route": Scenario(
            ("route", "My invoice is wrong"),
            ({"system": "You sort requests", "data": {"category": "billing", "confidence": 0.9}},),
        ),
        "route-llm": Scenario(
            ("route", "My invoice is wrong", "--router", "llm"),
            ({"system": "You route requests", "tool": "billing", "input": {"matter": "an invoice"}, "before_turn": 1},),
        ),
        "route-llm-sent-back": Scenario(
            ("route", "My invoice is wrong", "--router", "llm"),
            ({"system": "You route requests", "tool": "billing", "input": {}, "before_turn": 1},),
        ),
        "research": Scenario(
            ("research", "tides", "--source", "local", "--source", "news", "--min-sources", "1", "--findings", "2")
        ),
        "consensus": Scenario(
            ("consensus", str(lease), "--question", "Does it bind?", *VOTING),
            (
                {"system": "You are a sceptic", "data": verdict | {"verdict": "no"}},
                {"system": "You are", "data": verdict | {"verdict": "yes"}},
            ),
        ),
        "session": Scenario(
            ("agent", "file-clerk", "list all"), ({"tool": "list_files", "input": {}, "before_turn": 6},)
        ),
        "refund": Scenario(
            ("refund", *LAMP, "--requester", "carl", "--task-queue", QUEUE),
            (
                {"system": "You sort requests", "data": {"category": "billing", "confidence": 0.9}},
                {"system": "customers on billing", "data": {"amount": 110, "reason": "broken"}},
            ),
            people=_approvals,
        ),
        "undone": Scenario(
            ("agent", "file-clerk", "write"),
            ({"tool": "write_file", "input": {"path": "a.md", "content": "new"}, "before_turn": 1},),
            people=_back,
        ),
    }


@contextmanager
def side(directory: Path, server: DevServer, queue: str, *arguments: str, **settings: str) -> Iterator[Side]:
    """Run one side, its shop and its worker."""
    directory.mkdir(exist_ok=True)
    with collector() as otlp, messages_api(directory) as api, shop_in(directory) as shop:
        given = _settings(otlp, shop, queue) | settings
        with worker(directory, server, api, *arguments, program=EVERY_WORKER, **given) as working:
            yield Side(server, api, otlp, working, stack_environment(directory, server, api, **given), queue)


def _settings(otlp: Collector, shop: Shop, queue: str) -> dict[str, str]:
    own = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "TASK_QUEUE": queue}
    return {**own, **shop.settings, **EXPORTED_SOON, **NOBODY_LISTENS}
