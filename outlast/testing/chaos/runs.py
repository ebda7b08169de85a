"""The runs of a case: started by the client or by a command, approved, waited for, and judged."""

import asyncio
import json
import random
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.client import WorkflowQueryRejectedError as Rejected
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from outlast.contracts import RunStatus
from outlast.testing.chaos.contracts import Scenario
from outlast.testing.chaos.processes import Process
from outlast.testing.chaos.stack import Stack

LOOKS = 0.7
"""Seconds between two looks at the gates of a run."""
ANSWERS_WITHIN = timedelta(seconds=3)
UNSERVED, ENDED_ALREADY = 3, "has ended already"
BEGUN = re.compile(r"^(started|attached to) ", re.MULTILINE)
ENDS = {"completed": WorkflowExecutionStatus.COMPLETED, "failed": WorkflowExecutionStatus.FAILED}


@dataclass
class Run:
    """One run: the scenario that it plays, and its end (Unix seconds)."""

    id: str
    scenario: Scenario
    starter: Process | None = None
    ended: float | None = None
    wrong: str = ""
    exit: str = ""
    """What is wrong with the exit code of its command."""
    killed: bool = False
    """Whether its starter was killed and is to be started again."""
    task: "asyncio.Task[None] | None" = None


@dataclass
class Runs:
    """Starts runs and keeps them until they end."""

    stack: Stack
    rng: random.Random
    base: int
    all: list[Run] = field(default_factory=list)

    @property
    def open(self) -> list[Run]:
        """The runs that have not ended."""
        return [run for run in self.all if run.ended is None]

    def start(self, scenario: Scenario) -> Run:
        """Start a run; it is on its way when this returns."""
        run = Run(f"job-{(self.base + len(self.all)) % 1_000_000:06}", scenario)
        self.all.append(run)
        scenario.prepare(run.id)
        run.task = asyncio.create_task(self._see_through(run))
        return run

    async def _see_through(self, run: Run) -> None:
        scenario = run.scenario
        people = asyncio.create_task(self._attend(run)) if scenario.approvers or scenario.answer else None
        try:
            command = [part.replace("{run}", run.id) for part in _command(scenario)]
            await (self._by_command(run, command) if command else self._by_client(run))
            run.ended = time.time()
            await self._judge(run)
        finally:
            if people:
                people.cancel()

    async def _by_client(self, run: Run) -> None:
        scenario = run.scenario
        queue = self.stack.setup.task_queue
        request = filled(scenario.request, run.id)
        while True:
            with suppress(RPCError):
                with suppress(WorkflowAlreadyStartedError):
                    await self.stack.client.start_workflow(scenario.workflow, request, id=run.id, task_queue=queue)
                with suppress(WorkflowFailureError):
                    await self.stack.client.get_workflow_handle(run.id).result()
                return
            await asyncio.sleep(0.3)

    async def _by_command(self, run: Run, command: Sequence[str]) -> None:
        """Run a command to its end, again where it was killed, or where nothing was there that it could speak to."""
        starter = run.starter = Process(
            f"starter-{run.scenario.name}-{run.id}", self.stack.env, self.stack.directory / "starters" / f"{run.id}.log",
            self.stack.setup.launch,
        )  # fmt: skip
        while True:
            starter.start(command)
            run.killed = False
            while (code := await starter.ended()) is None:
                pass
            # Nobody to speak to at its beginning is an answer of its own, after which a person tries again.
            if not run.killed and (code != UNSERVED or BEGUN.search(starter.said())):
                break
            await asyncio.sleep(0.3)
        over = starter.number > 1 and ENDED_ALREADY in starter.said()
        if code != (0 if run.scenario.ends == "completed" else 1) and not over:
            run.exit = f"{starter.name} left with {code}: {' '.join(starter.said().split())[-400:]}"

    async def _attend(self, run: Run) -> None:
        """Decide and answer what waits for people."""
        handle = self.stack.client.get_workflow_handle(run.id)
        while True:
            await asyncio.sleep(LOOKS)
            with suppress(RPCError, WorkflowQueryFailedError, Rejected):
                status: RunStatus = await handle.query("status", result_type=RunStatus, rpc_timeout=ANSWERS_WITHIN)
                for gate in status.gates:
                    for name in run.scenario.approvers:
                        if name not in gate.approved_by:
                            await handle.signal("approve", {"by": name, "gate": gate.name}, rpc_timeout=ANSWERS_WITHIN)
                for question in status.questions:
                    given = {"question": question.id, "answer": run.scenario.answer, "key": f"{run.id} {question.id}"}
                    await handle.signal("answer", given, rpc_timeout=ANSWERS_WITHIN)

    async def query_all(self) -> None:
        """Ask every open run for its status, as a page that shows them all."""

        async def ask(run: Run) -> None:
            handle = self.stack.client.get_workflow_handle(run.id)
            with suppress(RPCError, WorkflowQueryFailedError, Rejected):
                await handle.query("status", rpc_timeout=ANSWERS_WITHIN)

        await asyncio.gather(*(ask(run) for run in self.open))

    async def stands(self, run: Run) -> str:
        """Keep the history of a run that stands still beside its case, and say what it stands at, as far as the server tells."""
        with suppress(RPCError):
            history = await self.stack.client.get_workflow_handle(run.id).fetch_history()
            (self.stack.directory / f"stands-{run.id}.json").write_text(history.to_json())
            failed = [each for each in history.events if each.HasField("workflow_task_failed_event_attributes")]
            if failed:
                why = failed[-1].workflow_task_failed_event_attributes.failure.message
                return f"{run.scenario.name} {run.id}: {' '.join(why.split())[:300]}"
        return f"{run.scenario.name} {run.id}"

    async def _judge(self, run: Run) -> None:
        wanted = ENDS[run.scenario.ends]
        while True:
            with suppress(RPCError):
                found = await self.stack.client.get_workflow_handle(run.id).describe(rpc_timeout=ANSWERS_WITHIN)
                break
            await asyncio.sleep(0.3)
        if found.status is not wanted:
            name = found.status.name if found.status is not None else "?"
            why = await self._why(run) if found.status is WorkflowExecutionStatus.FAILED else ""
            run.wrong = f"{run.scenario.name} {run.id} {name}, not {wanted.name}{why}"
        elif problem := run.scenario.check(run.id):
            run.wrong = f"{run.scenario.name} {run.id}: {problem}"

    async def _why(self, run: Run) -> str:
        try:
            await self.stack.client.get_workflow_handle(run.id).result()
        except WorkflowFailureError as error:
            return f": {' '.join(str(error.cause).split())[:400]}"
        return ""


def _command(scenario: Scenario) -> Sequence[str]:
    """Return what starts a run and waits for it; nothing where the client does."""
    if not scenario.says:
        return scenario.command
    spoken = {"request": scenario.request, "says": [asdict(each) for each in scenario.says]}
    return (str(Path(__file__).with_name("talking.py")), "{run}", json.dumps(spoken))


def filled(value: Any, run: str) -> Any:
    """Put the id of a run into a request."""
    if isinstance(value, Mapping | list | tuple):
        return json.loads(json.dumps(value).replace("{run}", run))
    return value
