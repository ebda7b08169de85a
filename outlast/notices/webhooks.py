"""Webhooks of a run: that a gate opened, that it ended. Each is delivered by a run of its own.

A receiver may be away for hours, and the run it hears of has ended by then. So the delivery is a child workflow that is
abandoned: nothing waits for it, and nothing of it is lost.
"""

import asyncio

from temporalio import workflow
from temporalio.workflow import ParentClosePolicy

from outlast.contracts import (
    SUMMARY_LENGTH,
    GateView,
    Question,
    WebhookBody,
    WebhookDelivered,
    WebhookDelivery,
    WebhookEvent,
    WebhookRequest,
)
from outlast.errors import text_of
from outlast.notices.webhook_activities import WebhookActivities
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.failures import FAILURES
from outlast.workflow.state import ExecutionState


@workflow.defn
class WebhookWorkflow:
    """Delivers one webhook to all that it goes to; never fails because a receiver does."""

    @workflow.run
    async def run(self, delivery: WebhookDelivery) -> WebhookDelivered:
        """Send it to each address until it is taken, or the time for it is over."""
        numbered = [WebhookRequest(body=delivery.body, number=number + 1) for number in range(delivery.count)]
        named = [WebhookRequest(body=delivery.body, url=url) for url in delivery.urls]
        failures = [why for why in await asyncio.gather(*map(_sent, [*numbered, *named])) if why]
        return WebhookDelivered(taken=len(numbered) + len(named) - len(failures), failed=tuple(failures))


async def _sent(request: WebhookRequest) -> str:
    where = f"address {request.number} of WEBHOOK_URLS" if request.number else "an address of the request"
    try:
        await run_activity(
            WebhookActivities.deliver_webhook,
            request,
            **policies.deliver_webhook(f"tell {where}: {request.body.workflow_id} {request.body.event}"),
        )
    except FAILURES as error:
        return text_of(error)[:SUMMARY_LENGTH]
    return ""


class Webhooks:
    """The webhooks of one run: to the addresses that its request names, and to those of the deployment."""

    def __init__(self, urls: tuple[str, ...], state: ExecutionState) -> None:
        self._urls = urls
        self._state = state
        self.delegate = ""
        """The agent whose run this is, where an agent of another run has asked it: its gates are reported, its end is not."""

    def __bool__(self) -> bool:
        """Whether anybody hears of this run; a run that another started is part of what that one reports."""
        return bool(self._urls or self._state.webhooks) and (bool(self.delegate) or workflow.info().parent is None)

    def known(self, count: int) -> None:
        """Take note of how many addresses the deployment has."""
        self._state.webhooks = max(self._state.webhooks, count)

    async def gate_opened(self, gate: GateView, requester: str) -> None:
        """Report that a gate waits for people."""
        await self._deliver(
            self._body(
                WebhookEvent.GATE_OPENED,
                gate=gate.name,
                description=gate.description,
                risk=gate.risk,
                tool=gate.tool,
                digest=gate.digest,
                requester=gate.requester or requester,
                deadline=gate.deadline,
            )
        )

    async def question_asked(self, question: Question) -> None:
        """Report that a question waits for people."""
        asked = {"question": question.id, "description": question.text, "deadline": question.deadline}
        await self._deliver(self._body(WebhookEvent.QUESTION_ASKED, **asked))

    async def run_ended(self, state: str, error: str = "") -> None:
        """Report how the run ended."""
        await self._deliver(self._body(WebhookEvent.RUN_ENDED, state=state, error=error[:SUMMARY_LENGTH]))

    def _body(self, event: WebhookEvent, **facts: object) -> WebhookBody:
        info = workflow.info()
        known = {
            "agent": self.delegate,
            "parent": info.parent.workflow_id if info.parent else "",
            "delivery": str(workflow.uuid4()),
            "event": event,
            "workflow_id": info.workflow_id,
            "run_id": info.run_id,
            "workflow": info.workflow_type,
            "at": workflow.now(),
            "usd": self._state.spend.usd,
        }
        return WebhookBody.model_validate(known | facts)

    async def _deliver(self, body: WebhookBody) -> None:
        await workflow.start_child_workflow(
            WebhookWorkflow.run,
            WebhookDelivery(body=body, count=self._state.webhooks, urls=self._urls),
            id=f"webhook-{body.delivery}",
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"{body.event}: {body.workflow_id}"[:SUMMARY_LENGTH],
        )
