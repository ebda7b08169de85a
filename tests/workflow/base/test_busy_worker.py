"""A slow worker is not a dead one, and a dead one is noticed at once: heartbeats from a thread, calls that are handed back."""

import asyncio
import time
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from outlast.activity.heartbeat import Keeper, Watched, heartbeats
from outlast.client import Settings, data_converter
from outlast.llm.scripted import ScriptedLLM
from outlast.worker.crash_notes import CrashNotes, NotesCrashes, hand_back
from outlast.worker.replay import replay_failure
from outlast.worker.sandbox import TolerantReplayer
from outlast.worker.serving import WORKFLOW_THREADS, running_worker


@activity.defn
async def slow(seconds: float) -> int:
    """Take a while; returns the attempt that did it."""
    async with heartbeats(lambda: {"attempt": activity.info().attempt}):
        await asyncio.sleep(seconds if activity.info().attempt == 1 else 0)
    return activity.info().attempt


@workflow.defn
class SlowWorkflow:
    @workflow.run
    async def run(self, asked: list[float]) -> int:
        seconds, heartbeat = asked
        attempt: int = await workflow.execute_activity(
            slow,
            seconds,
            start_to_close_timeout=timedelta(seconds=100),
            heartbeat_timeout=timedelta(seconds=heartbeat),
            retry_policy=RetryPolicy(maximum_attempts=5, initial_interval=timedelta(seconds=30)),
        )
        return attempt


def working(client: Client, queue: str, *interceptors: NotesCrashes) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[SlowWorkflow],
        activities=[slow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=interceptors,
    )


async def test_a_loop_that_is_blocked_for_longer_than_the_time_out_loses_no_call(real_server: str) -> None:
    """The thread sends a heartbeat half an interval after it was due, which leaves a busy machine half of the time-out."""
    client = await Client.connect(real_server)
    queue = uuid4().hex
    with Keeper.of_this_process() as keeper:
        async with working(client, queue):
            handle = await client.start_workflow(SlowWorkflow.run, [3.4, 3.0], id=queue, task_queue=queue)
            while not keeper.watched:  # noqa: ASYNC110 - until the call has begun
                await asyncio.sleep(0.01)
            time.sleep(3.2)  # noqa: ASYNC251 - a blocked loop is what is tested
            assert await handle.result() == 1, "the first attempt finished"
    assert keeper.sent


class Waiting:
    """Activities that wait until they may go on."""

    def __init__(self) -> None:
        self.begun = 0
        self.free = asyncio.Event()

    @activity.defn(name="held")
    async def held(self) -> None:
        self.begun += 1
        await self.free.wait()


@workflow.defn
class HeldWorkflow:
    """Its workflow task waits for a local activity, unless it just waits."""

    @workflow.run
    async def run(self, held: bool) -> None:
        await workflow.wait_condition(lambda: held)
        await workflow.execute_local_activity("held", start_to_close_timeout=timedelta(seconds=100))

    @workflow.query
    def there(self) -> bool:
        return True


async def test_a_question_does_not_wait_behind_the_workflow_tasks_of_others(
    real_server: str, settings: Settings
) -> None:
    """A worker at work on hundreds of runs has as many tasks that wait for something; here each waits for the test."""
    client = await Client.connect(real_server, data_converter=data_converter(settings.payload_limit_bytes))
    queue, waiting = uuid4().hex, Waiting()
    llm = ScriptedLLM(lambda call: call.model)
    async with running_worker(
        client,
        workflows=[HeldWorkflow],
        activities=[waiting.held],
        settings=settings,
        llm=llm,
        task_queue=queue,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        asked = await client.start_workflow(HeldWorkflow.run, False, id=queue, task_queue=queue)
        assert await asked.query(HeldWorkflow.there)
        others = [
            await client.start_workflow(HeldWorkflow.run, True, id=f"{queue}-{number}", task_queue=queue)
            for number in range(WORKFLOW_THREADS * 2)
        ]
        while waiting.begun < WORKFLOW_THREADS:  # noqa: ASYNC110 - another task counts
            await asyncio.sleep(0.02)
        try:
            assert await asyncio.wait_for(asked.query(HeldWorkflow.there), 5)
        finally:
            waiting.free.set()
        await asyncio.gather(*(other.result() for other in others))
        await asked.terminate()


@workflow.defn
class ComputingWorkflow:
    """Computes for longer than the SDK's own two seconds, as a large run does on a busy machine."""

    @workflow.run
    async def run(self) -> None:
        until = time.monotonic() + 2.3
        while time.monotonic() < until:
            pass


async def test_workflow_code_that_is_slow_is_not_taken_for_stuck(
    real_server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await Client.connect(real_server, data_converter=data_converter(settings.payload_limit_bytes))
    queue = uuid4().hex
    async with running_worker(
        client,
        workflows=[ComputingWorkflow],
        settings=settings,
        llm=ScriptedLLM(lambda call: call.model),
        task_queue=queue,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await client.start_workflow(ComputingWorkflow.run, id=queue, task_queue=queue)
        await handle.result()
        history = await handle.fetch_history()
    assert not [event for event in history.events if event.HasField("workflow_task_failed_event_attributes")]
    monkeypatch.setattr("outlast.worker.sandbox.STALL", 0.1)
    replayer = TolerantReplayer(workflows=[ComputingWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
    assert "within 0.1 second" in await replay_failure(replayer, history), "a replay goes by the same seconds"


async def test_what_a_dead_worker_ran_starts_again_when_the_next_one_begins(real_server: str, tmp_path: Path) -> None:
    """Its heartbeat time-out is a minute, so nothing else could start the call again within the time of this test."""
    client = await Client.connect(real_server)
    queue = uuid4().hex
    notes = CrashNotes.open(tmp_path)
    async with working(client, queue, NotesCrashes(notes)):
        handle = await client.start_workflow(SlowWorkflow.run, [90.0, 60.0], id=queue, task_queue=queue)
        await asyncio.wait_for(_noted(notes), 20)
        assert await hand_back(tmp_path, client) == 0, "as long as it lives nobody takes its work"
        died = notes.path.read_bytes()
        notes.path.with_name("0-dead.notes").write_bytes(
            died
        )  # as a process that died leaves it: nobody holds its lock
        assert await hand_back(tmp_path, client) == 1
        assert await asyncio.wait_for(handle.result(), 20) == 2
        assert await hand_back(tmp_path, client) == 0
    notes.close()


async def test_what_was_reported_before_the_crash_is_not_started_again(real_server: str, tmp_path: Path) -> None:
    client = await Client.connect(real_server)
    notes = CrashNotes.open(tmp_path)
    notes.begin(b"no token of this server", ("nobody", "nothing"))
    notes.path.rename(tmp_path / "crash-notes" / "0-dead.notes")
    (tmp_path / "crash-notes" / "1-dead.notes").write_bytes((tmp_path / "crash-notes" / "0-dead.notes").read_bytes())
    assert await hand_back(tmp_path, client) == 0
    with pytest.raises(FileNotFoundError):
        (tmp_path / "crash-notes" / "1-dead.notes").read_bytes()


async def _noted(notes: CrashNotes) -> None:
    while b"begun" not in notes.path.read_bytes():  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.05)


async def test_one_call_that_cannot_say_how_far_it_is_costs_the_others_no_heartbeat() -> None:
    """Its heartbeats are sent without that, and the thread lives on."""

    class Handle:
        def __init__(self, token: bytes) -> None:
            self.token = token

        async def heartbeat(self, *details: object, rpc_timeout: timedelta) -> None:
            sent.append((self.token, details))

    class Server:
        def get_async_activity_handle(self, *, task_token: bytes) -> Handle:
            return Handle(task_token)

    def broken() -> object:
        raise RuntimeError("changed during iteration")

    sent: list[tuple[bytes, tuple[object, ...]]] = []
    client: Any = Server()
    watched = [
        Watched(name, 60.0, details, copy_context(), client)
        for name, details in ((b"1", broken), (b"2", lambda: "far"))
    ]
    await asyncio.gather(*map(Keeper()._send, watched))
    assert sorted(sent) == [(b"1", ()), (b"2", ("far",))]


def test_workers_of_one_process_share_the_thread_until_the_last_has_ended() -> None:
    first, second = Keeper.of_this_process(), Keeper.of_this_process()
    keeper = first.__enter__()
    assert second.__enter__() is keeper
    first.__exit__(None, None, None)
    assert (Keeper.running, keeper._thread.is_alive()) == (keeper, True)
    second.__exit__(None, None, None)
    assert (Keeper.running, keeper._thread.is_alive()) == (None, False)
