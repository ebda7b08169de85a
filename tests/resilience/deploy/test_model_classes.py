"""Classes of models and tenants with several real worker processes: what is counted is the calls that reach the Messages API.

`CLASSES` puts every model that the agents of these plans name into one class.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from outlast.activity.queue_pauses import QueuePauses, pause_of
from outlast.devstack.server import DYNAMIC
from tests.processes import (
    DevServer,
    MessagesApi,
    dev_server,
    messages_api,
    stack_environment,
    starter,
    wait_for,
    worker,
)

FAIR = tuple(part for value in DYNAMIC for part in ("--dynamic-config-value", value))
"""The server as `outlast up` starts it."""

QUEUE = "agents-model-all"


def classes(**limits: float) -> str:
    return json.dumps({"all": {"models": ["opus", "sonnet", "haiku"], **limits}})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server"), options=FAIR) as running:
        yield running


@pytest.fixture
def api(tmp_path: Path) -> Iterator[MessagesApi]:
    with messages_api(tmp_path) as double:
        yield double


def plan(file: Path, steps: int, *, of: str, chain: bool = False) -> Path:
    """Write a plan whose steps say `of` whom they are: side by side, or one after another."""
    rows = [
        {"step": n, "agent": "researcher", "input": f"{of} {n}", "depends_on": [n - 1] if chain and n > 1 else []}
        for n in range(1, steps + 1)
    ]
    file.write_text(json.dumps({"steps": rows}))
    return file


def started(api: MessagesApi, of: str = "") -> list[float]:
    return sorted(hit["started"] for hit in api.hits() if of in hit["user"])


class Begun(NamedTuple):
    """A call as the server gave it to a worker for the last time: to whom, when (Unix seconds), as which attempt."""

    identity: str
    at: float
    attempt: int


async def begun_calls(server: DevServer, run: str, queue: str) -> list[Begun]:
    client = await Client.connect(server.address)
    history = await client.get_workflow_handle(run).fetch_history()
    calls = {e.event_id for e in history.events if e.activity_task_scheduled_event_attributes.task_queue.name == queue}
    return [
        Begun(about.identity, each.event_time.ToNanoseconds() / 1e9, about.attempt)
        for each in history.events
        if (about := each.activity_task_started_event_attributes).scheduled_event_id in calls
    ]


@pytest.mark.timeout(120)
def test_a_class_has_its_rate_over_all_workers_and_a_run_says_when_nobody_serves_it(
    tmp_path: Path, server: DevServer, api: MessagesApi
) -> None:
    """Eight calls a second, and as many at once at the start: 40 calls take four seconds on two workers."""
    limits = {"MODEL_CLASSES": classes(per_second=8, concurrent=10), "TASK_QUEUE": "agents"}
    env = stack_environment(tmp_path, server, api, **limits)
    file = str(plan(tmp_path / "plan.json", 50, of="call"))
    api.script(hold=True)
    with worker(tmp_path, server, api, "--model-class", "none", name="general", **limits):
        begun = starter("plan", "--plan", file, "--max-parallel", "50", "--id", "rate", "--detach", env=env)
        assert begun.returncode == 0, begun.stderr
        said = wait_for(lambda: held(env, "rate"), "the status says that calls wait")
        assert "model calls wait: no worker serves task queue 'agents-model-all'" in said
        assert "Start one with 'python worker.py --model-class all'." in said
        assert not api.hits()
        with (
            worker(tmp_path, server, api, "--model-class", "all", name="first", **limits) as first,
            worker(tmp_path, server, api, "--model-class", "all", name="second", **limits),
        ):
            assert "calls to all: task queue 'agents-model-all', 10 at the same time" in first.output
            assert "all workers together 8 a second" in first.output
            api.script(hold=False)  # until now the slots of the first one have kept 40 calls or more for both
            released = time.time()
            done = starter("result", "rate", env=env)
    assert done.returncode == 0, done.stderr
    calls = started(api)
    assert len(calls) == 50
    assert calls[-1] - released >= (50 - 20 - 8) / 8 - 0.5  # without those in slots, and what may come at once
    attempts = asyncio.run(begun_calls(server, "rate", QUEUE))
    assert len({each.identity for each in attempts}) == 2
    # By the server's clock: how late a busy machine makes a call says nothing about the rate.
    for begin in (times := [each.at for each in attempts]):
        assert sum(begin <= each < begin + 2.0 for each in times) <= 8 * 3 + 4  # two seconds, and what may come at once


def held(env: dict[str, str], run: str) -> str:
    shown = json.loads(starter("status", run, "--json", env=env).stdout)
    return "\n".join(shown.get("held", ()))


def run_side_by_side(env: dict[str, str], file: Path, run: str) -> None:
    done = starter("plan", "--plan", str(file), "--max-parallel", "40", "--id", run, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(120)
def test_a_refused_call_holds_back_its_class_on_all_workers_and_uses_up_no_attempts(
    tmp_path: Path, server: DevServer, api: MessagesApi
) -> None:
    """Two workers make four calls each at a time. Everything is refused; after those, nothing is asked for two seconds."""
    limits = {"MODEL_CLASSES": classes(concurrent=4), "TASK_QUEUE": "paused"}
    env = stack_environment(tmp_path, server, api, **limits)
    refusal = {"status": 429, "error_type": "rate_limit_error", "headers": {"retry-after": "2"}, "latency": 0}
    with (
        worker(tmp_path, server, api, name="first", **limits),
        worker(tmp_path, server, api, name="second", **limits),
    ):
        run_side_by_side(
            env, plan(tmp_path / "warm.json", 16, of="warm"), "warm"
        )  # the first call of a process is late
        api.script(latency=0.1, rules=[{"user": "call", **refusal}])
        file = str(plan(tmp_path / "plan.json", 24, of="call"))
        begun = starter("plan", "--plan", file, "--max-parallel", "24", "--id", "refused", "--detach", env=env)
        assert begun.returncode == 0, begun.stderr
        wait_for(lambda: started(api, "call"), "a call is refused")
        paused = wait_for(lambda: held(env, "refused"), "the status says what the calls wait for")
        api.script(rules=[{"user": "call"}])
        done = starter("result", "refused", env=env)
    assert "the model API has refused calls of class 'all' for their rate; they go on in" in paused
    assert done.returncode == 0, done.stderr
    calls = started(api, "call")
    refused = [hit for hit in api.hits() if hit["outcome"] != "answered"]
    # Those that were under way when the first refusal came; without a pause, all 24 are made at once.
    assert 1 <= len(refused) <= 8
    assert sum(each < calls[0] + 2.0 for each in calls) <= 8
    assert len(calls) == 24 + len(refused)
    # What waited in the queue began once; what had been taken was given back once.
    attempts = asyncio.run(begun_calls(server, "refused", "paused-model-all"))
    assert len({each.identity for each in attempts}) == 2
    assert max(each.attempt for each in attempts) <= 3


@pytest.mark.timeout(60)
def test_a_pause_of_a_worker_that_died_is_set_back_by_another_to_what_was_before(server: DevServer) -> None:
    asyncio.run(_set_back(server))


async def _set_back(server: DevServer) -> None:
    client = await Client.connect(server.address)
    queue = "agents-model-lost"
    dead = QueuePauses(client)
    await dead._set(queue, 7.0, "an operator's")
    async with dead.watched([]):  # it ends before the pause does, as a worker that died
        await dead.pause(queue, 1.0)
    assert await limit(client, queue) == (0.0, True)
    async with QueuePauses(client).watched([queue]):
        async with asyncio.timeout(15):
            while (await limit(client, queue))[1]:  # noqa: ASYNC110 - the server tells no one
                await asyncio.sleep(0.1)
    assert await limit(client, queue) == (7.0, False)


async def limit(client: Client, queue: str) -> tuple[float, bool]:
    """Return a queue's rate, and whether it is paused."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_config=True,
    )
    config = (await client.workflow_service.describe_task_queue(request)).config.queue_rate_limit
    return config.rate_limit.requests_per_second, pause_of(config) is not None


SLOTS, STEPS = 4, 5


@pytest.mark.timeout(120)
def test_a_tenant_with_a_thousand_steps_does_not_delay_a_chain_of_five_by_more_than_twice(
    tmp_path: Path, server: DevServer, api: MessagesApi
) -> None:
    """Counted in calls, which all take the same time.

    Four are made at a time. Alone, the chain takes as long as five calls one after another. In twice that time, four slots make
    2 x 5 x 4 = 40 calls: no more of both tenants may begin between the chain's start and its last call, that call included.
    """
    env = stack_environment(tmp_path, server, api, TASK_QUEUE="tenants")
    api.script(latency=0.15)
    many = str(plan(tmp_path / "many.json", 500, of="large"))
    five = str(plan(tmp_path / "five.json", STEPS, of="small", chain=True))
    with worker(tmp_path, server, api, "--max-activities", str(SLOTS), TASK_QUEUE="tenants"):
        large = ("plan", "--plan", many, "--max-steps", "500", "--max-parallel", "200", "--tenant", "large", "--detach")
        for run in ("large-1", "large-2"):
            assert starter(*large, "--id", run, env=env).returncode == 0
        wait_for(lambda: len(started(api, "large")) >= 3 * SLOTS, "the large tenant's calls fill the worker")
        before = len(api.hits())
        done = starter("plan", "--plan", five, "--tenant", "small", "--id", "small", env=env)
        assert done.returncode == 0, done.stderr
        calls: list[dict[str, Any]] = api.hits()[before:]
    last = max(at for at, hit in enumerate(calls) if "small" in hit["user"])
    assert sum("small" in hit["user"] for hit in calls) == STEPS
    assert last + 1 <= 2 * STEPS * SLOTS
