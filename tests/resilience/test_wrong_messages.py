"""Wrong inputs and junk signals, sent by the real Temporal CLI: nothing wedges, and each says what is wrong."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import binary
from tests.processes import DevServer, clean_environment, dev_server, messages_api, wait_for, worker

pytestmark = pytest.mark.xdist_group("wrong_messages")

PLAN = '{"steps": [{"step": 1, "agent": "writer", "input": "wait"}]}'
REFUSED_STARTS = {
    "PlanAndExecuteWorkflow": {
        "none": ([], "request"),
        "two": (["{}", "{}"], "positional argument"),
        "text": (['"write a poem"'], "PlanRequest"),
        "wrong type": (['{"max_parallel": "many"}'], "max_parallel"),
        "wrong plan": (['{"plan": {"steps": [{"agent": "writer"}]}}'], "plan.steps.0.step"),
        "nothing to do": (["{}"], "task: say what shall be done"),
    },
    "DocumentAnalysisWorkflow": {
        "none": ([], "request"),
        "two": (["{}", "{}"], "positional argument"),
        "text": (['"contract.pdf"'], "DocumentAnalysisRequest"),
        "no documents": (['{"documents": []}'], "documents"),
        "missing": (["{}"], "documents"),
        "null": (["null"], "DocumentAnalysisRequest"),
    },
}
CASES = [(kind, name) for kind, cases in REFUSED_STARTS.items() for name in cases]
JUNK_SIGNALS: list[tuple[str, list[str]]] = [
    ("approve", []),
    ("approve", ['"yes"']),
    ("aprove", ['{"a": 1}', "2"]),
    ("status", ["[1, 2, 3]"]),
    ("run", ["null"]),
    ("", []),
]


class Cli:
    """The Temporal CLI against one server."""

    def __init__(self, server: DevServer) -> None:
        self._server = server

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [binary("temporal"), "workflow", *arguments, "--address", self._server.address]
        return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)

    def start(self, kind: str, run: str, inputs: list[str]) -> None:
        given = [part for value in inputs for part in ("--input", value)]
        done = self("start", "--type", kind, "--task-queue", "agents", "--workflow-id", run, *given)
        assert done.returncode == 0, done.stderr

    def describe(self, run: str) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self("describe", "-w", run, "-o", "json").stdout)
        return described

    def state(self, run: str) -> str:
        status = str(self.describe(run)["workflowExecutionInfo"]["status"])
        return status.removeprefix("WORKFLOW_EXECUTION_STATUS_")

    def failure(self, run: str) -> str:
        return self("show", "-w", run, "-o", "json").stdout


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    tmp: Path = tmp_path_factory.mktemp("wrong")
    with dev_server(tmp) as server, messages_api(tmp, latency=4.0) as api, worker(tmp, server, api):
        yield Cli(server)


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_a_wrong_start_fails_the_run_with_the_reason(cli: Cli, kind: str, case: str) -> None:
    inputs, reason = REFUSED_STARTS[kind][case]
    run = f"{kind}-{case}".replace(" ", "-")
    cli.start(kind, run, inputs)
    state = wait_for(lambda: (found := cli.state(run)) != "RUNNING" and found, "the run to end")
    assert state == "FAILED"
    assert reason in cli.failure(run)


def test_junk_signals_change_nothing_and_are_shown(cli: Cli) -> None:
    cli.start("PlanAndExecuteWorkflow", "bothered", [f'{{"plan": {PLAN}}}'])
    for name, inputs in JUNK_SIGNALS:
        given = [part for value in inputs for part in ("--input", value)]
        cli("signal", "-w", "bothered", "--name", name, *given)
    updated = cli("update", "execute", "-w", "bothered", "--name", "decide", "--input", "1", "--input", "2")
    assert updated.returncode != 0
    asked = cli("query", "-w", "bothered", "--type", "status", "-o", "json")
    assert "means nothing to this run" in asked.stdout
    assert "aprove" in asked.stdout
    wait_for(lambda: cli.state("bothered") == "COMPLETED", "the run to complete")
