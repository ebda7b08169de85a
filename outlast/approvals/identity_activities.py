"""What a gate must know of its deployment, and whether a decision was sent by whom it says.

The secret never enters history. The token of a decision does, with the message that brings it and with this check; it holds for
that one decision alone, and once. In runs that began before 0.3 the check is a local activity.
"""

import json
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.contracts import (
    SUMMARY_LENGTH,
    ArgumentsShown,
    Content,
    DeploymentPolicy,
    GateTerms,
    GateTermsRequest,
    Identity,
    IdentityRequest,
    shown,
)
from outlast.storage.activities import ContentStore


class GateTermsActivities:
    """Knows the secret that decisions are signed with (none: names are taken on trust), and the other terms.

    `store` holds the arguments that are too large for history, `policy` is what the deployment says of its gates.
    """

    def __init__(
        self,
        secret: str = "",
        *,
        channels: int = 0,
        webhooks: int = 0,
        slack: bool = False,
        inbox: str = "",
        store: ContentStore | None = None,
        policy: DeploymentPolicy | None = None,
    ) -> None:
        self._secret = secret
        self._policy = policy
        self._store = store
        self._terms = GateTerms(
            channels=channels, webhooks=webhooks, slack=slack, inbox=inbox, demands_token=bool(secret)
        )

    def set_indexed(self, indexed: bool) -> None:
        """Set whether gates may set search attributes: only where the namespace has all of ours."""
        self._terms = self._terms.model_copy(update={"indexed": indexed})

    @activity.defn
    async def gate_terms(self, request: GateTermsRequest) -> GateTerms:
        """Return the terms by which gates open here, for this run; arguments that cannot be read hold up no gate."""
        arguments = await self._arguments(request.ref) if request.ref and self._store is not None else None
        policy = self._policy.of(request.risk, request.tool) if self._policy is not None else None
        run = activity.info().workflow_run_id or ""
        update: dict[str, Any] = {"run": run, "arguments": arguments, "policy": policy}
        if request.question and self._policy is not None:
            update = {"run": run, "questions": self._policy.questions}
        return self._terms.model_copy(update=update)

    async def _arguments(self, ref: str) -> ArgumentsShown | None:
        assert self._store is not None
        try:
            read = json.loads(await self._store.text(Content(ref=ref)))
        except (ApplicationError, ValueError):
            return None
        return shown(read) if isinstance(read, dict) else None

    @activity.defn
    async def check_identity(self, request: IdentityRequest) -> Identity:
        """Return who sent a decision; one that proves nothing is refused, with the reason."""
        if not self._secret:
            return Identity(refused="this worker has no APPROVER_SECRET and cannot check its token")
        from outlast.approvals.tokens import TokenError, identity  # cryptography, which few workers need

        try:
            return identity(self._secret, request)
        except TokenError as error:
            return Identity(refused=str(error)[:SUMMARY_LENGTH])
