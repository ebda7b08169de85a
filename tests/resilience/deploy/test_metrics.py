"""What runs are counted as: the result's numbers, once although all is replayed, and by OTLP as at the Prometheus endpoint."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deployed_metrics import asked_metrics
from tests.processes import dev_server, free_port, wait_for
from tests.resilience.deploy.seeing import Side, scenarios, side

pytestmark = pytest.mark.xdist_group("spans")

ATTRIBUTES = {"AgentPattern": "Keyword", "AgentState": "Keyword", "PendingGate": "Keyword", "CostUsd": "Double"} | {
    "GateDeadline": "Datetime"
}
REGISTERED = tuple(part for name, kind in ATTRIBUTES.items() for part in ("--search-attribute", f"{name}={kind}"))


class Scraped:
    """What the Prometheus endpoint of a worker says now."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            self.text = str(answer.read().decode())

    @property
    def names(self) -> set[str]:
        return set(re.findall(r"^(\w+)\{", self.text, re.MULTILINE))

    def sum(self, name: str, **labels: str) -> float:
        """Add up a metric over all series that have these labels."""
        total = 0.0
        for found, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", self.text, re.MULTILINE):
            if all(f'{key}="{wanted}"' in found for key, wanted in labels.items()):
                total += float(value)
        return total


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def sides(tmp_path: Path, port: int) -> Iterator[tuple[Side, Side]]:
    scraped = ("--metrics-port", str(port), "--max-cached-workflows", "0")
    with (
        dev_server(tmp_path, options=REGISTERED) as server,
        side(tmp_path / "scraped", server, "scraped", *scraped) as one,
        side(tmp_path / "sent", server, "sent") as other,
    ):
        yield one, other


@pytest.mark.timeout(150)
def test_what_happened_is_counted_once_and_under_the_names_that_are_asked_for(
    sides: tuple[Side, Side], port: int, tmp_path: Path
) -> None:
    runs = scenarios(tmp_path)
    waiting: list[Scraped] = []

    def approvals(one: Side, run: str) -> None:
        wait_for(lambda: one.gates(run), "the gate")
        wait_for(lambda: Scraped(port).sum("agent_gate_age") > 0, "the gate's age", timeout=25)
        waiting.append(Scraped(port))
        assert runs["refund"].people
        runs["refund"].people(one, run)

    one, other = sides
    _, plan = runs["plan"].play(one, "plan")
    _, refund = replace(runs["refund"], people=approvals).play(one, "refund")
    runs["plan"].play(other, "plan")
    now = Scraped(port)

    assert waiting[0].sum("agent_gates_waiting", workflow_type="RefundWorkflow") == 1
    assert 0 < waiting[0].sum("agent_gate_age") < 60
    assert now.sum("agent_gates_opened", pattern="refund") == 1
    assert now.sum("agent_gates_settled", outcome="approved") == 1
    assert now.sum("agent_gate_wait_count", outcome="approved") == 1
    assert now.sum("agent_gate_wait_sum") > waiting[0].sum("agent_gate_age")
    wait_for(lambda: Scraped(port).sum("agent_gates_waiting") == 0, "the gate to be gone", timeout=25)

    for tier in ("input", "output", "cache_read", "cache_write"):
        spent = sum(result["spend"][f"{tier}_tokens"] for result in (plan, refund))
        assert now.sum("agent_tokens", tier=tier) == spent
    assert now.sum("agent_call_usd_sum") == pytest.approx(sum(result["spend"]["usd"] for result in (plan, refund)))
    assert now.sum("agent_steps", pattern="plan and execute", state="done") == 3
    assert now.sum("agent_runs", state="completed") == 2
    assert now.sum("agent_fallbacks", origin="writer") == 1
    assert now.sum("agent_retries", cause="ModelUnavailable", activity="call_model") == 1
    assert now.sum("agent_retries") == 1, "what is not made again is not a retry"
    assert now.sum("agent_tool_calls", outcome="done") == 3
    calls = plan["spend"]["calls"] + refund["spend"]["calls"]
    assert now.sum("agent_queue_wait_count", activity="call_model") == calls + 1, "the retry waited as well"
    assert now.sum("agent_queue_wait_sum", activity="call_model") < 5

    ours = {name for name in now.names if name.startswith("agent_")}
    assert asked_metrics("agent_") - ours == set(), "asked for, but not exported"
    by_otlp = _sent(other)
    expected = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours if "gate" not in name and "tool" not in name}
    assert expected - by_otlp == set()


def _sent(other: Side) -> set[str]:
    with suppress(AssertionError):
        wait_for(lambda: "agent_runs" in other.otlp.metrics, "the metrics of the run", timeout=10)
    return set(other.otlp.metrics)
