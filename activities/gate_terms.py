"""What a gate must know of its deployment, and whether a decision was sent by whom it says.

The trap: the token of a decision must not enter history again, and the secret never does. So the check is a local activity,
whose input is not recorded.
"""

from temporalio import activity

from activities.contracts import SUMMARY_LENGTH, GateTerms, GateTermsRequest, Identity, IdentityRequest


class GateTermsActivities:
    """Knows the secret that decisions are signed with (none: whoever says who they are is believed), and the other terms."""

    def __init__(self, secret: str = "", *, channels: int = 0, indexed: bool = False) -> None:
        self._secret = secret
        self._terms = GateTerms(channels=channels, demands_token=bool(secret), indexed=indexed)

    @activity.defn
    async def gate_terms(self, _request: GateTermsRequest) -> GateTerms:
        """Return the terms by which gates open here."""
        return self._terms

    @activity.defn
    async def check_identity(self, request: IdentityRequest) -> Identity:
        """Say who sent a decision; one that proves nothing is refused, with the reason."""
        if not self._secret:
            return Identity(refused="this worker has no APPROVER_SECRET and cannot check its token")
        from activities.approver_tokens import TokenError, identity  # cryptography, which few workers need

        try:
            return identity(self._secret, request)
        except TokenError as error:
            return Identity(refused=str(error)[:SUMMARY_LENGTH])
