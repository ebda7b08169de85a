"""Lets decisions in one after the other, and where this deployment demands it only those that prove who sent them.

Checks of tokens are activities, and messages go on arriving while they run. So checks run side by side, and each message, and the
opening of each gate, is then taken in its turn: in the order of history, so that replay writes the same log. The turn is not
held while terms are read or people notified. A token counts once: whoever reads it there can do nothing with it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from temporalio import workflow

from outlast.approvals.identity_activities import GateTermsActivities
from outlast.contracts import (
    Decision,
    GateTerms,
    GateTermsRequest,
    Identity,
    IdentityRequest,
    ProposedAction,
    UsedToken,
    hashed,
)
from outlast.errors import text_of
from outlast.workflow import policies
from outlast.workflow.activity_calls import execute_local, is_recent, run_activity_anew
from outlast.workflow.failures import FAILURES

Checked = tuple[Decision, Decision | str]
"""A decision, and as it may be counted, or why not."""

UNSIGNED = "it carries no signed token, and decisions here must; make one with the command approver-token"


class Authentication:
    """The turn of everything at the gates of one run, and the terms they open by; `known` once a gate has opened."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.terms = GateTerms()
        self.known = False
        self.used: dict[str, UsedToken] = {}

    async def learn(self, action: ProposedAction) -> GateTerms:
        """Read the terms for an action anew: a run may wait for weeks, and a demand once made is never taken back.

        Not by a local activity: what follows one has another time on replay, and records of gates are chained with their time.
        """
        asked = GateTermsRequest(ref=action.ref, risk=action.risk, tool=action.tool)
        terms = await run_activity_anew(GateTermsActivities.gate_terms, asked, **policies.gate_terms())
        demanded = terms.demands_token or self.terms.demands_token
        self.terms, self.known = terms.model_copy(update={"demands_token": demanded}), True
        return self.terms

    async def identified(self, decision: Decision, now: datetime) -> Decision | str:
        """Return the decision as it may be counted, or why not; before the first gate it is kept with its token."""
        if not self.known:
            return decision.model_copy(update={"received": now}) if decision.token else decision
        if not self.terms.demands_token or decision.verified:
            return decision.model_copy(update={"token": ""})
        if not decision.token:
            return UNSIGNED
        info = workflow.info()
        asked = IdentityRequest(
            token=decision.token,
            at=decision.received or now,
            run=info.workflow_id,
            chain=info.first_execution_run_id,
            gate=decision.gate,
            digest=decision.digest,
            verdict=decision.verdict,
            edit="" if decision.edit is None else hashed(decision.edit),
            stop_asking="" if decision.stop_asking is None else decision.stop_asking.digest,
        )
        try:
            found = await self._found(asked)
        except FAILURES as error:
            return f"its token could not be checked: {text_of(error)}"
        if found.refused or not found.by:
            return found.refused or "its token names nobody"
        bare = {"token": "", "by": found.by, "verified": True}
        proven = decision.model_copy(
            update=bare | {"gate": decision.gate or found.gate, "digest": decision.digest or found.digest}
        )
        return self._once(proven, found.jti, found.expires or now, asked.at) or proven

    async def _found(self, asked: IdentityRequest) -> Identity:
        check = GateTermsActivities.check_identity
        if is_recent():
            return await run_activity_anew(check, asked, **policies.check_identity())
        return await execute_local(check, asked, **policies.check_identity_locally())

    async def checked(self, early: Sequence[Decision], now: datetime) -> list[Checked]:
        """Hold decisions that came before any gate to the terms that are known now."""
        return [(one, await self.identified(one, now)) for one in list(early)]

    def _once(self, decision: Decision, jti: str, expires: datetime, at: datetime) -> str:
        """Return why a token does not count again; the same message twice is the same decision."""
        content = decision.model_dump(mode="json", include={"gate", "verdict", "digest", "edit"})
        if decision.stop_asking is not None:
            content["stop_asking"] = decision.stop_asking.digest
        fingerprint = hashed(content)
        before = self.used.get(jti)
        if before is not None:
            return "" if before.fingerprint == fingerprint else "its token was used for another decision already"
        self.used = {name: token for name, token in self.used.items() if token.expires > at}
        self.used[jti] = UsedToken(expires=expires, fingerprint=fingerprint)
        return ""

    def restore(self, used: Mapping[str, UsedToken], *, signed: bool) -> None:
        """Take over the tokens that were used in the part of the run before, and whether it demanded any."""
        self.used = dict(used)
        if signed:  # gates that were left open are decided before the terms are read anew
            self.terms, self.known = GateTerms(demands_token=True), True


def admitted(
    early: Sequence[Decision], checked: Sequence[Checked], unsigned: str
) -> tuple[list[Decision], list[tuple[Decision, str]]]:
    """Sort early decisions, in their order, into those that may be counted and those that are refused, with the reason.

    With `unsigned`, the reason for it, only those pass whose sender is proven.
    """
    kept: list[Decision] = []
    refused: list[tuple[Decision, str]] = []
    for one in early:
        admitted_as = next((result for sent, result in checked if sent is one), one)
        if isinstance(admitted_as, str):
            refused.append((one, admitted_as))
        elif unsigned and not admitted_as.verified:
            refused.append((one, unsigned))
        else:
            kept.append(admitted_as)
    return kept, refused


def after_reset(terms: GateTerms) -> bool:
    """Whether these terms were read after the run was reset: it then has another run id than the one it began with."""
    first = workflow.info().original_execution_run_id
    return bool(terms.run and first and terms.run != first)


def was_reset() -> bool:
    """Whether the run that executes now is one that a reset made; for its end alone, which no later run replays."""
    info = workflow.info()
    return info.run_id != info.original_execution_run_id
