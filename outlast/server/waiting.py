"""What is known of a run whose gates wait, read from its memo; a worker adds the steps, the log, and arguments in full.

A workflow of others may use the memo's name for something else, so what does not read as gates is passed over.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from temporalio.client import WorkflowExecution, WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError

from outlast.cli.decisions.listing import gates_of
from outlast.cli.decisions.listing import whole as in_full
from outlast.cli.reaching import Reach
from outlast.contracts import RECORDS_MEMO, Content, DecisionLog, GatesShown, RunStatus, StepState
from outlast.server.operations import find

OUTPUTS = 30
"""Steps whose outputs a page shows."""
OUTPUT_SHOWN = 20_000
ANSWERS_WITHIN = 3.0
"""Seconds that a page waits for a worker's answer before it shows what the server alone knows."""


@dataclass(frozen=True)
class RunSeen:
    """What is known of a run: `status` is None where no worker answers, and the log then holds the newest records only.

    `outputs` are the texts of steps that are done, cut where they are very long.
    """

    found: WorkflowExecutionDescription
    shown: GatesShown
    log: DecisionLog
    status: RunStatus | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


async def see_run(reach: Reach, workflow_id: str, *, whole: bool = True) -> RunSeen:
    """Look at a run; raises HttpError if there is none. Without `whole` no worker is asked."""
    found = await find(reach, workflow_id)
    seen = RunSeen(found, await shown_gates(found), await _records(found))
    if not whole:
        return seen
    waiting = tuple(await in_full(reach, found, seen.shown.waiting))
    seen = replace(seen, shown=seen.shown.model_copy(update={"waiting": waiting}))
    if not await reach.served(found):
        return seen
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            status, log = await asyncio.gather(
                handle.query("status", result_type=RunStatus), handle.query("decisions", result_type=DecisionLog)
            )
            outputs = await _outputs(reach, status)
    except Exception:  # a workflow of others, or a worker that is gone: the page says that only the server was asked
        return seen
    return replace(seen, log=log, status=status, outputs=outputs)


async def _outputs(reach: Reach, status: RunStatus) -> dict[str, str]:
    """Read what the newest steps that are done answered: who approves what comes next must be able to read it."""
    done = [row for row in status.steps if row.state is StepState.DONE and row.output is not None][-OUTPUTS:]

    async def text(output: Content) -> str:
        try:
            text = output.text or (await reach.store(waits=False).text(output) if output.ref else "") or output.summary
        except ApplicationError:
            return f"{output.summary} (the rest cannot be read now)"
        return text if len(text) <= OUTPUT_SHOWN else f"{text[:OUTPUT_SHOWN]}… ({len(text):,} characters)"

    texts = await asyncio.gather(*(text(row.output) for row in done if row.output))
    return dict(zip([row.step for row in done], texts, strict=True))


async def shown_gates(run: WorkflowExecution) -> GatesShown:
    """Read what waits at a run's gates; nothing from memos of others."""
    try:
        return await gates_of(run)
    except ValueError:
        return GatesShown()


async def _records(run: WorkflowExecution) -> DecisionLog:
    try:
        log: DecisionLog = await run.memo_value(RECORDS_MEMO, DecisionLog(), type_hint=DecisionLog)
    except ValueError:
        return DecisionLog()
    return log
