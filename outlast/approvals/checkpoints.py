"""Checkpoints: a gate that shows how far a run is and what it would do next. People let it go on, change what is ahead, or stop.

A changed plan is checked while its sender waits, and refused with every reason; the gate stays open then. Stopping
is no failure. So nothing that is done is rolled back or lost, and the result says who stopped the run.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from outlast.approvals.gates import Gates
from outlast.contracts import (
    SUMMARY_LENGTH,
    CheckpointPolicy,
    CheckpointWhen,
    Effect,
    GateOutcome,
    GatePolicy,
    ProposedAction,
    Risk,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.workflow.keeping import keep_text

Ahead = Mapping[str, Any]
"""What is ahead, as JSON data that people can edit: `{"plan": {"steps": […]}}` or `{"stages": […]}`."""

INLINE = 1000
"""Longest JSON of what is ahead that goes into the gate itself; more is kept in the content store."""


class StoppedError(Exception):
    """A person, or the end of the time, stopped the run at a checkpoint; always caught by the workflow."""


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, gates: Gates, policy: CheckpointPolicy) -> None:
        self.policy = policy
        self._gates = gates

    def at(self, when: CheckpointWhen) -> bool:
        """Whether the run stops there."""
        return self.policy.when is when

    def only(self, *known: CheckpointWhen) -> None:
        """Refuse a checkpoint that this workflow does not have; raises InputInvalid."""
        if self.policy.when not in (CheckpointWhen.NONE, *known):
            raise non_retryable(
                ErrorKind.INPUT_INVALID,
                f"checkpoint: this workflow does not stop at {self.policy.when}; use {' or '.join(known)}",
            )

    async def hold(self, where: str, done: str, ahead: Ahead, check: Callable[[Ahead], Sequence[str]]) -> Ahead | None:
        """Wait for people; returns what is ahead as they edited it, None as it was, raises StoppedError where they stop.

        `check` lists everything that is wrong with an edit.
        """
        text = json.dumps(ahead, ensure_ascii=False)
        ref = await self._kept(text, where) if len(text) > INLINE else None
        action = ProposedAction(
            description=f"{where}: go on? {done}"[:SUMMARY_LENGTH],
            input={} if ref else ahead,
            ref=ref,
            effect=Effect.READ,
            risk=Risk.LOW,
        )
        decision = await self._gates.open(
            action,
            self._policy(),
            check=lambda edited: check(edited.input) if edited.ref is None else (),
            describe=lambda _: f"{where}: go on with what is ahead as edited? {done}"[:SUMMARY_LENGTH],
            takes=tuple(ahead),
        )
        if decision.approved:
            return decision.action.input if decision.action != action else None
        who = ", ".join(decision.by) or "nobody decided in time"
        by = f"by {who}" if decision.outcome is GateOutcome.DENIED else f"because {who}"
        raise StoppedError(
            f"stopped {where} {by}" + (f": {decision.reason}" if decision.by and decision.reason else "")
        )

    def _policy(self) -> GatePolicy:
        """The requester may approve a checkpoint: it changes nothing outside the run."""
        return self.policy.gate.model_copy(update={"requester_may_approve": True})

    async def _kept(self, text: str, where: str) -> str | None:
        kept = await keep_text(
            text,
            f"keep what is ahead of the checkpoint {where}",
            media_type="application/json",
            summary=f"ahead of {where}"[:SUMMARY_LENGTH],
            by_reference=True,
        )
        return kept.ref
