"""Every committed history still replays with today's workflow code; a deploy that breaks one would break running work."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from outlast.client import data_converter
from outlast.worker.replay import WAYS_OUT, replay_failure
from outlast.worker.sandbox import TolerantReplayer
from tests.policed import policed
from tests.real_process import PROJECT
from tests.replay.paths import PATHS
from tests.served import EVERY_WORKFLOW

FOLDER = Path(__file__).with_name("histories")
HISTORIES = sorted(FOLDER.glob("*.json"))


def replayer(workflows: Sequence[type] = EVERY_WORKFLOW) -> TolerantReplayer:
    return TolerantReplayer(
        workflows=workflows,
        data_converter=data_converter(512 * 1024),
        workflow_runner=policed(),
    )


async def broken(name: str, history: str, workflows: Sequence[type] = EVERY_WORKFLOW) -> str:
    """What to tell whoever broke a history, "" where it replays."""
    failure = await replay_failure(replayer(workflows), WorkflowHistory.from_json(name, history))
    return f"tests/replay/histories/{name}.json: {failure}\n{WAYS_OUT}" if failure else ""


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    if told := await broken(path.stem, path.read_text()):  # noqa: ASYNC240 - nothing else runs meanwhile
        pytest.fail(told, pytrace=False)


def test_every_path_has_a_history_and_every_history_a_path() -> None:
    assert sorted(path.stem for path in HISTORIES) == sorted(PATHS)


async def test_replay_notices_another_order_of_commands() -> None:
    recorded = json.loads((FOLDER / "plan-given.json").read_text())
    scheduled = [each for each in recorded["events"] if "activityTaskScheduledEventAttributes" in each]
    late = scheduled[-2]
    late["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "another_activity"
    told = await broken("plan-given", json.dumps(recorded))
    assert f"does not replay from event {late['eventId']} on (activity task scheduled another_activity): " in told


async def test_a_change_of_workflow_code_is_told_with_the_event_and_the_three_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is a copy with one command more; the history is as it was recorded."""
    code = (PROJECT / "workflows" / "plan_and_execute.py").read_text()
    line = "        await self._read_agents(request)\n"
    assert code.count(line) == 1
    (tmp_path / "changed_plan.py").write_text(code.replace(line, f"        await workflow.sleep(1)\n{line}"))
    monkeypatch.syspath_prepend(str(tmp_path))
    changed = [import_module("changed_plan").PlanAndExecuteWorkflow]
    told = await broken("plan-given", (FOLDER / "plan-given.json").read_text(), changed)
    first, *ways = told.splitlines()
    assert first.startswith(
        "tests/replay/histories/plan-given.json: PlanAndExecuteWorkflow does not replay from event 5 on"
    )
    assert "Nondeterminism" in first
    for way in ('workflow.patched("…")', "a build of its own", "never record the history of a released path anew"):
        assert any(way in each for each in ways), way
