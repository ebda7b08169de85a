"""Long lives: a plan of 5,000 steps of 10 ms and a session of 2,000 turns; memory, and what a step costs early and late.

Compared are CPU time of the worker and bytes of history, because they are steady beside other work; wall time is not. Early and
late are the first part of the run and the last whole one, each with the border that follows it: what continuing as new costs
counts. The worker is a process of its own that writes a line for each model call. `python -m benchmarks.figures.long STEPS TURNS`
takes it alone.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from benchmarks.machine import calibration_ms
from benchmarks.report.tables import table
from benchmarks.targets import AFTER
from outlast.agents.sessions import AgentSessionRequest, SessionLimits
from outlast.client import Settings, data_converter
from outlast.contracts import Plan, PlanRequest, PlanStep, StopReason, ToolCall, Usage
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import ScriptedLLM
from outlast.processes import memory
from outlast.storage.activities import ContentStore
from tests.processes import dev_server
from tests.real_process import RealProcess, clean_environment
from worker import working
from workflows.agent_session import AgentSessionWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow

STEPS, TURNS, LATENCY, WIDTH = 5000, 2000, 0.01, 8
AGENT = "---\nname: {name}\ndescription: Works.\nmodel: sonnet\n{tools}---\nYou work."
QUEUE = "long"
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Mark:
    """CPU seconds and megabytes of the worker when it makes a call."""

    cpu: float
    mb: float


async def measure(steps: int, turns: int) -> dict[str, Any]:
    """Run a plan of so many steps, then a session of so many turns."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        agents = place / "agents"
        agents.mkdir()
        (agents / "writer.md").write_text(AGENT.format(name="writer", tools=""))
        (agents / "clerk.md").write_text(AGENT.format(name="clerk", tools="tools: list_files\n"))
        with dev_server(place) as server:
            client = await Client.connect(server.address, data_converter=data_converter(_limit()))
            plan = await _measured(
                client, server.address, place / "plan", agents, _plan(client, place / "plan", steps), steps
            )
            session = await _measured(client, server.address, place / "session", agents, _session(client, turns), turns)
    return {
        "steps": steps,
        "turns": turns,
        "latency_s": LATENCY,
        "calibration_ms": calibration_ms(),
        "plan": plan,
        "session": session,
    }


async def _plan(client: Client, place: Path, steps: int) -> WorkflowHandle[Any, Any]:
    """Start a plan whose steps each wait for the one eight before."""
    listed = tuple(
        PlanStep(
            step=str(n),
            agent="writer",
            input=f"Question number {n}: what follows from the answer before it?",
            depends_on=(str(n - WIDTH),) if n > WIDTH else (),
        )
        for n in range(1, steps + 1)
    )
    store = ContentStore.open(f"file://{place / 'content'}")
    kept = await store.keep(Plan(steps=listed).model_dump_json(), by_reference=True)
    request = PlanRequest(kept_plan=kept, max_parallel=WIDTH)
    return await client.start_workflow(PlanAndExecuteWorkflow.run, request, id="plan", task_queue=QUEUE)


async def _session(client: Client, turns: int) -> WorkflowHandle[Any, Any]:
    limits = SessionLimits(turns=turns, tokens=10**9)
    request = AgentSessionRequest(agent="clerk", task="Look at the files again and again.", limits=limits)
    return await client.start_workflow(AgentSessionWorkflow.run, request, id="session", task_queue=QUEUE)


async def _measured(
    client: Client, address: str, place: Path, agents: Path, starting: Any, size: int
) -> dict[str, Any]:
    place.mkdir()  # noqa: ASYNC240  nothing else runs meanwhile
    marks = place / "marks"
    process = RealProcess(
        command=[sys.executable, "-m", "benchmarks.figures.long", "--serve", address, str(place), str(agents)],
        log=place / "worker.log",
        env=clean_environment(),
    )
    process.start()
    try:
        process.wait_until(lambda: "worker ready" in process.output, "the worker is ready", timeout=60)
        began = time.monotonic()
        handle = await starting
        result = await handle.result()
        took = time.monotonic() - began
    finally:
        process.stop()
    lines = [Mark(*map(float, line.split())) for line in marks.read_text().splitlines()]
    sizes, borders = await _history(client, handle.id)
    early, late = _windows(borders, size)
    stored = sum(file.stat().st_size for file in (place / "content").rglob("*") if file.is_file())
    return {
        "size": size,
        "calls": len(lines),
        "state": str(result.state),
        "took_s": round(took, 1),
        "parts": len(borders) + 1,
        "early": [early.start, early.stop],
        "late": [late.start, late.stop],
        "cpu_ms_early": _cpu(lines, early),
        "cpu_ms_late": _cpu(lines, late),
        "bytes_early": _mean(sizes, early),
        "bytes_late": _mean(sizes, late),
        "stored_per_call": round(stored / max(1, len(lines))),
        "mb_first": round(lines[min(AFTER, len(lines) - 1)].mb, 1),
        "mb_end": round(lines[-1].mb, 1),
    }


def _windows(borders: Sequence[int], size: int) -> tuple[range, range]:
    """Return the calls that are compared, from the first of a part to the first of the next; tenths where parts are few."""
    if len(borders) > 1:
        return range(borders[0]), range(borders[-2], borders[-1])
    return range(size // 20, size // 10 + size // 20), range(size - size // 10 - 1, size - 1)


async def _history(client: Client, workflow_id: str) -> tuple[list[int], list[int]]:
    """Return the bytes of history from each model call to the next, over all parts, and which calls begin a new part."""
    run_id: str = (await client.get_workflow_handle(workflow_id).describe()).run_id
    parts: list[list[int]] = []
    while run_id:
        sizes = [0]
        events = client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events()
        before = ""
        async for event in events:
            if event.HasField("workflow_execution_started_event_attributes"):
                before = event.workflow_execution_started_event_attributes.continued_execution_run_id
            scheduled = event.activity_task_scheduled_event_attributes
            if scheduled.activity_type.name == "call_model":
                sizes.append(0)
            sizes[-1] += event.ByteSize()
        parts.append(sizes)
        run_id = before
    joined: list[int] = []
    borders: list[int] = []
    for sizes in reversed(parts):
        if len(sizes) > 1:
            borders.append(len(joined))
            # What a part takes over counts for its first call.
            joined += [sizes[0] + sizes[1], *sizes[2:]]
    return joined, borders[1:]


def _cpu(marks: Sequence[Mark], calls: range) -> float:
    spent = marks[calls.stop].cpu - marks[calls.start].cpu
    return round(spent / (calls.stop - calls.start) * 1000, 2)


def _mean(sizes: Sequence[int], calls: range) -> int:
    """Return the mean bytes of calls, with what the next part takes over and not what theirs did: as `_cpu` counts."""
    total = sum(sizes[calls.start + 1 : calls.stop + 1])
    return round(total / (calls.stop - calls.start))


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def shown(row: Mapping[str, Any]) -> str:
    """Show the figure on the report's page."""
    lines = [
        (
            f"{name} of {side['size']:,} {what}",
            side["state"],
            str(side["parts"]),
            f"{side['took_s']:g}",
            f"{side['cpu_ms_early']:g} → {side['cpu_ms_late']:g}",
            f"{side['bytes_early']:,} → {side['bytes_late']:,}",
            f"{side['mb_first']:g} → {side['mb_end']:g}",
            f"{side.get('stored_per_call', 0):,}",
        )
        for name, what in (("plan", "steps"), ("session", "turns"))
        for side in (row[name],)
    ]
    head = (
        "",
        "ended",
        "parts",
        "seconds",
        "CPU of a call, ms",
        "bytes of a call",
        "worker, MB",
        "stored, bytes a call",
    )
    return (
        f"A call takes {row['latency_s'] * 1000:g} ms. Early → late: the first part of the run and the last whole one, each with "
        f"the continue-as-new that ends it; memory after {AFTER} calls and at the end.\n\n" + table(head, lines)
    )


def _limit() -> int:
    return int(Settings.model_fields["payload_limit_bytes"].default)


async def _serve(address: str, place: Path, agents: Path) -> None:
    """Work as a worker process does, and write a line for each model call."""
    memory.prepare()
    settings = Settings(
        state_dir=place,
        content_store_url=f"file://{place / 'content'}",
        agents_dir=agents,
        task_queue=QUEUE,
        _env_file=None,
    )
    client = await Client.connect(address, data_converter=data_converter(_limit()))
    with (place / "marks").open("w", buffering=1) as marks:

        async def answer(call: ModelCall) -> ModelReply:
            llm.calls.clear()  # the twin keeps every call for tests
            marks.write(f"{time.process_time()} {_resident()}\n")
            await asyncio.sleep(LATENCY)
            usage = Usage(input_tokens=20, output_tokens=10)
            if not call.tools or call.tool_choice == "none":
                return ModelReply("What follows is said in one sentence.", StopReason.END_TURN, usage, call.model)
            wanted = ToolCall(id=f"t{len(call.history)}", name="list_files", input={})
            return ModelReply("", StopReason.TOOL_USE, usage, call.model, tool_calls=(wanted,))

        llm = ScriptedLLM(answer)
        async with working(client, settings, llm):
            memory.started()
            print("worker ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
    else:
        print(json.dumps(asyncio.run(measure(*map(int, sys.argv[1:3] or (STEPS, TURNS)))), indent=1))
