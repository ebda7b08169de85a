"""The retries of a whole run, counted at the wire: the server's are the only ones."""

import io
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings
from outlast.contracts import Plan, PlanRequest, PlanResult, RunState
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.llm.claude import ClaudeLLM, make_client
from outlast.telemetry.logs import JsonLines
from tests.activity.model.public_answers import ANSWERED, SAID
from tests.doubles.wire import Hit, Reply, Wire, answer, error, serving
from worker import working
from workflows.plan_and_execute import PlanAndExecuteWorkflow

OVERLOADED = error(529, "overloaded_error")


class ByAgent(Wire):
    """Answers each agent, known by its system prompt, with its own replies."""

    agents: dict[str, list[Reply]]

    def choose(self, hit: Hit) -> Reply:
        agent = next(name for name in self.agents if name in hit.system)
        return self.agents[agent][min(self.asked(agent), len(self.agents[agent])) - 1]

    def asked(self, agent: str) -> int:
        return sum(agent in hit.system for hit in self.hits)


@dataclass
class Run:
    """Runs a plan of one step for the writer, whose fallback is the generalist."""

    env: WorkflowEnvironment
    wire: ByAgent
    task_queue: str
    took: timedelta = timedelta()
    workflow_id: str = ""

    async def plan(self, writer: list[Reply], generalist: list[Reply]) -> PlanResult:
        self.wire.agents = {"You are a writer": writer, "You are a capable generalist": generalist}
        plan = Plan.model_validate({"steps": [{"step": 1, "agent": "writer", "input": "Write."}]})
        handle = await self.env.client.start_workflow(
            PlanAndExecuteWorkflow.run, PlanRequest(plan=plan), id=f"test-{uuid4().hex[:8]}", task_queue=self.task_queue
        )
        self.workflow_id = handle.id
        result: PlanResult = await handle.result()
        described = await handle.describe()
        assert described.close_time is not None
        self.took = described.close_time - described.start_time
        return result

    @property
    def asked(self) -> tuple[int, int]:
        return self.wire.asked("You are a writer"), self.wire.asked("You are a capable generalist")


@pytest.fixture
async def run(env: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Run]:
    async with serving(ByAgent) as wire:
        assert isinstance(wire, ByAgent)
        settings = Settings(
            state_dir=tmp_path, anthropic_base_url=wire.url, heartbeat_timeout=10, shutdown_grace=1, _env_file=None
        )
        async with (
            make_client(None, wire.url, settings.model_read_timeout) as client,
            working(env.client, settings, ClaudeLLM(client, settings.retry_after_cap)),
        ):
            yield Run(env, wire, settings.task_queue)


async def test_two_failures_and_an_answer_are_three_requests(run: Run) -> None:
    result = await run.plan([OVERLOADED, OVERLOADED, answer("Done.")], [])
    assert (result.state, result.answers[0].content.text, run.asked) == (RunState.COMPLETED, "Done.", (3, 0))


async def test_an_outage_is_waited_out_and_then_the_fallback_is_asked_once(run: Run) -> None:
    """After 0, 1, 3, 7, 15 and 31 seconds, and at the end of FALLBACK_AFTER."""
    result = await run.plan([OVERLOADED], [answer("Done instead.")])
    assert (result.state, result.answers[0].content.text, run.asked) == (RunState.COMPLETED, "Done instead.", (7, 1))
    assert timedelta(seconds=60) <= run.took < timedelta(seconds=120)


async def test_an_outage_longer_than_three_attempts_fails_nobody(run: Run) -> None:
    result = await run.plan([OVERLOADED] * 5 + [answer("Done.")], [])
    assert (result.state, run.asked) == (RunState.COMPLETED, (6, 0))


async def test_an_outage_of_everybody_ends_with_the_setting_that_bounds_the_wait(run: Run) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run.plan([OVERLOADED], [OVERLOADED])
    assert kind_of(caught.value.cause) is ErrorKind.MODEL_UNAVAILABLE
    assert "PROVIDER_WAIT=900" in text_of(caught.value.cause)
    assert run.asked[0] == 7
    assert run.asked[1] > 30


async def test_the_wait_the_server_asks_for_is_kept(run: Run) -> None:
    result = await run.plan([error(429, "rate_limit_error", retry_after="50"), answer("Done.")], [])
    assert (result.state, run.asked) == (RunState.COMPLETED, (2, 0))
    assert timedelta(seconds=50) <= run.took < timedelta(seconds=120)


async def test_a_wait_of_days_goes_to_the_fallback_at_once(run: Run) -> None:
    result = await run.plan([error(429, "rate_limit_error", retry_after="345600")], [answer("Done instead.")])
    assert (result.state, run.asked) == (RunState.COMPLETED, (1, 1))
    assert run.took < timedelta(seconds=60)


async def test_what_is_final_is_asked_of_each_agent_once(run: Run) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run.plan([error(401)], [error(401)])
    assert (kind_of(caught.value.cause), run.asked) == (ErrorKind.MODEL_NOT_ALLOWED, (1, 1))


KEY = "sk-ant-api03-Zq8vLx72_Hn4TbWpRc91"


async def test_a_key_that_the_server_says_back_is_nowhere(env: WorkflowEnvironment, tmp_path: Path) -> None:
    """Not in history (with all causes), nor in what the client is told, the trace, the result's store, or a log line."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines())
    async with serving(ByAgent) as wire:
        assert isinstance(wire, ByAgent)
        settings = Settings(
            state_dir=tmp_path,
            anthropic_base_url=wire.url,
            anthropic_api_key=SecretStr(f"{KEY}\n"),
            heartbeat_timeout=10,
            shutdown_grace=1,
            _env_file=None,
        )
        logging.getLogger().addHandler(handler)
        try:
            async with (
                make_client(KEY, wire.url, settings.model_read_timeout) as client,
                working(env.client, settings, ClaudeLLM(client, settings.retry_after_cap)),
            ):
                wrong = error(401, "authentication_error", message=f"invalid x-api-key: {KEY}; got Bearer {KEY[:15]}")
                run = Run(env, wire, settings.task_queue)
                with pytest.raises(WorkflowFailureError) as caught:
                    await run.plan([wrong], [wrong])
        finally:
            logging.getLogger().removeHandler(handler)
    history = (await env.client.get_workflow_handle(run.workflow_id).fetch_history()).to_json()
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())  # noqa: ASYNC240 - nothing else runs
    parts = {KEY[at : at + 8] for at in range(len(KEY) - 7)}
    told = f"{caught.value.cause!r} {text_of(caught.value.cause)}"
    for where, text in {
        "history": history,
        "error": told,
        "log": log.getvalue(),
        "store": kept.decode(errors="replace"),
    }.items():
        assert not [part for part in parts if part in text], where
    assert "[redacted ANTHROPIC_API_KEY]" in history
    assert "activity" in log.getvalue()


async def test_an_address_that_is_no_messages_api_is_asked_once_by_each_agent(run: Run) -> None:
    page = Reply(body="<html>Welcome</html>")
    with pytest.raises(WorkflowFailureError) as caught:
        await run.plan([page], [page])
    assert (kind_of(caught.value.cause), run.asked) == (ErrorKind.MODEL_NOT_FOUND, (1, 1))
    assert "check ANTHROPIC_BASE_URL" in text_of(caught.value.cause)


async def test_an_answer_with_faults_of_form_is_no_second_call(run: Run) -> None:
    """What gateways send: null content, no usage, plain JSON. It was six calls and an AttributeError."""
    for reply in (each.reply for each in ANSWERED):
        run.wire.hits.clear()
        result = await run.plan([reply], [])
        assert (result.answers[0].content.text, run.asked) == (SAID, (1, 0))
