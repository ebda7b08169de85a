"""Looks at the run of an agent that was asked, where the run that asked cannot hear of it from the server.

A run that failed, or that somebody cancelled or terminated, leaves no result, and still has changed and spent something. And
a run that was reset asks again for what has been done under the same id.
"""

from datetime import timedelta

from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from outlast.activity.heartbeat import heartbeats
from outlast.agents.delegation.contracts import DelegateEnded, DelegateRequest, DelegationResult, Settled
from outlast.errors import ErrorKind, retryable, root_of, text_of

QUERY_SECONDS = 30.0
"""How long a worker may take to read the history of the run anew and to answer."""


class DelegateActivities:
    """Reads the runs of agents that others have asked."""

    @activity.defn
    async def read_delegate(self, request: DelegateRequest) -> DelegateEnded:
        """Wait for the end of the run, and say what it came to and what is to be taken over; raises WorkerLost (retryable)."""
        async with heartbeats():
            handle = activity.client().get_workflow_handle(request.run, result_type=DelegationResult)
            result, why, kind = None, "", ""
            try:
                result = await handle.result()
            except WorkflowFailureError as error:
                cause = root_of(error.cause)
                why = text_of(cause)
                kind = cause.type or "" if isinstance(cause, ApplicationError) else ""
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return DelegateEnded(error="it never began")
            if result is not None:
                return DelegateEnded(result=result, settled=result.settled)
            return DelegateEnded(error=why, kind=kind, settled=await self._settled(request.run))

    async def _settled(self, run: str) -> Settled:
        handle = activity.client().get_workflow_handle(run)
        try:
            answer = await handle.query("settled", rpc_timeout=timedelta(seconds=QUERY_SECONDS))
            return Settled.model_validate(answer)
        except (TimeoutError, RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise retryable(ErrorKind.WORKER_LOST, f"run {run} does not say what it changed: {error}") from error
