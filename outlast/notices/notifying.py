"""Notifies people of gates, in the background: by the channels of this deployment, or as the workflow wants it.

How many channels there are is a setting, which workflow code cannot read. It was recorded with the terms of the gate;
without channels nothing is scheduled, and a run keeps the history it always had.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow

from outlast.contracts import GateNews, GateOutcome, Notice, RecordKind, TellRequest
from outlast.errors import text_of
from outlast.notices.activities import NoticeActivities
from outlast.tracing.trace import RunTrace
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.failures import FAILURES

Notify = Callable[[GateNews], Awaitable[None]]
"""Tells people of a gate, most likely by an activity; what it raises is noted and changes nothing."""

NEWS = (
    RecordKind.OPENED,
    RecordKind.EDITED,
    RecordKind.REMINDED,
    RecordKind.ESCALATED,
    RecordKind.APPROVED,
    RecordKind.DENIED,
    RecordKind.TIMED_OUT,
    RecordKind.HALTED,
)
"""Kinds of records that people are notified of."""

TELLING_TIME = timedelta(seconds=10)
"""How long the end of a run waits for channels that have not answered yet."""


class Telling:
    """Notices that are being sent in the background: a channel that does not answer must not hold up a decision."""

    def __init__(self, trace: RunTrace) -> None:
        self._trace = trace
        self._tasks: list[asyncio.Task[None]] = []
        self._bug: BaseException | None = None

    @property
    def pending(self) -> int:
        """How many notices are under way."""
        return len(self._tasks)

    def begin(self, telling: Awaitable[None], what: str) -> None:
        """Tell people `what` in a task of its own; a failure is noted in the status and changes nothing."""

        async def told() -> None:
            try:
                await telling
            except FAILURES as error:
                self._trace.notice(f"people could not be told that {what}: {text_of(error)}")

        task = asyncio.create_task(told())
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    async def finish(self) -> None:
        """Let a run that ends tell what it has begun to tell, for a few seconds; raises what was a bug in the telling."""
        if self._bug is not None:
            raise self._bug
        if not self.pending:
            return
        try:
            await workflow.wait_condition(
                lambda: not self.pending, timeout=TELLING_TIME, timeout_summary="people are still being told"
            )
        except TimeoutError:
            self._trace.notice(f"the run ended while people were still being told: {self.pending} notices")

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.remove(task)
        if not task.cancelled():
            self._bug = self._bug or task.exception()


async def tell_by_channels(trace: RunTrace, channels: int, news: GateNews) -> None:
    """Tell people by every channel at once; one that fails for good is noted in the status, and never raises."""
    notice = notice_of(news)
    await asyncio.gather(*(_tell(trace, number, notice) for number in range(1, channels + 1)))


def notice_of(news: GateNews) -> Notice:
    """Say the news of a gate as people get it."""
    gate = news.gate
    return Notice(
        workflow_id=news.workflow_id,
        gate=gate.name,
        kind=news.kind,
        what=gate.description,
        deadline=gate.deadline,
        digest=gate.digest,
        risk=gate.risk,
        tool=gate.tool,
        target=gate.target,
        arguments=gate.arguments,
        whole=gate.whole,
        size=gate.size,
        counts=gate.counts,
        ref=gate.ref,
        requester=" for ".join(name for name in (gate.agent, gate.requester) if name),
        pending=news.outcome is GateOutcome.PENDING,
        signed=gate.signed,
        to=news.to,
    )


async def _tell(trace: RunTrace, channel: int, notice: Notice) -> None:
    try:
        await run_activity(
            NoticeActivities.tell_people,
            TellRequest(channel=channel, notice=notice),
            **policies.tell_people(f"tell people by channel {channel}: {notice.gate} is {notice.kind}"),
        )
    except FAILURES as error:
        trace.notice(f"channel {channel} could not tell people that {notice.gate} is {notice.kind}: {text_of(error)}")


async def others_turn() -> None:
    """Let all tasks run that are ready, without a timer."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn
