"""What people decide in one run of a tree holds in all of them: an approval that stands, its end, a denial.

A run is given what holds when it starts, gives back what it knows when it ends, and meanwhile each tells those next to it that
there is news. That signal is a hint and no more, because anybody may send one: whoever gets it looks at the other run by an
activity, and takes over what that says itself. So a decision counts only where a run took it at its gates, and each
run holds it against its own policy whenever a call comes.
"""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

from outlast.agents.delegation.contracts import DelegateRequest
from outlast.agents.delegation.ended_activities import DelegateActivities
from outlast.approvals.identity import was_reset
from outlast.contracts import Decided, StepState, WaitsBelow
from outlast.errors import text_of
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_activity_anew
from outlast.workflow.context import RunContext

MOST_LOOKS = 300
"""Looks at other runs in one part of a run: more than people decide; a flood of hints must not fill its history."""


class Deciding:
    """What people decided in one run and those next to it; `heard` marks what each of these said that it knows."""

    def __init__(self, run: RunContext) -> None:
        self.heard: dict[str, str] = {}
        self._run = run
        self._looks = 0
        self._again: dict[str, bool] = {}
        self._marked = (-1, "")

    @property
    def mark(self) -> str:
        """Mark of what this run knows."""
        news = self._run.gates.news
        if self._marked[0] != news:
            self._marked = (news, self._known().mark)
        return self._marked[1]

    async def news_since(self, mark: str) -> str:
        """Wait until this run knows something else than it did; returns the mark of it."""
        await workflow.wait_condition(lambda: self.mark != mark)
        return self.mark

    def decided(self) -> Decided:
        """Return what other runs are told; of a run that was reset nothing that stood before."""
        known, info = self._known(), workflow.info()
        if was_reset():  # this goes to other runs alone, and changes nothing that is replayed here
            return known.model_copy(update={"standing": tuple(one for one in known.standing if one.run == info.run_id)})
        return known

    def adopt(self, decided: Decided) -> None:
        """Take over what people decided in another run of the tree; it must come from that run itself."""
        gates = self._run.gates
        gates.denials(decided.denied)
        gates.book.adopt(decided, workflow.info().workflow_id, gates.book.no_earlier(workflow.now()))
        gates.publish()

    async def hear_above(self) -> None:
        """Hear that people have decided something in the run that asked."""
        above = workflow.info().parent
        if above is not None:
            await self._hear(above.workflow_id, above.run_id, lambda: True)

    async def hear_below(self, waits: WaitsBelow | None) -> None:
        """Hear what people decide in the run of an agent that was asked, as long as it is at work; its end tells the rest."""
        if waits is not None and waits.decided != self.mark:
            steps = self._run.state.steps
            name = next(row.step for row in steps.values() if row.run == waits.run)
            await self._hear(waits.run, "", lambda: steps[name].state is StepState.RUNNING)

    async def _hear(self, run: str, run_id: str, still: Callable[[], bool]) -> None:
        """Look at another run, once for all hints that come meanwhile."""
        looking = run in self._again
        self._again[run] = True
        if looking:
            return
        while self._again[run] and still():
            self._again[run] = False
            await self._look(run, run_id, still)
        del self._again[run]

    async def _look(self, run: str, run_id: str, still: Callable[[], bool]) -> None:
        self._looks += 1
        bounds = policies.read_delegate(self._run.state.heartbeat, f"read what people decided in {run}"[:200])
        why = "" if self._looks < MOST_LOOKS else f"{MOST_LOOKS} messages told of decisions in other runs"
        try:
            request = DelegateRequest(run=run, run_id=run_id)
            decided = None if why else await run_activity_anew(DelegateActivities.read_decided, request, **bounds)
        except ActivityError as error:
            why, decided = f"what people decided in {run} is not known: {text_of(error)}", None
        if decided is not None:
            self.heard[run] = decided.mark
            if still():
                self.adopt(decided)
        elif self._looks <= MOST_LOOKS:
            # What may have been revoked meanwhile covers nothing.
            self._run.gates.book.standing.alone()
            self._run.trace.notice(f"{why}; approvals of other runs cover no call of this one any more")
            self._run.gates.publish()

    def _known(self) -> Decided:
        gates = self._run.gates
        given = gates.book.standing.decided(workflow.info().workflow_id)
        return given.model_copy(update={"denied": gates.denials()})
