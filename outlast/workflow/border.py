"""Where a run continues as new: nothing new starts, what runs finishes, and what is done goes along.

Temporal ends a run whose history passes 51,200 events or 50 MB. So once the server suggests it, a run hands over what it has done
(`journal`) by reference, and what messages of people may still change in its new request. Its `run` begins anew there, and
finds everything done. Steps of a plan that are done go to the `archive`, of which only names are handed over.
"""

from typing import Any, Protocol

from temporalio import workflow

from outlast.agents.agents import Agents
from outlast.approvals.gates import Gates
from outlast.approvals.people import People
from outlast.budget.lending import Lending
from outlast.contracts import ArchivedPart, BranchCarried, Content, NoOp, RunCarried, RunRequest, StateCarried
from outlast.storage.wait_activities import StoreWaitActivities
from outlast.tracing.trace import RunTrace
from outlast.undo.rollback import Rollback
from outlast.workflow import policies
from outlast.workflow.activity_calls import is_long, is_recent, run_activity_anew
from outlast.workflow.archive import in_short
from outlast.workflow.branches import Branch
from outlast.workflow.journal import breathe
from outlast.workflow.keeping import keep_report, read_kept
from outlast.workflow.state import ExecutionState

LEAST_SHARE = 50
"""A part does at least one 50th of what was done before it: what it takes over weighs on its history, too."""
MOST_HANDED_OVER = 450_000
"""Bytes of the request of the next part: a larger message is refused (PAYLOAD_LIMIT_BYTES), and the task would fail for ever.
It is the same in every deployment, because a replay elsewhere must decide the same."""
AGAIN = 20
"""How much is done at least before a run tries again to continue as new that has too much to hand over."""
KEEP = "keep what is done: the run continues as new"


class Flow(Protocol):
    """The parts of a run that are handed over."""

    request: Any
    state: ExecutionState
    trace: RunTrace
    people: People
    gates: Gates
    undo: Rollback
    budget: Lending
    agents: Agents


class Border:
    """The border between two parts of one run."""

    def __init__(self, flow: Flow) -> None:
        self.work = Branch()
        self._flow = flow
        self._parts = 0
        self._least = 1
        self._stays = False

    def leaves(self) -> bool:
        """Whether nothing new may start, because the run continues as new; asked wherever work begins."""
        long = self.work.news >= self._least and is_long()
        state = self._flow.state
        if long and not (state.leaving or self._stays):
            # A run of a release that did not do this stays as it is.
            state.leaving = is_recent()
            self._stays = not state.leaving
        return state.leaving

    def quiet(self) -> bool:
        """Whether the run is to continue as new, and nothing is at work."""
        flow = self._flow
        return (
            flow.state.leaving
            and not self.work.at_work
            and not flow.gates.notifier.pending
            and not flow.budget.asking
            and not flow.state.is_ending
            and not flow.undo.is_asked
            and workflow.all_handlers_finished()
        )

    async def cross(self) -> None:
        """Continue as new; returns where something came up while what is done was kept."""
        news = self.work.news
        trace, steps = self._flow.trace, self._flow.state
        ref, archived = await steps.archive.keep(trace.calls, steps.steps, self._flow.agents.outcomes.ended, KEEP)
        state = self._state((*trace.earlier, *([ref] if ref else [])), archived)
        kept = await keep_report(state, KEEP, "what the run has done")
        await in_own_task()
        if self.quiet() and news == self.work.news:
            request: RunRequest = self._flow.request
            onward = {"part_before": self._carried(kept), "budget": self._flow.budget.carried}
            request = request.model_copy(update=onward)
            if len(request.model_dump_json(exclude_defaults=True).encode()) > MOST_HANDED_OVER:
                # What waits for people goes along as it is; the run goes on here until less of it waits.
                steps.leaving, self._least = False, news + AGAIN
                return
            trace.continued()
            workflow.continue_as_new(
                request,
                initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
            )

    def restore_messages(self, carried: RunCarried | None) -> None:
        """Take over at once what messages may change: they come before anything else happens."""
        if carried is None:
            return
        flow = self._flow
        self._parts = carried.parts
        flow.state.spend, flow.state.paused = carried.spend, carried.paused
        flow.gates.restore(carried.gates)
        flow.gates.allowed = dict.fromkeys(carried.allowed)
        flow.gates.runs = dict.fromkeys(carried.runs)
        flow.gates.waits.seconds = carried.waited
        flow.people.answers.restore(carried.asked, carried.answers)
        flow.trace.notices = list(carried.notices)
        flow.agents.asked_before = carried.delegated

    async def restore(self, carried: RunCarried) -> None:
        """Take over what is done."""
        flow = self._flow
        flow.budget.restore(carried.raised, carried.warnings, carried.stopped)
        state = StateCarried.model_validate_json(await read_kept(carried.state, "read what the parts before have done"))
        self.work = Branch(carried=state.work)
        await breathe()
        self._least = max(1, _count(state.work) // LEAST_SHARE)
        flow.state.restore(state.steps, state.archived)
        flow.state.tools.restore(state.lacking, state.changed)
        flow.trace.earlier, flow.trace.fallbacks = state.calls, list(state.hops)
        flow.trace.spent_by = dict(state.spent)
        flow.undo.adopt(state.changes)
        flow.agents.acts.restore(state.acts)
        flow.agents.outcomes.restore(state.outcomes)
        flow.budget.experience.tokens_per_byte = dict(state.prompts)
        flow.budget.experience.output = dict(state.outputs)

    def _state(self, calls: tuple[str, ...], archived: tuple[ArchivedPart, ...]) -> StateCarried:
        flow, work = self._flow, self.work.carry(set(self._flow.state.archive.branches))
        gone = {step for part in archived for step in part.steps}
        outcomes = flow.agents.outcomes.ended if _has_cancelled(work) else ()
        return StateCarried(
            work=work,
            steps=tuple(in_short(row) if row.step in gone else row for row in flow.state.steps.values()),
            archived=archived,
            spent={step: spend for step, spend in flow.trace.spent_by.items() if step not in gone},
            calls=calls,
            hops=tuple(flow.trace.fallbacks),
            changes=flow.undo.changes,
            acts=flow.agents.acts.carried(),
            lacking=flow.state.tools.carried,
            changed=flow.state.tools.changed,
            prompts=flow.budget.experience.tokens_per_byte,
            outputs=flow.budget.experience.output,
            outcomes=tuple(outcome for outcome in outcomes if outcome.step not in gone),
        )

    def _carried(self, state: Content) -> RunCarried:
        flow, gates = self._flow, self._flow.gates.carried()
        return RunCarried(
            state=state,
            parts=self._parts + 1,
            spend=flow.state.spend,
            gates=gates,
            allowed=tuple(flow.gates.allowed),
            runs=tuple(
                dict.fromkeys(
                    (*flow.gates.runs, *(run for run in (flow.gates.run, *(each.run for each in gates.gates)) if run))
                )
            ),
            waited=flow.gates.waits.seconds,
            paused=flow.state.paused,
            asked=flow.people.answers.asked,
            answers=flow.people.answers.carried,
            raised=flow.budget.raised,
            warnings=flow.budget.warnings,
            stopped=flow.budget.stopped,
            notices=tuple(flow.trace.notices),
            delegated=flow.agents.asked_before,
        )


async def in_own_task() -> None:
    """Let a run continue as new in a workflow task in which no local activity ends.

    The server does not take the end of a run where a message has come meanwhile; the task is done again then, with the message.
    But after a local activity the SDK delivers the message only once the run has ended again, and the message would be lost.
    """
    if is_recent():
        # A timer would do as well, but the server may be a second late with it.
        await run_activity_anew(StoreWaitActivities.no_op, NoOp(), **policies.no_op())


def _has_cancelled(branch: BranchCarried) -> bool:
    return bool(branch.cancelled) or any(_has_cancelled(each) for each in branch.inner.values())


def _count(branch: BranchCarried) -> int:
    return len(branch.done) + sum(_count(each) for each in branch.inner.values())
