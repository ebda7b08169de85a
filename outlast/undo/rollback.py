"""Rollback: what a run has changed is undone, last in first out, each change once, whatever cancels or crashes meanwhile.

The log of changes lives in the workflow and costs nothing in history; a compensation is one activity, which finds by the
call's key what there is to undo. A cancelled run must still be able to clean up, so the compensations run in a task
of their own, which no cancellation of the run reaches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from outlast.contracts import (
    KEEP,
    ROLL_BACK_ALL,
    Change,
    Changes,
    ChangeState,
    ChangingResult,
    Extent,
    OnFallback,
    RollbackAnswer,
    RollbackPolicy,
    StuckDecision,
    ToolCall,
    ToolCard,
    ToolResult,
    UndoRequest,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, root_of, text_of
from outlast.tracing.trace import RunTrace
from outlast.undo.activities import UndoActivities
from outlast.undo.acts import Act
from outlast.undo.log import UndoLog
from outlast.undo.policy import Border, read_policy
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity_anew
from outlast.workflow.failures import ENDINGS, failure_of, finished, shielded
from outlast.workflow.state import ExecutionState

T = TypeVar("T")
OnStuck = Callable[[Change, str], Awaitable[StuckDecision]]
"""Asked about a compensation that keeps failing, with its error: try it again, or give it up."""

ASKED = "a person asked for it"


class Rollback:
    """The changes of one run, and how to undo them.

    `on_stuck` decides on a compensation that keeps failing; without it, such a change is listed as not undone.
    """

    def __init__(self, state: ExecutionState, trace: RunTrace) -> None:
        self.on_stuck: OnStuck | None = None
        self.on_denied = KEEP
        self.on_fallback = OnFallback.TELL
        self._state = state
        self._trace = trace
        self._undo_log = UndoLog()
        self._reason = ""
        self._asked: RollbackPolicy | None = None
        self._guards = False
        self._why = ASKED
        self._undoing = asyncio.Lock()
        self._at_work = 0

    @property
    def changes(self) -> Changes:
        """Every change so far, and what became of it."""
        return self._undo_log.all(self._reason)

    def adopt(self, before: Changes, of: str = "", *, again: bool = False) -> None:
        """Take over the changes of this run before it continued as new, or those `of` another one that has ended.

        With `again`, undos that failed there are to be tried once more.
        """
        self._undo_log.adopt(before, of or workflow.info().workflow_id)
        if again:
            self._undo_log.reopen()

    def take_over(self, changes: Changes, step: str) -> list[int]:
        """Add what an agent changed that this step asked, in a run of its own; returns the numbers of the changes here."""
        return self._undo_log.take_over(changes.changes, step)

    def mark(self, checkpoint: str) -> None:
        """Set a checkpoint that a rollback can go back to."""
        if journal.catching_up():
            return
        self._undo_log.mark(checkpoint, workflow.now())

    def register(
        self, step: str, agent: str, card: ToolCard, call: ToolCall, shown: str, act: Act | None = None
    ) -> Change:
        """Announce a call that changes something, before it is made; returns the change with the call's key.

        An `act` that an earlier attempt at the step has begun is the same change, with the same key.
        """
        if act is not None and self.change(act.change) is not None:
            return self._undo_log.made_again(act.change, agent)
        key = act.key if act else f"{workflow.info().workflow_id}/{step}/{call.id}"
        change = self._undo_log.register(step, agent, card, shown, key)
        if act is not None:
            act.change = change.seq
        return change

    def change(self, seq: int) -> Change | None:
        """Look a change up by its number; None where it is not remembered."""
        return self._undo_log.changes.get(seq)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let a rollback wait for the call that is made meanwhile: an undo that overtakes its call undoes nothing."""
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    def completed(self, change: Change, result: ToolResult) -> None:
        """Record what a call has reported; a tool's own error means that nothing was changed, unless it says how to undo it."""
        output = result.content.summary or result.content.text or ""
        if not result.failed:
            self._undo_log.done(change.seq, result.undo, workflow.now())
        elif result.undo:
            self._undo_log.unknown(change.seq, output, workflow.now())
        else:
            self._undo_log.not_happened(change.seq, output, workflow.now())

    def broke_off(self, change: Change, error: BaseException) -> None:
        """Record that a call ended without a report."""
        if kind_of(error) is ErrorKind.TOOL_UNKNOWN:
            self._undo_log.not_happened(change.seq, text_of(error), workflow.now())
        else:
            self._undo_log.unknown(change.seq, text_of(error), workflow.now())

    async def roll_back(self, policy: RollbackPolicy, reason: str) -> Changes:
        """Undo changes as far as the policy says, each once; cancelling does not stop it, and is raised afterwards."""
        if self._undo_log.to_undo(policy):
            self._reason = reason
            await shielded(self._undo_all(policy))
        return self.changes

    async def undo_changes(self, seqs: Sequence[int]) -> None:
        """Undo only some changes, the last one first; what has no undo stays as it is. Shielded like a whole rollback."""
        wanted = [seq for seq in self._undo_log.to_undo(ROLL_BACK_ALL) if seq in seqs]
        if wanted:
            await shielded(self._undo_some(wanted))

    async def guarded(
        self, work: Coroutine[Any, Any, T], on_failure: RollbackPolicy, border: Border | None = None
    ) -> T:
        """Do the work of a run, and roll back by policy when it fails or is cancelled, or when a person asks for it.

        At the `border`, where there is one, the run continues as new. Raises what the work raised, with a word on the rollback;
        RolledBack where a person asked.
        """
        self._guards = True
        task = asyncio.create_task(work)
        try:
            while True:
                await workflow.wait_condition(
                    lambda: task.done() or self._asked is not None or (border is not None and border.quiet())
                )
                if task.done():
                    return task.result()
                if self._asked is not None or border is None:
                    break
                await border.cross()
        except ENDINGS as ended:
            error = failure_of(ended)
            await shielded(self._stopped(task))
            await self.roll_back(on_failure, text_of(error) or "the run was cancelled")
            raised = self._in_error(error)
            if raised is ended:
                raise
            raise raised from ended
        assert self._asked is not None
        await shielded(self._stopped(task))
        changes = await self.roll_back(self._asked, self._why)
        head = "rolled back as asked" if self._why == ASKED else f"rolled back, because {self._why}"
        raise non_retryable(ErrorKind.ROLLED_BACK, f"{head}: {changes.summary or 'nothing was changed'}", changes)

    def listed(self, result: T) -> T:
        """Return a result with the changes as they are now, where it has a field for them."""
        if isinstance(result, ChangingResult):
            return result.model_copy(update={"changes": self.changes})
        return result

    def denied(self, reason: str) -> None:
        """Handle a denial of an action of this run; rolls back and ends the run where `on_denied` says so."""
        if self.on_denied.extent is not Extent.KEEP and self._guards and self._asked is None:
            self._why = reason
            self._asked = self.on_denied

    @property
    def is_asked(self) -> bool:
        """Whether the run is to be stopped and rolled back."""
        return self._asked is not None

    def ask(self, arguments: Sequence[Any]) -> RollbackAnswer:
        """Take a person's request to roll back (nothing, `"all"`, a checkpoint's name, or a policy); never raises."""
        answer = self._answer(arguments)
        if not answer.accepted:
            self._trace.notice(f"rollback: {answer.reason}")
        return answer

    def _answer(self, arguments: Sequence[Any]) -> RollbackAnswer:
        policy = read_policy(arguments)
        names = [point.name for point in self._undo_log.checkpoints]
        if policy is None:
            return RollbackAnswer(accepted=False, reason='not understood; send nothing, or {"checkpoint": "NAME"}')
        if not self._guards:
            return RollbackAnswer(accepted=False, reason="this run changes nothing that could be rolled back")
        if self._asked is not None:
            return RollbackAnswer(accepted=True, reason="it is being rolled back already")
        if policy.checkpoint and policy.checkpoint not in names:
            known = f"there are {', '.join(names)}" if names else "none was reached yet"
            return RollbackAnswer(accepted=False, reason=f"there is no checkpoint {policy.checkpoint!r}; {known}")
        self._asked = policy
        return RollbackAnswer(accepted=True)

    async def _stopped(self, task: "asyncio.Task[Any]") -> None:
        """Cancel the work and wait until it has left; a call that changes something reports first.

        The work may leave calls behind that nobody waits for any more, as `asyncio.gather` does with the others when one of its
        tasks fails. They report too, and begin nothing new.
        """
        task.cancel()
        await finished([task])
        self._state.is_ending = True
        if self._at_work:
            await workflow.wait_condition(lambda: not self._at_work)

    async def _undo_all(self, policy: RollbackPolicy) -> None:
        async with self._undoing:  # a second request waits, and finds nothing left
            for seq in self._undo_log.to_undo(policy):
                change = self._undo_log.changes[seq]
                if change.undoable:
                    await self._undo(change)
                else:
                    self._undo_log.settle_for_good(seq)
                self._trace.rolls_back(self.changes.summary)

    async def _undo_some(self, seqs: Sequence[int]) -> None:
        async with self._undoing:
            for seq in seqs:
                change = self._undo_log.changes[seq]
                if change.undoable:
                    await self._undo(change)
                self._trace.rolls_back(self.changes.summary)

    async def _undo(self, change: Change) -> None:
        while True:
            try:
                result = await run_activity_anew(
                    UndoActivities.undo_call,
                    UndoRequest(tool=change.undo_tool, key=change.key, input=change.undo),
                    **policies.undo_call(
                        change.timeout,
                        self._state.heartbeat,
                        f"undo {change.step} · {change.tool}({change.arguments})"[:200],
                    ),
                )
            except ActivityError as error:
                if is_cancelled_exception(error) or await self._is_given_up(change, text_of(error)):
                    self._undo_log.settle(change.seq, ChangeState.UNDO_FAILED, text_of(error))
                    return
                continue
            happened = result.happened or change.state is ChangeState.DONE
            state = ChangeState.UNDONE if happened else ChangeState.NOT_HAPPENED
            self._undo_log.settle(change.seq, state, result.said)
            return

    async def _is_given_up(self, change: Change, error: str) -> bool:
        if self.on_stuck is None:
            return True
        try:
            return await self.on_stuck(change, error) is not StuckDecision.RETRY
        except FailureError as failure:
            self._trace.notice(f"nobody decided on the undo of {change.tool}: {text_of(failure)}")
            return True

    def _in_error(self, error: BaseException) -> BaseException:
        """Note in the error of a failed run what became of its changes; a cancelled run stays cancelled."""
        if not self._reason or not isinstance(error, Exception) or is_cancelled_exception(error):
            return error
        root = root_of(error)
        left = root.details if isinstance(root, ApplicationError) and root.details else (self.changes,)
        details = [self.listed(each) for each in left]
        return non_retryable(kind_of(error), f"{text_of(error)}; rolled back: {self.changes.summary}", *details)
