"""Sessions whose worker and server are killed: nothing that was finished is made again, and no message is lost."""

import asyncio
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from outlast.agents.sessions import (
    AgentSessionRequest,
    AgentSessionResult,
    MessageLog,
    MessageState,
    SayAnswer,
    SessionLimits,
)
from outlast.agents.transcript_activities import Transcripts
from outlast.client import data_converter
from outlast.contracts import Content
from outlast.storage.activities import ContentStore
from tests.processes import PROJECT, DevServer, MessagesApi, RealProcess, dev_server, messages_api, wait_for, worker
from workflows.agent_session import AgentSessionWorkflow

pytestmark = pytest.mark.xdist_group("crashes")

T = TypeVar("T")
TURNS = 60
KILLS = 2
APPEND = "mcp__double__note_append"
CLERK = "---\nname: clerk\ndescription: Takes notes.\nmodel: sonnet\ntools: mcp__double\n---\nYou take notes."


@dataclass
class Session:
    """One server, one double of the Messages API, and one worker whose clerk appends a line to a file in each turn."""

    server: DevServer
    api: MessagesApi
    working: RealProcess
    written: Path

    async def start(self, turns: int) -> "WorkflowHandle[AgentSessionWorkflow, AgentSessionResult]":
        note = {"tool": APPEND, "input": {"path": str(self.written), "line": "note {turn}"}, "before_turn": turns - 1}
        self.api.script(rules=[note, {"text": "All noted."}])
        client = await Client.connect(self.server.address, data_converter=data_converter(512 * 1024))
        limits = SessionLimits(turns=turns + 10)
        request = AgentSessionRequest(agent="clerk", task="Take notes.", allowed=(APPEND,), limits=limits)
        return await client.start_workflow(AgentSessionWorkflow.run, request, id="session", task_queue="agents")

    def turns(self) -> Counter[int]:
        """How often each turn's call was made."""
        return Counter(hit["turn"] for hit in self.api.hits())

    def notes(self) -> Counter[str]:
        """How often each line was written."""
        return Counter(self.written.read_text().splitlines())

    def kill_at(self, moments: list[int]) -> None:
        """Kill the worker when so many calls were made, and start it again."""
        for moment in moments:
            wait_for(partial(self._reached, moment), f"{moment} model calls", timeout=90, interval=0.01)
            self.working.kill()
            self.working.start()
            self.working.wait_until(lambda: "worker ready" in self.working.output, "the worker is ready")

    def _reached(self, calls: int) -> bool:
        return len(self.api.hits()) >= calls


@contextmanager
def session(directory: Path, *options: str) -> Iterator[Session]:
    agents = directory / "agents"
    agents.mkdir()
    (agents / "clerk.md").write_text(CLERK)
    command = {"command": sys.executable, "args": ["-m", "tests.doubles.mcp_server", "stdio"]}
    servers = {"double": {**command, "env": {"PYTHONPATH": str(PROJECT)}}}
    config = directory / "mcp.json"
    config.write_text(json.dumps({"mcpServers": servers}))
    settings = {"AGENTS_DIR": str(agents), "MCP_CONFIG": str(config), "SHUTDOWN_GRACE": "5"}
    with (
        dev_server(directory, options=options) as server,
        messages_api(directory, latency=0.01) as api,
        worker(directory, server, api, **settings) as working,
    ):
        yield Session(server, api, working, directory / "notes.txt")


async def test_kill_9_at_two_turns_repeats_nothing_that_was_finished(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    moments = sorted(random.Random(seed).sample(range(5, TURNS - 10), KILLS))
    said = f"seed {seed}, killed at {moments}"
    with session(tmp_path) as running:
        handle = await running.start(TURNS)
        await asyncio.to_thread(running.kill_at, moments)
        result = await asyncio.wait_for(handle.result(), 120)
        turns, notes = running.turns(), running.notes()
    assert result.answer is not None
    assert (result.answer.text, result.progress.turns, result.progress.tool_calls) == ("All noted.", TURNS, TURNS - 1)
    # What was in flight when its worker died may have been made once more, and nothing else.
    assert set(turns) == set(range(TURNS)), said
    assert set(notes) == {f"note {turn}" for turn in range(TURNS - 1)}, said
    assert turns.total() + notes.total() <= 2 * TURNS - 1 + KILLS, said


async def test_a_session_whose_history_grows_continues_as_new(tmp_path: Path) -> None:
    turns = 30
    with session(tmp_path, "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=100") as running:
        handle = await running.start(turns)
        result = await asyncio.wait_for(handle.result(), 60)
        last = await handle.describe()
        made, notes = running.turns(), running.notes()
    assert last.run_id != handle.first_execution_run_id
    assert last.history_length < 150
    assert (result.progress.turns, result.progress.tool_calls) == (turns, turns - 1)
    assert set(made.items()) == {(turn, 1) for turn in range(turns)}
    assert set(notes.items()) == {(f"note {turn}", 1) for turn in range(turns - 1)}


MESSAGES, THINKS = 14, 6
DONE = (MessageState.ANSWERED, MessageState.INTERRUPTED)


async def test_kill_9_of_worker_and_server_in_a_chat_loses_no_message_and_repeats_none(tmp_path: Path) -> None:
    """People go on talking all the while: what was not acknowledged they say again, with the same key."""
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    with session(tmp_path, "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60") as running:
        noting = {"tool": APPEND, "input": {"path": str(running.written), "line": "note {turn}"}}
        running.api.script(
            latency=0.15, rules=[{"user": "write", **noting}, {"user": "think", "times": 1, "hold": "never"}]
        )
        client = await Client.connect(running.server.address, data_converter=data_converter(512 * 1024))
        request = AgentSessionRequest(agent="clerk", conversation=True, allowed=(APPEND,))
        handle = await client.start_workflow(AgentSessionWorkflow.run, request, id="chat", task_queue="agents")
        moments = sorted(chance.sample(range(2, MESSAGES - 2), KILLS))
        kills: list[asyncio.Task[None]] = []
        for number in range(1, MESSAGES + 1):
            if number in moments:
                server = number == moments[-1]
                kills.append(asyncio.create_task(asyncio.to_thread(_killed, running, server=server)))
            text = "think" if number == THINKS else "write" if number % 3 == 0 else "tell"
            said = {"text": f"{text} #{number}#", "key": f"key {number}", "interrupt": number == THINKS + 2}
            answer = await _patiently(partial(handle.execute_update, "say", said, result_type=SayAnswer))
            assert (answer.accepted, answer.number) == (True, number), (seed, answer)
            await asyncio.sleep(chance.random() * 0.4)
        await asyncio.gather(*kills)
        await _patiently(partial(handle.execute_update, "end"))
        result = await asyncio.wait_for(_patiently(handle.result), 90)
        hits, notes = running.api.hits(), running.notes()
        store = ContentStore.open((tmp_path / "content").as_uri())
        view = result.conversation
        assert view is not None
        assert result.progress.transcript is not None
        older = [MessageLog.model_validate_json(await store.text(Content(ref=ref))) for ref in view.earlier]
        told = await Transcripts(store).conversation(result.progress.transcript.ref, ())
    messages = [*(each for log in older for each in log.messages), *view.messages]
    assert [each.number for each in messages] == list(range(1, MESSAGES + 1)), seed
    lost = [(each.number, each.state, each.reason) for each in messages if each.state not in DONE]
    assert not lost, seed
    spoken = Counter(re.findall(r"#(\d+)#", str([each for each in told if each["role"] == "user"])))
    assert spoken == {str(number): 1 for number in range(1, MESSAGES + 1)}, (seed, spoken)
    # What was in flight when its worker died may have been made once more, and nothing else.
    paid = Counter(hit["digest"] for hit in hits if hit["outcome"] == "answered")
    assert paid.total() - len(paid) <= KILLS, (seed, paid)
    assert notes.total() - len(notes) <= KILLS, (seed, notes)


def _killed(running: Session, *, server: bool) -> None:
    """Kill the worker, and the server before it."""
    if server:
        running.server.kill()
    running.working.kill()
    if server:
        running.server.start()
    running.working.start()
    running.working.wait_until(lambda: "worker ready" in running.working.output, "the worker is ready")


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await ask()
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
            await asyncio.sleep(0.2)
