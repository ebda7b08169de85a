"""An undo that keeps failing is put before a person: a yes tries it again, a no or silence gives it up."""

from outlast.approvals.gates import Gates
from outlast.contracts import Change, OnTimeout, ProposedAction, Risk, StuckDecision

NOT_EDITED = "an undo has no arguments to change; approve it or deny it"


async def decide_on_stuck(gates: Gates, change: Change, error: str) -> StuckDecision:
    """Ask whether an undo shall be tried again."""
    action = ProposedAction(
        description=f"try again to undo {change.step} · {change.tool}({change.arguments}), which fails: {error}"[:200],
        agent=change.agent,
        tool=change.undo_tool,
        input={"key": change.key, **change.undo},
        effect=change.effect,
        risk=Risk.MEDIUM,
    )
    policy = gates.policy
    if policy.on_timeout is OnTimeout.HALT:
        # The run is ending already; a halt must not break off the rollback.
        policy = policy.model_copy(update={"on_timeout": OnTimeout.DENY})
    decision = await gates.open(action, policy, check=lambda _: (NOT_EDITED,))
    return StuckDecision.RETRY if decision.approved else StuckDecision.GIVE_UP
