"""Wrong inputs and junk signals, sent by the real Temporal CLI: nothing wedges, and each says what is wrong."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tests.conftest import binary
from tests.processes import EVERY_WORKER, DevServer, clean_environment, dev_server, messages_api, wait_for, worker
from tests.served import STARTED

pytestmark = pytest.mark.xdist_group("wrong_messages")

PLAN = '{"steps": [{"step": 1, "agent": "writer", "input": "wait"}]}'
REQUESTS = {kind.__name__: get_type_hints(kind.run)["request"].__name__ for kind in STARTED}  # type: ignore[attr-defined]
FOR_ALL = {
    "none": ([], "give one request"),
    "two": (["{}", "{}"], "as the one input"),
    "text": (['"do it"'], "{request}"),
    "null": (["null"], "{request}"),
}
"""What no workflow may be started with; the reason names the type of the request."""
FOR_ONE = {
    "PlanAndExecuteWorkflow": {
        "wrong type": (['{"max_parallel": "many"}'], "max_parallel"),
        "wrong plan": (['{"plan": {"steps": [{"agent": "writer"}]}}'], "plan.steps.0.step"),
        "nothing to do": (["{}"], "task: say what shall be done"),
    },
    "ConsensusAnalysisWorkflow": {
        "none": ([], "give one request"),
        "two": (["{}", "{}"], "as the one input"),
        "text": (['"is it so?"'], "ConsensusRequest"),
        "wrong rule": (['{"question": "q", "rule": {"kind": "loud"}}'], "rule.kind"),
        "one option": (['{"question": "q", "options": ["yes"]}'], "options: 1 given; name at least two"),
    },
    "DocumentAnalysisWorkflow": {
        "no documents": (['{"documents": []}'], "documents"),
        "missing": (["{}"], "documents"),
    },
    "ParallelResearchWorkflow": {"no topic": (['{"topic": ""}'], "topic")},
    "RefundWorkflow": {
        "wrong order": (['{"order": "1; DROP TABLE orders", "text": {"text": "x"}}'], "order"),
        "wrong ledger": (['{"order": "A", "text": {"text": "x"}, "ledger_url": "ftp://x"}'], "ledger_url"),
    },
    "RequestHandlingWorkflow": {
        "no requests": (['{"requests": []}'], "requests"),
        "wrong router": (['{"requests": [{"name": "r", "text": {"text": "x"}}], "router": "dice"}'], "router"),
        "wrong category": (['{"requests": [{"name": "r", "text": {}}], "general": "x"}'], "general: there is no"),
    },
    "RollbackWorkflow": {
        "keep": (['{"run": "r", "changes": {}, "policy": "keep"}'], "policy.extent"),
        "no checkpoint": (
            ['{"run": "r", "changes": {}, "policy": {"extent": "to_checkpoint", "checkpoint": "x"}}'],
            "it reached none",
        ),
    },
    "StagedDeliveryWorkflow": {
        "no task": (['{"task": ""}'], "task"),
        "blank name": (['{"task": "t", "stages": [{"name": " ", "goal": "g"}]}'], "stages.0.name"),
        "nobody": (['{"task": "t", "stages": [{"name": "a", "goal": "g", "agents": ["x"]}]}'], "there is no agent"),
    },
    "AgentSessionWorkflow": {"no agent": (['{"task": "x"}'], "agent")},
}
CASES = [
    (kind, name, inputs, reason.format(request=REQUESTS[kind]))
    for kind in REQUESTS
    for name, (inputs, reason) in (FOR_ALL | FOR_ONE.get(kind, {})).items()
]
JUNK_SIGNALS: list[tuple[str, list[str]]] = [
    ("approve", []),
    ("approve", ['"yes"']),
    ("aprove", ['{"a": 1}', "2"]),
    ("status", ["[1, 2, 3]"]),
    ("run", ["null"]),
    ("pause", ["1", "2"]),
    ("pause", ["[1]"]),
    ("resume", []),
    ("", []),
]


class Cli:
    """The Temporal CLI against one server."""

    def __init__(self, server: DevServer) -> None:
        self._server = server

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [binary("temporal"), "workflow", *arguments, "--address", self._server.address]
        return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)

    def start(
        self, kind: str, run: str, inputs: list[str], *, verb: str = "start"
    ) -> "subprocess.CompletedProcess[str]":
        given = [part for value in inputs for part in ("--input", value)]
        return self(verb, "--type", kind, "--task-queue", "agents", "--workflow-id", run, "-o", "json", *given)

    def state(self, run: str) -> str:
        described: dict[str, Any] = json.loads(self("describe", "-w", run, "-o", "json").stdout)
        return str(described["workflowExecutionInfo"]["status"]).removeprefix("WORKFLOW_EXECUTION_STATUS_")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    tmp: Path = tmp_path_factory.mktemp("wrong")
    with (
        dev_server(tmp) as server,
        messages_api(tmp, latency=4.0) as api,
        worker(tmp, server, api, program=EVERY_WORKER),
    ):
        yield Cli(server)


@pytest.mark.parametrize(("kind", "case", "inputs", "reason"), CASES, ids=lambda value: str(value)[:24])
def test_a_wrong_start_fails_the_run_with_the_reason(
    cli: Cli, kind: str, case: str, inputs: list[str], reason: str
) -> None:
    ended = cli.start(kind, f"{kind}-{case}".replace(" ", "-"), inputs, verb="execute")
    assert json.loads(ended.stdout)["status"] == "FAILED", ended.stderr
    assert reason in ended.stdout


def test_junk_signals_change_nothing_and_are_shown(cli: Cli) -> None:
    started = cli.start("PlanAndExecuteWorkflow", "bothered", [f'{{"plan": {PLAN}}}'])
    assert started.returncode == 0, started.stderr
    for name, inputs in JUNK_SIGNALS:
        given = [part for value in inputs for part in ("--input", value)]
        cli("signal", "-w", "bothered", "--name", name, *given)
    updated = cli("update", "execute", "-w", "bothered", "--name", "decide", "--input", "1", "--input", "2")
    assert updated.returncode != 0
    asked = cli("query", "-w", "bothered", "--type", "status", "-o", "json")
    assert "means nothing to this run" in asked.stdout
    assert "aprove" in asked.stdout
    wait_for(lambda: cli.state("bothered") == "COMPLETED", "the run to complete")
