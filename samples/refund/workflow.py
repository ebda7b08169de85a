"""A refund that two people must approve, and that is rolled back when a later step fails.

Route, look up, propose, decide, then act: a row, a mail, a booking. The mail cannot be undone. So it holds only what people
approved, goes out after the row is there, and the result names it when everything else was undone.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from outlast.agents.tool_calls import call_tool
from outlast.agents.tool_gates import approved_with, reason_of
from outlast.contracts import (
    Approval,
    Content,
    Effect,
    GateDecision,
    GateOutcome,
    Part,
    ProposedAction,
    RunState,
    StepRow,
    StepState,
    ToolCall,
    Toolset,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.routing.choosing import CLASSIFIER, Chooser
from outlast.routing.requests import RequestText, RouteRequest
from outlast.routing.rules import categories_of
from outlast.workflow.base import AgentWorkflow
from samples.refund import policy
from samples.refund.contracts import RefundOutcome, RefundRequest, RefundResult
from samples.refund.policy import Order, Proposal, money

AGENT = CATEGORY = "billing"
"""The category of refunds, and the agent that proposes them."""
ENDS = {GateOutcome.TIMED_OUT: RefundOutcome.TIMED_OUT}


@workflow.defn
class RefundWorkflow(AgentWorkflow[RefundRequest, RefundResult]):
    """Refunds one order; what is denied or undecided changes nothing, what fails is rolled back by policy."""

    undoes = (
        False  # the result lists what became of each change, so the guard of its own runs before the result is made
    )

    @workflow.init
    def __init__(self, request: RefundRequest) -> None:
        super().__init__(request)
        self._tools = Toolset()
        self._result = RefundResult(state=RunState.RUNNING, outcome=RefundOutcome.FAILED, order=request.order)

    @workflow.run
    async def run(self, request: RefundRequest) -> RefundResult:
        """Refund an order; raises the typed cause, with the result and the state of each change."""
        try:
            await self.undo.guarded(self._work(request), request.on_failure)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            self.state.close(RunState.FAILED)
            raise non_retryable(kind_of(error), text_of(error), await self._ended()) from error
        self.state.close(RunState.COMPLETED)
        return await self._ended()

    async def _work(self, request: RefundRequest) -> None:
        await self.agents.read((CLASSIFIER, AGENT))
        if not await self._is_ours(request):
            self._record(outcome=RefundOutcome.ELSEWHERE)
            return
        await self._equip(request)
        found = await self._call("order", policy.QUERY, policy.question(request.order))
        order = policy.read_order(request.order, found.text)
        proposal = await self._propose(request, order)
        row = policy.row_of(order, proposal, AGENT)
        decision: GateDecision | None = None
        if proposal.cents > request.limit_cents or proposal.note:
            decision = await self._decided(row, order)
            if not decision.approved:
                outcome = ENDS.get(decision.outcome, RefundOutcome.DENIED)
                self._record(outcome=outcome, notes=(*self._result.notes, reason_of(decision)))
                return
            row = decision.action
        await self._act(request, order, row, decision)
        self._record(outcome=RefundOutcome.REFUNDED)

    async def _is_ours(self, request: RefundRequest) -> bool:
        """Route the request as any other; only a matter of money goes on here."""
        self._step("route", CLASSIFIER)
        asked = RouteRequest(requests=(RequestText(name="request", text=request.text),))
        choice = await Chooser(self.agents, asked, categories_of(asked)).choose("route", request.text)
        self.state.end("route", StepState.DONE, output=_content(choice.category), note="; ".join(choice.notes))
        self._record(category=choice.category, notes=choice.notes)
        return choice.category == CATEGORY

    async def _equip(self, request: RefundRequest) -> None:
        """Read the tools, and refuse to begin where one is missing: half a refund is worse than none."""
        needed = [name for name in policy.SETTINGS if name != policy.CALL or request.ledger_url]
        self._tools = await self.agents.toolset(
            self.agents.card(AGENT).model_copy(update={"name": "refund", "tools": tuple(needed)})
        )
        missing = [name for name in needed if self._tools.get(name) is None]
        if missing:
            settings = ", ".join(f"{name} ({policy.SETTINGS[name]})" for name in missing)
            raise non_retryable(
                ErrorKind.TOOL_UNKNOWN, f"a refund needs tools that this worker does not have: set {settings}"
            )
        ledger = self._tools.get(policy.CALL) if request.ledger_url else None
        if ledger and (wrong := policy.unbookable(ledger, request.ledger_url, request.order)):
            raise non_retryable(ErrorKind.INPUT_INVALID, f"ledger_url: {wrong}")

    async def _propose(self, request: RefundRequest, order: Order) -> Proposal:
        facts = f"order {order.id} of {order.customer}: {money(order.open_cents)} can be refunded"
        asked = f" {money(request.amount_cents)} is asked for." if request.amount_cents is not None else ""
        answer = await self.agents.ask(
            AGENT,
            [
                request.text.model_copy(update={"label": "request"}),
                Part(text=facts, label="order"),
                Part(text=policy.PROPOSE + asked),
            ],
            step="propose",
            schema=policy.PROPOSAL_SCHEMA,
            accept_invalid=True,
        )
        proposal = policy.propose(request, order, answer.data)
        notes = (*self._result.notes, *answer.notes, *([proposal.note] if proposal.note else []))
        self._record(amount_cents=proposal.cents, reason=proposal.reason, notes=notes)
        return proposal

    async def _decided(self, row: ProposedAction, order: Order) -> GateDecision:
        self._step("approval", "")
        decision = await self.gates.open(row, check=policy.edits(order), describe=partial(policy.described, order))
        outcome = f"approved by {', '.join(decision.by)}" if decision.approved else reason_of(decision)
        self.state.end("approval", StepState.DONE, output=_content(outcome))
        self._record(gate=decision.gate, approved_by=decision.by if decision.approved else ())
        return decision

    async def _act(
        self, request: RefundRequest, order: Order, row: ProposedAction, decision: GateDecision | None
    ) -> None:
        """Carry out what was approved: the row itself, the mail about it, and its booking."""
        values = row.input["values"]
        cents = int(values["amount_cents"])
        self._record(amount_cents=cents, reason=values["reason"])
        await self._call("row", policy.INSERT, row.input, decision.approval if decision else None)
        await self._covered("mail", policy.MAIL, policy.mail_of(order, cents), decision)
        if request.ledger_url:
            booking = policy.booking_of(request.ledger_url, order, cents)
            await self._covered("booking", policy.CALL, booking, decision)

    async def _covered(self, step: str, tool: str, arguments: Mapping[str, Any], decision: GateDecision | None) -> None:
        """Call a tool whose arguments follow from the approved row alone, so that the same approval covers it."""
        action = ProposedAction(description=step, agent=AGENT, tool=tool, input=arguments, effect=Effect.IRREVERSIBLE)
        run = decision.approval.run if decision and decision.approval else ""
        approval = (
            approved_with(action, f"covered by {decision.gate}", decision.by, run)
            if decision
            else approved_with(action)
        )
        await self._call(step, tool, arguments, approval)

    async def _call(self, step: str, tool: str, arguments: Mapping[str, Any], approval: Approval | None = None) -> Part:
        """Call one tool as a step of its own; raises ToolUnavailable with its error where it failed."""
        self._step(step, AGENT)
        card = self._tools.get(tool)
        assert card is not None
        call = ToolCall(id=step, name=tool, input=arguments)
        answer = await call_tool(self, step, AGENT, card, call, self._tools.specs, approval)
        if answer.failed:
            error = f"{step}: {' '.join((answer.content.text or 'it failed').split())[:500]}"
            self.state.end(step, StepState.FAILED, note=error)
            raise non_retryable(ErrorKind.TOOL_UNAVAILABLE, error)
        self.state.end(step, StepState.DONE, output=_content(" ".join((answer.content.text or "").split())[:200]))
        return answer.content

    def _step(self, step: str, agent: str) -> None:
        self.state.add(StepRow(step=step, agent=agent))
        self.state.begin(step)

    def _record(self, **fields: Any) -> None:
        self._result = self._result.model_copy(update=fields)

    async def _ended(self) -> RefundResult:
        failed = self.state.phase is RunState.FAILED
        return self._result.model_copy(
            update={
                "state": self.state.phase,
                "outcome": RefundOutcome.FAILED if failed else self._result.outcome,
                "changes": self.undo.changes,
                "report": await self.keep_report(),
                "spend": self.state.spend,
            }
        )


def _content(text: str) -> Content:
    return Content(text=text, size=len(text))
