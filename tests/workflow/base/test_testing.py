"""`outlast.testing`: the guide to it is true, its model says what is missing, and a history that does not replay is named."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from outlast.agents.sessions import AgentSessionRequest
from outlast.client import Settings, missing_attributes
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.llm.base import ModelCall
from outlast.llm.scripted import ScriptedLLM
from outlast.testing import agent_environment, assert_replays, call_tool, scripted
from outlast.worker.serving import running_worker
from tests.guides import files, texts
from tests.policed import policed
from tests.real_process import PROJECT
from workflows.agent_session import AgentSessionWorkflow


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The files of the guide, in a folder of their own, as a reader has them."""
    for name, text in files(texts()["testing"]).items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("test_triage")
    for name in ("test_triage", "triage"):
        del sys.modules[name]


async def test_the_guide(guide: ModuleType) -> None:
    await guide.test_an_alert_is_looked_into()
    await guide.test_nobody_is_paged_without_approval()
    await guide.test_runs_of_before_go_on_with_the_code_of_today()


REQUEST = AgentSessionRequest(agent="file-clerk", task="Tidy up.")
RUN = AgentSessionWorkflow.run


async def test_the_server_of_the_temporal_cli_has_search_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment of the machine changes nothing."""
    monkeypatch.setenv("TASK_QUEUE", "another")
    monkeypatch.setenv("WORKFLOW_SANDBOX", "off")
    llm = scripted("It is done.")
    async with agent_environment(workflows=[AgentSessionWorkflow], llm=llm, time_skipping=False) as env:
        handle = await env.start(RUN, REQUEST, id="tidy")
        assert await env.text((await handle.result()).answer) == "It is done."
        with pytest.raises(
            AssertionError, match=r"a gate of tidy: it never waited there; the run has ended \(completed\)"
        ):
            await env.gate(handle)
        described = await env.client.get_workflow_handle("tidy").describe()
        assert described.task_queue == "agents"
        assert await missing_attributes(env.client) == []


@pytest.mark.parametrize(
    ("llm", "message"),
    [
        (scripted(writer="A text."), "agent 'file-clerk' was asked and has no answer; there are answers of writer"),
        (scripted([call_tool("list_files")]), "agent 'file-clerk' was asked 2 times and has 1 answer"),
        # Its fallback has one, and would hide that.
        (
            scripted(generalist="Tidy."),
            "agent 'file-clerk' was asked and has no answer; there are answers of generalist",
        ),
        (scripted(non_retryable(ErrorKind.MODEL_REFUSED, "No.")), "No."),
    ],
)
async def test_a_script_that_lacks_an_answer_names_the_agent(
    env: WorkflowEnvironment, settings: Settings, llm: ScriptedLLM, message: str
) -> None:
    async with running_worker(
        env.client, workflows=[AgentSessionWorkflow], settings=settings, llm=llm, workflow_runner=policed()
    ):
        with pytest.raises(WorkflowFailureError) as caught:
            await env.client.execute_workflow(RUN, REQUEST, id="tidy", task_queue=settings.task_queue)
    assert message in text_of(caught.value.cause)


def test_an_answer_may_be_a_function_of_the_call_or_data() -> None:
    call = ModelCall(model="m", messages=(("user", "How many?"),), max_tokens=5, agent="counter")
    assert scripted(lambda asked: asked.messages[0][1]).script(call) == "How many?"
    assert scripted(counter={"count": 2}).script(call) == '{"count": 2}'
    assert scripted("x", counter=Count(count=2)).script(call) == '{"count":2}'


class Count(BaseModel):
    count: int


async def test_histories_that_do_not_replay_are_named_with_what_to_do(tmp_path: Path) -> None:
    recorded = PROJECT / "tests" / "replay" / "histories" / "session-refused.json"
    changed = json.loads(recorded.read_text())
    for event in changed["events"]:
        if scheduled := event.get("activityTaskScheduledEventAttributes"):
            scheduled["activityType"]["name"] = "another_activity"
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    (tmp_path / "as-it-was.json").write_text(recorded.read_text())
    with pytest.raises(AssertionError, match=r"^1 of 2 histories do not replay") as caught:
        await assert_replays(tmp_path, workflows=[AgentSessionWorkflow])
    assert "  changed: " in str(caught.value)
    assert "another_activity" in str(caught.value)
    assert "AgentSessionWorkflow does not replay from event " in str(caught.value)
    assert "workflow.patched" in str(caught.value)
    whole = WorkflowHistory.from_json("session", recorded.read_text())
    assert await assert_replays([whole, recorded], workflows=[AgentSessionWorkflow]) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none", "there is neither a file nor a folder none"),
        ("README.md", "README.md: is not an event history .* 'temporal workflow show -w ID -o json'"),
        ("samples", "no history was tried, because 'samples' holds none; record one: "),
    ],
)
async def test_what_holds_no_history_is_named(monkeypatch: pytest.MonkeyPatch, given: str, message: str) -> None:
    monkeypatch.chdir(PROJECT)
    with pytest.raises((AssertionError, ValueError), match=message):
        await assert_replays(given, workflows=[AgentSessionWorkflow])
