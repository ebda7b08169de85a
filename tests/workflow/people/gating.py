"""A small workflow that acts only behind gates, its acting activity, and what tests send to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any
from uuid import uuid4

from pydantic import Field
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from outlast.approvals.approved_calls import check_approved
from outlast.approvals.identity_activities import GateTermsActivities
from outlast.contracts import (
    CARRIED,
    Approval,
    Contract,
    DecisionLog,
    GateDecision,
    GateNews,
    GatePolicy,
    GatesCarried,
    GateView,
    ProposedAction,
    Risk,
    RunRequest,
    RunResult,
    breaks,
)
from outlast.workflow.base import AgentWorkflow
from tests.policed import policed

QUEUE = "gated"


class Job(RunRequest):
    """What the workflow proposes: `gates` times the same payment, one after the other or `at_once`.

    With `waits` it first waits for the signal `begin`, with `rolls` it continues as new at `roll`; `changed` is what the
    activity is given in place of what was approved. `amounts` are paid one after the other in place of `gates` times the same, by
    calls of which people may approve further ones.
    """

    amount: Any = 5
    amounts: tuple[float, ...] = ()
    policy: GatePolicy = GatePolicy()
    risk: Risk = Risk.MEDIUM
    gates: int = 1
    at_once: bool = False
    waits: bool = False
    rolls: bool = False
    indexed: bool = False
    changed: dict[str, Any] | None = None
    carried: Annotated[GatesCarried, CARRIED] = GatesCarried()
    done: tuple[GateDecision, ...] = ()


class Payment(Contract):
    tool: str = "pay"
    input: Mapping[str, Any] = Field(default_factory=dict)
    ref: str | None = None
    approval: Approval | None = None


class Paid(RunResult):
    decisions: tuple[GateDecision, ...] = ()
    paid: tuple[Any, ...] = ()
    told: tuple[str, ...] = ()


@activity.defn
async def pay(payment: Payment) -> Paid:
    check_approved(payment, payment.approval)
    return Paid(paid=(payment.input["amount"],))


@workflow.defn
class GatedWorkflow(AgentWorkflow[Job, Paid]):
    @workflow.init
    def __init__(self, request: Job) -> None:
        super().__init__(request)
        self.told: list[str] = []
        self.begun = not request.waits
        self.rolled = False
        self.gates.notify = self.tell
        self.gates.indexed = request.indexed
        self.gates.restore(request.carried)

    @workflow.run
    async def run(self, request: Job) -> Paid:
        await workflow.wait_condition(lambda: self.begun, timeout=timedelta(days=400))
        paid: list[Any] = []
        decisions = list(request.done)
        if request.at_once:
            decisions += await asyncio.gather(*(self.propose(request, n) for n in range(request.gates)))
        while len(decisions) < (len(request.amounts) or request.gates):
            if request.amounts:
                request = request.model_copy(update={"amount": request.amounts[len(decisions)]})
            one = self.go_on_as_new_when_told(request, tuple(decisions)) if request.rolls else self.propose(request)
            decisions.append(await one)
            if request.amounts:
                paid += await self.act(request, decisions[-1])
        for decision in [] if request.amounts else decisions:
            paid += await self.act(request, decision)
        return Paid(decisions=tuple(decisions), paid=tuple(paid), told=tuple(self.told))

    async def act(self, request: Job, decision: GateDecision) -> tuple[Any, ...]:
        if not decision.approved:
            return ()
        given = decision.action.input if request.changed is None else request.changed
        done = await workflow.execute_activity(
            pay,
            Payment(tool=decision.action.tool, input=given, approval=decision.approval),
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
        return done.paid

    @workflow.signal
    def begin(self, *args: Any) -> None:
        self.begun = True

    @workflow.signal
    def roll(self, *args: Any) -> None:
        self.rolled = True

    async def propose(self, request: Job, number: int = 0) -> GateDecision:
        amount = request.amount if not request.at_once else f"{request.amount}-{number}"
        action = ProposedAction(
            description="Pay the bill",
            agent="clerk",
            tool="pay",
            input={"amount": amount},
            risk=request.risk,
            target="acme",
        )
        return await self.gates.open(action, request.policy, requester=request.requester, repeats=bool(request.amounts))

    async def go_on_as_new_when_told(self, request: Job, done: tuple[GateDecision, ...]) -> GateDecision:
        """Wait at a gate, or leave it open and go on as a new run."""
        opened = asyncio.create_task(self.propose(request))
        told = self.gates.notifier  # as at every border: where a message stands in Slack is carried over, too
        await workflow.wait_condition(
            lambda: (self.rolled and not told.pending) or opened.done(), timeout=timedelta(days=400)
        )
        if not opened.done():
            onward = {"carried": self.gates.carried(), "waits": False, "done": done}
            workflow.continue_as_new(request.model_copy(update=onward))
        return opened.result()

    async def tell(self, news: GateNews) -> None:
        self.told.append(f"{news.kind} to {', '.join(news.to) or 'all'}")
        if self.told == ["opened to nobody"]:
            raise ApplicationError("nobody hears")


@asynccontextmanager
async def gated(
    env: WorkflowEnvironment | Client, secret: str = "", *, terms: GateTermsActivities | None = None, **options: Any
) -> AsyncIterator[None]:
    """Run a worker for the workflow above, in the full sandbox; with a `secret`, decisions must be signed."""
    terms = terms or GateTermsActivities(secret)
    async with Worker(
        env if isinstance(env, Client) else env.client,
        task_queue=QUEUE,
        workflows=[GatedWorkflow],
        activities=[pay, terms.gate_terms, terms.check_identity],
        workflow_runner=policed(),
        **options,
    ):
        yield


async def start(env: WorkflowEnvironment, job: Job, **options: Any) -> WorkflowHandle[Any, Any]:
    return await env.client.start_workflow(
        GatedWorkflow.run, job, id=f"gated-{uuid4().hex[:8]}", task_queue=QUEUE, **options
    )


async def waiting(handle: WorkflowHandle[Any, Any], count: int = 1) -> tuple[GateView, ...]:
    """Wait until gates are open; only with time skipping disabled."""
    async with asyncio.timeout(30):
        while True:
            status = await handle.query(GatedWorkflow.status)
            if len(status.gates) == count:
                return status.gates
            await asyncio.sleep(0.05)


async def waiting_at(handle: WorkflowHandle[Any, Any], name: str) -> GateView:
    """Wait until the gate of that name, alone, is open."""
    async with asyncio.timeout(30):
        while (found := (await waiting(handle))[0]).name != name:  # noqa: ASYNC110 - a query has no event
            await asyncio.sleep(0.05)
    return found


async def next_part(env: WorkflowEnvironment, handle: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
    """Wait until a run has continued as new."""
    latest: WorkflowHandle[Any, Any] = env.client.get_workflow_handle(handle.id, result_type=Paid)
    async with asyncio.timeout(30):
        while (await latest.describe()).run_id == handle.first_execution_run_id:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)
    return latest


async def log_of(handle: WorkflowHandle[Any, Any]) -> DecisionLog:
    log = await handle.query(GatedWorkflow.decisions)
    assert breaks(log.records) == ()
    return log


async def kinds(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [str(record.kind) for record in (await log_of(handle)).records]


async def decided(env: WorkflowEnvironment, job: Job, *sent: tuple[str, Any], **options: Any) -> tuple[Paid, list[str]]:
    """Open the gate of a job, send signals one after the other, and return the result and what was recorded."""
    async with gated(env, **options):
        handle = await start(env, job)
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            for name, value in sent:
                await handle.signal(name, args=[] if value is None else [value])
            result: Paid = await handle.result()
        return result, await kinds(handle)
