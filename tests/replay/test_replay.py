"""Every committed history still replays with today's workflow code; a deploy that breaks one would break running work."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from outlast.client import data_converter
from tests.policed import policed
from tests.replay.paths import PATHS
from tests.served import EVERY_WORKFLOW

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))


def replayer() -> Replayer:
    return Replayer(
        workflows=EVERY_WORKFLOW,
        data_converter=data_converter(512 * 1024),
        workflow_runner=policed(),
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = path.read_text()  # noqa: ASYNC240 - nothing else runs meanwhile
    await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, history))


def test_every_path_has_a_history_and_every_history_a_path() -> None:
    assert sorted(path.stem for path in HISTORIES) == sorted(PATHS)


async def test_replay_notices_another_order_of_commands() -> None:
    given = next(path for path in HISTORIES if path.stem == "plan-given")
    recorded = json.loads(given.read_text())
    for event in recorded["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled:
            scheduled["activityType"]["name"] = "another_activity"
            break
    with pytest.raises(Exception, match="another_activity"):
        await replayer().replay_workflow(WorkflowHistory.from_json("changed", json.dumps(recorded)))
