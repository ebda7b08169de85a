"""Refuses to do what no person approved: the last look before an activity acts.

An approval is only worth what the acting side checks itself. It must be called with the request as it will be
carried out, after the last change to it.
"""

from temporalio import activity

from outlast.contracts import Acting, Approval, digest_of
from outlast.errors import ErrorKind, non_retryable


def check_approved(
    request: Acting, approval: Approval | None, *, agent: str | None = None, target: str | None = None
) -> None:
    """Pass only what exactly this approval allows, in this run; raises NotApproved (non-retryable) that says what differs.

    Who acts on something hands over its own `agent` and `target`; left out, they are taken as they were approved.
    """
    if approval is None:
        raise non_retryable(
            ErrorKind.NOT_APPROVED, f"{request.tool}: no person approved this call; open a gate for it first"
        )
    if activity.in_activity() and activity.info().workflow_id != approval.workflow_id:
        raise non_retryable(
            ErrorKind.NOT_APPROVED,
            f"{request.tool}: {approval.gate} of run {approval.workflow_id!r} approved another run",
        )
    if activity.in_activity() and approval.run and activity.info().workflow_run_id != approval.run:
        raise non_retryable(
            ErrorKind.APPROVED_BEFORE_RESET,
            f"{request.tool}: {approval.gate} was approved before this run was reset; what it approved may be done already, "
            "so a person must decide again",
        )
    try:
        digest = digest_of(
            request,
            agent=approval.agent if agent is None else agent,
            target=approval.target if target is None else target,
        )
    except ValueError as error:
        raise non_retryable(ErrorKind.NOT_APPROVED, f"{request.tool}: {error}") from error
    if digest != approval.digest:
        raise non_retryable(
            ErrorKind.NOT_APPROVED,
            f"{request.tool}: {approval.gate} approved the action {approval.digest[:12]}, this one is {digest[:12]}; "
            "arguments, tool, agent or target were changed after the approval",
        )
