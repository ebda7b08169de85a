"""The base of every workflow of agents: one managed run, its queries, people's decisions, and unknown messages."""

import inspect
import re
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, ClassVar, Generic, Self, TypeVar

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.outcomes import Outcomes, forked_in_words
from outlast.agents.tool_gates import decide_on_stuck
from outlast.approvals.gates import Gates
from outlast.approvals.pausing import Pausing
from outlast.approvals.people import People
from outlast.budget.lending import Lending
from outlast.contracts import (
    Content,
    RunRequest,
    RunResult,
    RunState,
    carried_in,
    problems_in,
)
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.notices.webhooks import Webhooks
from outlast.tracing.live_text import Streaming
from outlast.tracing.trace import RunTrace
from outlast.undo.rollback import Rollback
from outlast.workflow import journal
from outlast.workflow.border import Border
from outlast.workflow.failures import ENDINGS, failure_of
from outlast.workflow.handlers import MessageHandlers, let_signals_wait
from outlast.workflow.keeping import keep_report
from outlast.workflow.state import ExecutionState

RELEASE = "release-0.3"
"""The patch of all that 0.3 does in another order than 0.2; see `is_recent`."""

Request = TypeVar("Request", bound=RunRequest)
Result = TypeVar("Result", bound=RunResult)


class AgentWorkflow(MessageHandlers, Generic[Request, Result]):
    """Base of workflows whose steps agents do; the subclass writes `run`, and may extend `__init__`.

    The base wraps `run`: it keeps the budget, undoes what tools changed by the request's policy when the run fails or is stopped,
    and fills in what all results share. It answers the queries and takes the signals that the commands send.

    Attributes:
        request: What the run was started with.
        agents: The agents: `answer = await self.agents.ask("analyst", text, result=Verdict)`.
        gates: People's approvals: `decision = await self.gates.open(ProposedAction(description="Page the on-call"))`.
        people: Questions to people: `answer = await self.people.ask("Which region?", options=("eu", "us"))`.
        budget: What it may spend.
        undo: What its tools changed, and how to undo it.
        state: Its steps, its spend, whether it is paused.
        trace: What it reports of itself.

    Example:
        ```python
        @workflow.defn
        class Triage(AgentWorkflow[TriageRequest, TriageResult]):
            @workflow.run
            async def run(self, request: TriageRequest) -> TriageResult:
                answer = await self.agents.ask("analyst", request.ticket, result=Verdict)
                return TriageResult(severity=answer.value.severity)
        ```
    """

    pattern: ClassVar[str]
    """What people see as the kind of the run; by default the words of the class's name."""
    undoes: ClassVar[bool] = True
    """Whether the managed run undoes what tools changed; False for a workflow that sees to it itself, or changes nothing."""
    continues: ClassVar[bool] = False
    """Whether a run whose history has grown long continues as new. Its `run` begins anew then, and all that `self` and the
    functions of this library do gives at once what it gave before: agents asked, plans, `gather` and `each`, gates, questions,
    `run_activity`. So set it where `run` does nothing else that must not happen twice (an activity that is started by
    `workflow.execute_activity`, a child workflow), and where handlers of messages keep nothing in `self`."""

    versioning_behavior: ClassVar[VersioningBehavior] = VersioningBehavior.PINNED
    """Where workers have builds: whether a run stays with the one that began it, or moves to each new one (AUTO_UPGRADE)."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Let the `run` and the signals of the class be managed, and give it an `__init__` that takes the same request."""
        super().__init_subclass__(**options)
        let_signals_wait(cls)
        if "pattern" not in vars(cls):
            words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", cls.__name__.removesuffix("Workflow"))
            cls.pattern = " ".join(words).lower()
        if (run := vars(cls).get("run")) is None:
            return
        cls.run = _managed(run)  # type: ignore[assignment, method-assign]
        if "__init__" not in vars(cls):
            cls.__init__ = _init_like(run, cls)  # type: ignore[method-assign]
        workflow.init(cls.__init__)

    def __new__(cls, *given: Any) -> Self:
        """Fail a run that is not started with its one request; a wrong number of inputs would only fail its task, forever."""
        if len(given) != 1 or not isinstance(given[0], RunRequest):
            what = f"{len(given)} were given"
            if len(given) == 1:  # it came as plain data, because the class does not say what it is
                what = f"{type(given[0]).__name__} was given; annotate the request in its run, with a class made of RunRequest"
            raise non_retryable(ErrorKind.INPUT_INVALID, f"give one request as the one input of {cls.__name__}; {what}")
        return super().__new__(cls)

    def __init__(self, request: Request) -> None:
        """Prepare the run: before its `run` begins, messages may have come already.

        Args:
            request: What the run is started with.
        """
        self.request = request
        self.is_recent = workflow.patched(RELEASE)
        self.state = ExecutionState()
        self.trace = RunTrace(self.pattern, self.state)
        for ignored in request._ignored:
            self.trace.notice(f"of the request was ignored: {ignored}")
        self.people = People(self.state, self.trace)
        self.gates = Gates(self.trace)
        self.gates.policy, self.gates.requester = request.gate, request.requester
        self.gates.webhooks = self.webhooks = self.people.webhooks = Webhooks(request.webhooks, self.state)
        self.people.notifier = self.gates.notifier
        self.people.slack = self.gates.slack
        self.pausing = Pausing(self.state, self.trace)
        self.undo = Rollback(self.state, self.trace)
        self.undo.on_stuck = partial(decide_on_stuck, self.gates)
        self.undo.on_denied, self.undo.on_fallback = request.on_denied, request.on_fallback
        self.budget = Lending(self.state, self.trace, self.gates)
        self.agents = Agents(self, request)
        self.agents.outcomes = Outcomes(request.forked)
        if request.forked is not None:
            self.state.stand_ins = request.forked.agents
            self.trace.forked = forked_in_words(request.forked)
        self._run_is_managed = False
        self._border = Border(self)
        if self.continues:
            self.state.leaves = self._border.leaves
            self._border.restore_messages(request.part_before)

    async def run(self, request: Request) -> Result:
        """Do the work of the workflow; to be defined by the subclass, below `@workflow.run`.

        Args:
            request: What the run is started with.

        Returns:
            Its result, of which the fields of `RunResult` are filled in afterwards.
        """
        raise NotImplementedError

    @workflow.query(
        description="What is wrong with a request for another run of this workflow: values, and unknown fields"
    )
    def request_problems(self, *args: Any) -> list[str]:
        """Check the request of a fork before it starts: only a worker has the class."""
        return problems_in(type(self.request), args[0] if args else {})

    async def keep_report(self) -> Content:
        """Keep the step trace of the run in the content store."""
        return await keep_report(self.trace.report(), archived=self.state.archive.refs)


def _init_like(run: Callable[..., Any], cls: type[Any]) -> Callable[..., None]:
    """Make the `__init__` of a class that takes what its `run` takes: the SDK compares the annotations of the two."""

    def init(self: Any, request: Any) -> None:
        super(cls, self).__init__(request)

    init.__name__ = "__init__"
    init.__signature__ = inspect.signature(run)  # type: ignore[attr-defined]
    return init


Workflow = AgentWorkflow[Any, Any]
Run = Callable[[Any, Any], Awaitable[Any]]


def _managed(run: Run) -> Run:
    """Manage this `run` of a class; one that a subclass's `run` calls in turn is managed already."""

    @wraps(run)
    async def managed(flow: Workflow, request: Any) -> Any:
        if flow._run_is_managed:
            return await run(flow, request)
        flow._run_is_managed = True
        try:
            return await _manage(flow, run, request)
        finally:
            flow.is_over = True

    return managed


async def _manage(flow: Workflow, run: Run, request: Any) -> Any:
    """Wrap a `run`: keep its budget, and end it completely, so that it never appears to run forever."""
    _refuse_made_up(request)
    flow.budget.start(request.budget)
    if flow.continues and request.part_before is not None:
        await flow._border.restore(request.part_before)
    if request.stream:
        flow.state.streaming = Streaming()
    try:
        await flow.agents.outcomes.read()
        result = await (_guarded(flow, run, request) if flow.undoes or flow.continues else run(flow, request))
        result = await _completed(flow, result)
    except ENDINGS as ended:
        error = failure_of(ended)
        await flow.budget.close()
        state = RunState.CANCELLED if is_cancelled_exception(error) else RunState.FAILED
        _report_end(flow, state, text_of(error))
        await flow.gates.notifier.finish()
        flow.state.broke_off(error)
        noted = flow.state.tools.in_error(flow.budget.in_error(error))
        if noted is ended:
            raise
        raise noted from ended
    await flow.budget.close()
    _report_end(flow, RunState.FAILED if flow.budget.stopped else result.state, flow.budget.stopped)
    await flow.gates.notifier.finish()
    result = flow.budget.in_result(flow.state.tools.in_result(result))
    if flow.budget.stopped:
        raise non_retryable(ErrorKind.BUDGET_REACHED, flow.budget.stopped, result)
    return result


def _report_end(flow: Workflow, state: RunState, error: str = "") -> None:
    """Tell whoever wants to hear of it how the run ends; what becomes of that changes nothing here."""
    if flow.webhooks and not flow.webhooks.delegate:
        flow.gates.notifier.begin(flow.webhooks.run_ended(state, error), f"the run is {state}")


async def _guarded(flow: Workflow, run: Run, request: Any) -> Any:
    """Undo what tools changed, as far as the request says, when the run fails or is stopped."""

    async def work() -> Any:
        journal.begin(flow._border.work if flow.continues else None)
        return await run(flow, request)

    result = await flow.undo.guarded(work(), request.on_failure, flow._border if flow.continues else None)
    if flow.budget.stopped:
        await flow.undo.roll_back(request.on_failure, flow.budget.stopped)
    return flow.undo.listed(result)


async def _completed(flow: Workflow, result: RunResult) -> RunResult:
    """Fill in what the workflow has not: how it ended, what it cost, and its report if any call was made."""
    if not isinstance(result, RunResult):
        raise TypeError(f"{type(flow).__name__}.run returned {result!r}; let it return a RunResult")
    if flow.state.phase is RunState.RUNNING:
        flow.state.close(RunState.COMPLETED if result.state is RunState.RUNNING else result.state)
    update: dict[str, Any] = {"spend": flow.state.spend}
    if result.state is RunState.RUNNING:
        update["state"] = flow.state.phase
    if result.report is None and flow.trace.calls:
        update["report"] = await flow.keep_report()
    return result.model_copy(update=update)


def _refuse_made_up(request: RunRequest) -> None:
    """Refuse state that only an earlier part of this run can have left; raises InputInvalid that names the fields.

    A retry and the next turn of a cron schedule name a run before them too, but begin with the request of the first run.
    """
    info = workflow.info()
    continued = info.continued_run_id is not None and info.attempt == 1 and not info.cron_schedule
    if continued:
        return
    made_up = list(carried_in(request))
    if made_up:
        raise non_retryable(
            ErrorKind.INPUT_INVALID,
            f"{', '.join(made_up)}: only a run that continues as new carries this; leave it out of a first request",
        )
