"""Carries out a click: a decision or an answer in the name of whoever clicked, by the same rules as in the inbox."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowQueryFailedError

from outlast.approvals.choices import CHOICE
from outlast.approvals.tokens import granted
from outlast.cli.decisions.listing import whole
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach, word
from outlast.contracts import GateRecord, GateView, Question, RunStatus, Verdict
from outlast.notices.slack.api import SlackApi, SlackError
from outlast.notices.slack.forms import answer_of, dialog
from outlast.notices.slack.gate_forms import bounds_dialog, bounds_of, field_of, reason_dialog, reason_of
from outlast.notices.slack.messages import ANSWER, APPROVE_ALL, DENY, DENY_REASON, OPTION
from outlast.server.access import Caller, Scope
from outlast.server.deciding import Decided, message_of, outcome_line, send_within
from outlast.server.operations import find
from outlast.server.slack.clicks import Click
from outlast.server.waiting import RunSeen, see_run

ANSWERS_WITHIN = 1.2
"""Seconds in which a living worker answers a click; Slack waits three in all, so then the decision is sent as a signal."""
SIGNED_FOR = timedelta(days=1)
"""How long a decision is good whose gate is not known here: a worker may be away."""


@dataclass(frozen=True)
class Done:
    """What came of a click.

    `text` is for whoever clicked; `wrong` names fields of a dialog; `over` says why the buttons of the message are of no use any
    more; `later` may still say more.
    """

    text: str = ""
    wrong: Mapping[str, str] = field(default_factory=dict)
    over: str = ""
    later: "asyncio.Task[GateRecord | None] | None" = None


class ClickActions:
    """Acts for people of Slack, `names` by their member id; `secret` signs their decisions, "" where none need be signed."""

    def __init__(self, api: SlackApi, names: Mapping[str, str], secret: str) -> None:
        self._api = api
        self._names = names
        self._secret = secret

    async def carry_out(self, reach: Reach, click: Click) -> Done:
        """Do what was clicked; raises what the errors of the server say, where nothing was sent."""
        who = self._names.get(click.member)
        if who is None:
            return Done(
                f"Slack member {click.member or '?'} is not known here, so nothing was sent. Whoever runs the server adds "
                f"{click.member or 'MEMBER-ID'}:NAME to SLACK_USERS."
            )
        if not (click.run and click.chain and (click.gate or click.question)):
            return Done("This button does not say what it is for; decide in the inbox.")
        if click.gate and click.action in (APPROVE_ALL, DENY_REASON) and not click.view:
            return await self._ask_more(reach, click, who)
        if click.gate:
            return await self._decide(reach, click, who)
        found = await find(reach, click.run)
        if over := _over(found, click):
            return Done(over, over=over)
        if click.action == ANSWER and not click.view:
            return await self._ask(reach, click, found)
        return await self._answer(reach, click, found, who)

    async def _decide(self, reach: Reach, click: Click, who: str) -> Done:
        seen = await see_run(reach, click.run, whole=False)
        if over := _over(seen.found, click):
            return Done(over, over=over)
        verdict = Verdict.DENY if click.action in (DENY, DENY_REASON) else Verdict.APPROVE
        edit = {CHOICE: click.option} if click.action == OPTION else None
        bounds, wrong = bounds_of(click.view) if click.action == APPROVE_ALL else (None, {})
        if wrong:
            return Done(wrong=wrong)
        decision = Decided(click.gate, verdict, click.digest, reason_of(click.view), edit, bounds)
        message = message_of(seen, self._caller(seen, click, who), decision, "slack")
        try:
            record, later = await send_within(reach, seen, message, ANSWERS_WITHIN)
        except LeavingError as error:
            field = field_of(click.view, str(error))
            return Done(wrong={field: str(error)}) if field else Done(f"{click.gate}: {error}")
        return Done(outcome_line(click.gate, record), later=later)

    async def _ask_more(self, reach: Reach, click: Click, who: str) -> Done:
        """Open the dialog in which somebody says why they deny, or what else they approve."""
        seen = await see_run(reach, click.run, whole=False)
        if over := _over(seen.found, click):
            return Done(over, over=over)
        gate = next((each for each in seen.shown.waiting if each.name == click.gate), None)
        if gate is None and not seen.shown.more:
            return Done(_closed(click.gate), over=_closed(click.gate))
        if gate is not None and gate.digest != click.digest:
            return Done(f"{click.gate}: it was edited since, so look at it anew; nothing was sent.")
        if click.action == DENY_REASON:
            gate = gate or GateView(name=click.gate, description="", deadline=datetime.now(UTC), digest=click.digest)
            return await self._open(click, reason_dialog(gate, click.about))
        if gate is not None and gate.bars(who):
            return Done(f"{click.gate}: {gate.approval_rule}; nothing was sent.")
        if (whole := gate and await _whole(reach, seen, gate)) is None:
            return Done(
                f"{click.gate}: no worker tells its arguments now, so it cannot be bounded here; nothing was sent."
            )
        return await self._open(click, bounds_dialog(whole, click.about))

    async def _open(self, click: Click, view: Mapping[str, Any]) -> Done:
        """Open a dialog; Slack takes it for three seconds after the click."""
        try:
            await self._api.call("views.open", trigger_id=click.trigger, view=view)
        except SlackError as error:
            why = "Slack waits three seconds for it" if error.code == "expired_trigger_id" else str(error)
            return Done(f"The dialog could not be opened ({why}), so nothing was sent. Click again.")
        return Done()

    def _caller(self, seen: RunSeen, click: Click, who: str) -> Caller:
        """Return who decides: Slack's signature has proven them, and where decisions are signed the server vouches for that."""
        scopes = frozenset({Scope.DECIDE})
        if not self._secret:
            return Caller(who, scopes)
        now = datetime.now(UTC)
        gate = next((each for each in seen.shown.waiting if each.name == click.gate), None)
        lasts = max(SIGNED_FOR, gate.deadline - now) if gate else SIGNED_FOR
        return Caller(
            who, scopes, granted(self._secret, who, now, lasts, run=click.run, gate=click.gate, chain=click.chain)
        )

    async def _ask(self, reach: Reach, click: Click, found: WorkflowExecutionDescription) -> Done:
        """Open the dialog for a question."""
        question = await _asked(reach, click, found)
        if question is None:
            return Done(_closed(click.question), over=_closed(click.question))
        return await self._open(click, dialog(question, click.about))

    async def _answer(self, reach: Reach, click: Click, found: WorkflowExecutionDescription, who: str) -> Done:
        answer, wrong = answer_of(click.view) if click.view else (click.option, {})
        if wrong:
            return Done(wrong=wrong)
        try:
            if await _asked(reach, click, found) is None:
                return Done(_closed(click.question), over=_closed(click.question))
            sent = "sent"
        except (LeavingError, WorkflowQueryFailedError):  # the run keeps it until a worker is back
            sent = "sent; no worker answers now, so it counts once one is back"
        handle = reach.client.get_workflow_handle(found.id, run_id=found.run_id)
        message: dict[str, Any] = {"question": click.question, "answer": answer, "by": who, "channel": "slack"}
        await handle.signal("answer", message)
        return Done(f"{click.question}: {sent}")


async def _asked(reach: Reach, click: Click, found: WorkflowExecutionDescription) -> Question | None:
    """Return the question, None where it is open no more; raises LeavingError where no worker answers."""
    within = timedelta(seconds=ANSWERS_WITHIN)
    status = await reach.ask(found, "status", RunStatus, within=within)
    return next((each for each in status.questions if each.id == click.question), None)


def _over(found: WorkflowExecutionDescription, click: Click) -> str:
    """Return why a run takes no click any more, if it does not."""
    if (found.raw_info.first_run_id or found.run_id) != click.chain:
        return f"This was for an earlier run of the id {found.id}; nothing was sent."
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return f"{found.id} has ended already ({word(found.status)}); nothing was sent."
    return ""


async def _whole(reach: Reach, seen: RunSeen, gate: GateView) -> GateView | None:
    """Return a gate with all of its arguments; None where nobody tells them in time for a dialog."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            (shown,) = await whole(reach, seen.found, [gate])
    except TimeoutError:
        return None
    return shown if shown.whole else None


def _closed(name: str) -> str:
    return f"{name} is not open any more; nothing was sent."
