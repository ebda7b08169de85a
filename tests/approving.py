"""An approval of exactly one request, as a gate of the run in the tests' activity environment would give it."""

from temporalio.testing import ActivityEnvironment

from outlast.contracts import Approval, ToolRequest, digest_of


def approved(request: ToolRequest) -> ToolRequest:
    """Return the request with a person's yes to it."""
    approval = Approval(
        workflow_id=ActivityEnvironment().info.workflow_id or "",
        gate="gate-1",
        digest=digest_of(request, agent=request.agent, target=request.server),
        by=("ann",),
        agent=request.agent,
        target=request.server,
    )
    return request.model_copy(update={"approval": approval})
