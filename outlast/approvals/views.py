"""What people see of a waiting gate: in the status, on its timer, and in the server's index. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from outlast.approvals.book import GateBook
from outlast.approvals.deadlines import next_due
from outlast.contracts import (
    GATE_MEMO,
    GATES_IN_MEMO,
    GATES_MEMO,
    RECORDS_MEMO,
    SHORT_DIGEST,
    SUMMARY_LENGTH,
    Approval,
    Content,
    DecisionLog,
    GateDecision,
    GateNews,
    GateOutcome,
    GateRecord,
    GatesShown,
    GateState,
    GateTerms,
    GateView,
    Produced,
    ProposedAction,
    RecordKind,
    StandingApproval,
    StepRow,
)
from outlast.display import displayable
from outlast.workflow.failures import halted

PENDING_GATE = SearchAttributeKey.for_keyword("PendingGate")
GATE_DEADLINE = SearchAttributeKey.for_datetime("GateDeadline")
TURNED_DOWN = (RecordKind.REFUSED, RecordKind.UNREADABLE, RecordKind.LATE)
TURNED_DOWN_SHOWN = 3
BEFORE_SHOWN = 5
"""Earlier steps that a gate shows; the report has all of them."""
BEFORE_IN_MEMO = 50
"""Waiting gates of which a memo shows what led to them; a worker knows it of the others."""


def produced(steps: Mapping[str, StepRow], names: Sequence[str]) -> tuple[Produced, ...]:
    """Show what earlier steps produced, the last few of those named: the beginning of each result."""
    rows = [steps[name] for name in names if name in steps]
    return tuple(
        Produced(step=row.step, agent=row.agent, summary=text)
        for row in rows[-BEFORE_SHOWN:]
        if (text := beginning_of(row.output))
    )


def beginning_of(content: Content | None) -> str:
    """Return the beginning of a text, on one line; "" where there is none."""
    text = displayable(" ".join((content.summary or content.text or "").split())) if content is not None else ""
    return text if len(text) <= SUMMARY_LENGTH else f"{text[: SUMMARY_LENGTH - 1]}…"


def report_of(inbox: str, workflow_id: str) -> str:
    """Return the address of a run's report in the inbox; "" where none is known."""
    quoted = "".join(
        one if one.isascii() and (one.isalnum() or one in "-._~") else "".join(f"%{byte:02X}" for byte in one.encode())
        for one in workflow_id
    )
    return f"{inbox.rstrip('/')}/report?run={quoted}" if inbox else ""


def index_of(waiting: Sequence[GateState]) -> list[SearchAttributeUpdate[Any]]:
    """Name the gate that waits with the nearest deadline; nothing waits, nothing is indexed."""
    first = min(waiting, key=lambda gate: gate.deadline, default=None)
    if first is None:
        return [PENDING_GATE.value_unset(), GATE_DEADLINE.value_unset()]
    return [PENDING_GATE.value_set(first.name), GATE_DEADLINE.value_set(first.deadline)]


def view_of(gate: GateState) -> GateView:
    """Show a gate as people see it."""
    action = gate.action
    return GateView(
        name=gate.name,
        description=displayable(action.description),
        deadline=gate.deadline,
        digest=gate.digest,
        agent=action.agent,
        tool=action.tool,
        arguments=gate.shown.text,
        whole=gate.shown.whole,
        size=gate.shown.size,
        counts=gate.shown.counts,
        ref=action.ref,
        target=action.target,
        risk=action.risk,
        needed=gate.needed,
        approved_by=tuple(each.by for each in gate.approvers),
        may_decide=gate.may_decide,
        requester=gate.requester,
        asked_by=gate.asked_by,
        requester_may_approve=gate.policy.requester_may_approve,
        opened=gate.opened,
        repeats=gate.repeats and gate.policy.stop_asking is not False,
        before=gate.before,
    )


def memo_of(
    log: DecisionLog,
    new: Sequence[GateRecord],
    waiting: Sequence[GateView],
    standing: Sequence[StandingApproval] = (),
) -> dict[str, Any]:
    """Write how the log stands and its new records."""
    down = [record for record in log.records if record.kind in TURNED_DOWN] if waiting else []
    shown = GatesShown(
        records=new[-1].seq,
        head=new[-1].hash,
        turned_down=tuple(f"{each.kind}: {each.reason}"[:SUMMARY_LENGTH] for each in down[-TURNED_DOWN_SHOWN:]),
        more=max(0, len(waiting) - GATES_IN_MEMO),
        standing=tuple(standing),
    )
    return {GATES_MEMO: shown, RECORDS_MEMO: DecisionLog(records=tuple(new), unkept=log.unkept)}


def changed_gates(before: Mapping[str, GateView], waiting: Sequence[GateView]) -> dict[str, GateView | None]:
    """Write only the gates that have changed since the memo was written, each in a field of its own; None takes one out."""
    now = {view.name: view for view in waiting}
    gone: dict[str, GateView | None] = {f"{GATE_MEMO}{name}": None for name in before if name not in now}
    new = {name: view for name, view in now.items() if before.get(name) is not view and before.get(name) != view}
    return gone | {f"{GATE_MEMO}{name}": view for name, view in new.items()}


class Views:
    """Gates as people see them; one that has not changed is not written anew, as all are shown for each that does."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[GateState, tuple[str, bool], GateView]] = {}

    def of(self, gate: GateState, terms: GateTerms) -> GateView:
        """Show a gate by the terms of now."""
        known, by = self._known.get(gate.name), (terms.inbox, terms.demands_token)
        if known is None or known[0] is not gate or known[1] != by:
            report = report_of(terms.inbox, workflow.info().workflow_id)
            view = view_of(gate).model_copy(update={"signed": terms.demands_token, "report": report})
            known = self._known[gate.name] = (gate, by, view)
        return known[2]


def _fitting(waiting: Sequence[GateView]) -> list[GateView]:
    """Return the gates that a memo shows; what led to them only of the first, because a server refuses a memo over 2 MB."""
    first, others = waiting[:BEFORE_IN_MEMO], waiting[BEFORE_IN_MEMO:GATES_IN_MEMO]
    return [*first, *(view.model_copy(update={"before": ()}) if view.before else view for view in others)]


class Published:
    """What a run has shown of its gates where the server keeps it: in its memo, and in the index."""

    def __init__(self, seq: int = 0, waiting: Sequence[GateView] = ()) -> None:
        self._seq = seq
        self._in_memo = {view.name: view for view in _fitting(waiting)}

    def update(self, book: GateBook, waiting: Sequence[GateView], *, indexed: bool) -> list[GateRecord]:
        """Write what is new; returns the new records."""
        new = [record for record in book.records if record.seq > self._seq]
        if not new:
            return []
        self._seq = new[-1].seq
        shown = _fitting(waiting)
        standing = tuple(book.standing.approvals.values())
        workflow.upsert_memo({**memo_of(book.log, new, waiting, standing), **changed_gates(self._in_memo, shown)})
        self._in_memo = {view.name: view for view in shown}
        if indexed:
            workflow.upsert_search_attributes(index_of(book.waiting))
        return new


def news_of(record: GateRecord, gate: GateState, view: GateView) -> GateNews:
    """Return a gate as people see it."""
    return GateNews(
        workflow_id=workflow.info().workflow_id,
        kind=record.kind,
        gate=view,
        outcome=gate.outcome,
        to=gate.policy.escalate_to if record.kind is RecordKind.ESCALATED else gate.may_decide,
        head=record.hash,
        by=gate.by,
        reason=gate.reason,
    )


def noise_text(record: GateRecord) -> str:
    """Return what the status says of a message that changed nothing."""
    about = " ".join(part for part in (record.gate, record.verdict, f"by {record.by}" if record.by else "") if part)
    return f"{about or 'a decision'} is {record.kind}: {record.reason}"


def timer_text(gate: GateState) -> str:
    """Return the timer's summary of what it waits for."""
    what = "deadline" if next_due(gate) == gate.deadline else "reminder or escalation"
    return displayable(f"{gate.name} {gate.digest[:SHORT_DIGEST]} {what}: {gate.action.description}")[:200]


def decision_of(gate: GateState, workflow_id: str) -> GateDecision:
    """Return the decision for the run; raises HaltedError where the policy halts it."""
    if gate.outcome is GateOutcome.HALTED:
        raise halted(
            f"{gate.name}: nobody decided on {gate.action.description!r} by {gate.deadline:%Y-%m-%d %H:%M} UTC, "
            "and its policy halts the run"
        )
    yes = Approval(
        workflow_id=workflow_id,
        run=gate.run,
        gate=gate.name,
        digest=gate.digest,
        by=gate.by,
        agent=gate.action.agent,
        target=gate.action.target,
        standing=gate.standing,
    )
    return GateDecision(
        gate=gate.name,
        outcome=gate.outcome,
        action=gate.action,
        by=gate.by,
        reason=gate.reason,
        approval=yes if gate.outcome is GateOutcome.APPROVED else None,
        standing=gate.standing,
    )


def covered_by(given: StandingApproval, action: ProposedAction, workflow_id: str, run: str) -> GateDecision:
    """Return the decision on a call that an approval of another one covers; the approval is of exactly this call."""
    words = given.description[:SUMMARY_LENGTH]
    yes = Approval(
        workflow_id=workflow_id,
        run=run,
        gate=given.name,
        digest=action.digest,
        by=given.by,
        agent=action.agent,
        target=action.target,
        standing=words,
    )
    return GateDecision(
        gate=given.name, outcome=GateOutcome.APPROVED, action=action, by=given.by, approval=yes, standing=words
    )
