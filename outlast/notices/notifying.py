"""Notifies people of gates, in the background: by the channels of this deployment, or as the workflow wants it.

How many channels there are is a setting, which workflow code cannot read. It was recorded with the terms of the gate;
without channels nothing is scheduled, and a run keeps the history it always had.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from temporalio import workflow

from outlast.contracts import GateNews, GateOutcome, Notice, NoticeRequest, Question, RecordKind
from outlast.errors import text_of
from outlast.notices.activities import NoticeActivities
from outlast.tracing.trace import RunTrace
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity_anew
from outlast.workflow.failures import FAILURES

Notify = Callable[[GateNews], Awaitable[None]]
"""Notifies people of a gate, usually by an activity; what it raises is noted and changes nothing."""

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

NOTIFYING_TIME = timedelta(seconds=10)
"""How long the end of a run waits for channels that have not answered yet."""


class Notifier:
    """Notices that are being sent in the background: a channel that does not answer must not hold up a decision."""

    def __init__(self, trace: RunTrace) -> None:
        self._trace = trace
        self._tasks: list[asyncio.Task[None]] = []
        self._bug: BaseException | None = None

    @property
    def pending(self) -> int:
        """How many notices are under way."""
        return len(self._tasks)

    def begin(self, notifying: Awaitable[None], what: str) -> None:
        """Send the notice `what` in a task of its own; a failure is noted in the status and changes nothing."""

        async def notified() -> None:
            journal.begin(None)
            try:
                await notifying
            except FAILURES as error:
                self._trace.notice(f"people could not be notified that {what}: {text_of(error)}")

        task = asyncio.create_task(notified())
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def by_channels(self, channels: int) -> Notify | None:
        """Return what notifies people by the channels of this deployment; None without any."""
        return partial(notify_by_channels, self._trace, channels) if channels else None

    async def finish(self) -> None:
        """Wait a few seconds for the notices that are under way when a run ends; raises a bug that one of them hit."""
        if self._bug is not None:
            raise self._bug
        if not self.pending:
            return
        try:
            await workflow.wait_condition(
                lambda: not self.pending, timeout=NOTIFYING_TIME, timeout_summary="notices are still being sent"
            )
        except TimeoutError:
            self._trace.notice(f"the run ended while notices were still being sent: {self.pending} left")

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.remove(task)
        if not task.cancelled():
            self._bug = self._bug or task.exception()


async def notify_by_channels(trace: RunTrace, channels: int, news: GateNews) -> None:
    """Notify people by every channel at once; one that fails for good is noted in the status, and never raises."""
    notice = notice_of(news)
    await asyncio.gather(*(_notify(trace, number, notice) for number in range(1, channels + 1)))


async def notify_of_question(trace: RunTrace, channels: int, question: Question, kind: str) -> None:
    """Notify people of a question by every channel at once, as of a gate; `kind` is `asked` or `reminded`."""
    notice = Notice(
        workflow_id=workflow.info().workflow_id,
        gate=question.id,
        kind=kind,
        what=question.text,
        parent=_parent(),
        deadline=question.deadline,
        digest="",
        question=True,
        options=question.options,
    )
    await asyncio.gather(*(_notify(trace, number, notice) for number in range(1, channels + 1)))


def notice_of(news: GateNews) -> Notice:
    """Return the notice that people get of a gate's news."""
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
        requester=" for ".join(filter(None, (gate.agent, ", ".join(gate.askers)))),
        parent=_parent(),
        pending=news.outcome is GateOutcome.PENDING,
        signed=gate.signed,
        to=news.to,
        before=gate.before,
    )


def _parent() -> str:
    parent = workflow.info().parent
    return parent.workflow_id if parent else ""


async def _notify(trace: RunTrace, channel: int, notice: Notice) -> None:
    try:
        await run_activity_anew(
            NoticeActivities.tell_people,
            NoticeRequest(channel=channel, notice=notice),
            **policies.tell_people(f"notify people by channel {channel}: {notice.gate} is {notice.kind}"),
        )
    except FAILURES as error:
        trace.notice(f"channel {channel} could not notify people that {notice.gate} is {notice.kind}: {text_of(error)}")


async def let_others_run() -> None:
    """Let all other ready tasks run, without a timer."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn
