"""What people see of a waiting gate: in the status, on its timer, and in the server's index. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from activities.contracts import SHORT_DIGEST, Approval
from workflows.contracts import GateDecision, GateOutcome, GateState, GateView
from workflows.patterns.failing import halted

PENDING_GATE = SearchAttributeKey.for_keyword("PendingGate")
GATE_DEADLINE = SearchAttributeKey.for_datetime("GateDeadline")
ARGUMENTS_SHOWN = 1000


def index_of(waiting: Sequence[GateState]) -> list[SearchAttributeUpdate[Any]]:
    """Name the gate that waits with the nearest deadline; nothing waits, nothing is indexed."""
    first = min(waiting, key=lambda gate: gate.deadline, default=None)
    if first is None:
        return [PENDING_GATE.value_unset(), GATE_DEADLINE.value_unset()]
    return [PENDING_GATE.value_set(first.name), GATE_DEADLINE.value_set(first.deadline)]


def view_of(gate: GateState) -> GateView:
    """Show a gate as people see it."""
    action = gate.action
    arguments = json.dumps(dict(action.input), ensure_ascii=False) if action.ref is None else action.ref
    if len(arguments) > ARGUMENTS_SHOWN:
        arguments = f"{arguments[:ARGUMENTS_SHOWN]}… ({len(arguments):,} characters)"
    return GateView(
        name=gate.name,
        description=action.description,
        deadline=gate.deadline,
        digest=gate.digest,
        agent=action.agent,
        tool=action.tool,
        arguments=arguments,
        target=action.target,
        risk=action.risk,
        needed=gate.policy.needed,
        approved_by=tuple(each.by for each in gate.approvers),
        may_decide=gate.may_decide,
        requester=gate.requester,
        opened=gate.opened,
    )


def timer_text(gate: GateState) -> str:
    """Say on the timer what it waits for."""
    what = "deadline" if min(gate.alarms) == gate.deadline else "reminder or escalation"
    return f"{gate.name} {gate.digest[:SHORT_DIGEST]} {what}: {gate.action.description}"[:200]


def decision_of(gate: GateState, workflow_id: str) -> GateDecision:
    """Tell the run what was decided; raises HaltedError where the policy halts it."""
    if gate.outcome is GateOutcome.HALTED:
        raise halted(
            f"{gate.name}: nobody decided on {gate.action.description!r} by {gate.deadline:%Y-%m-%d %H:%M} UTC, "
            "and its policy halts the run"
        )
    yes = Approval(
        workflow_id=workflow_id,
        gate=gate.name,
        digest=gate.digest,
        by=gate.by,
        agent=gate.action.agent,
        target=gate.action.target,
    )
    return GateDecision(
        gate=gate.name,
        outcome=gate.outcome,
        action=gate.action,
        by=gate.by,
        reason=gate.reason,
        approval=yes if gate.outcome is GateOutcome.APPROVED else None,
    )
