"""Looks at the run of an agent that was asked, or at the one that asked: its own word, which no message from outside can imitate.

A run that failed, or that somebody cancelled or terminated, leaves no result, and still has changed and spent something. And
a run that was reset asks again for what has been done under the same id.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from outlast.activity.heartbeat import heartbeats
from outlast.agents.delegation.contracts import DelegateEnded, DelegateRequest, DelegationResult, Settled
from outlast.contracts import Decided
from outlast.errors import ErrorKind, kind_of, retryable, root_of, text_of

QUERY_SECONDS = 30.0
"""How long a worker may take to read the history of the run anew and to answer."""


class DelegateActivities:
    """Reads the runs of agents that others have asked."""

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Both of them, for a worker."""
        return [self.read_delegate, self.read_decided]

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
                kind = kind_of(cause) if isinstance(cause, ApplicationError) else ""
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return DelegateEnded(error="it never began")
            if result is not None:
                return DelegateEnded(result=result, settled=result.settled)
            settled = Settled.model_validate(await self._asked(request, "settled", "what it changed"))
            return DelegateEnded(error=why, kind=kind, settled=settled)

    @activity.defn
    async def read_decided(self, request: DelegateRequest) -> Decided:
        """Return what people decided in the run that holds for all runs of its tree; raises WorkerLost (retryable)."""
        async with heartbeats():
            return Decided.model_validate(await self._asked(request, "decided", "what people decided"))

    async def _asked(self, request: DelegateRequest, query: str, what: str) -> Any:
        handle = activity.client().get_workflow_handle(request.run, run_id=request.run_id or None)
        try:
            return await handle.query(query, rpc_timeout=timedelta(seconds=QUERY_SECONDS))
        except (TimeoutError, RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise retryable(ErrorKind.WORKER_LOST, f"run {request.run} does not say {what}: {error}") from error
