"""`POST /slack/actions`: Slack sends here what people click. Its signature proves it, and Slack is answered once the run has it.

Slack waits three seconds. So a decision that no worker takes in about one is sent as a signal, which Temporal keeps; then Slack
gets its answer, and whoever clicked is told what came of it. Where nothing could be sent, Slack shows them that, too.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from urllib.parse import parse_qs

from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from outlast.cli.leaving import LeavingError
from outlast.client import Settings
from outlast.contracts import GateRecord
from outlast.extras import require
from outlast.notices.slack.api import SlackApi, SlackError
from outlast.notices.slack.forms import ONE, fields_of
from outlast.notices.slack.messages import escaped, stripped
from outlast.server.access import Caller, Scope
from outlast.server.deciding import outcome_line
from outlast.server.operations import Answer, Call, HttpError, http_error
from outlast.server.slack.acting import ClickActions, Done
from outlast.server.slack.clicks import Click, read_click

ACKNOWLEDGED = 2.5
"""Seconds within which Slack gets its answer; it waits three."""
FRESH = 300
"""Seconds by which the time of a request may differ from ours; so long a signature is remembered, and counts once."""
MOST_SEEN = 100_000
LATER = 60.0
"""Seconds that a worker has to say what came of a click after Slack got its answer."""
SIGNATURE = "X-Slack-Signature"

_log = logging.getLogger(__name__)


class SlackBody(BaseModel):
    """What Slack sends, a form of one field."""

    payload: str = Field(max_length=1_000_000)
    """The click, as JSON."""


class SlackActions:
    """Takes clicks, where the settings have a signing secret; raises MissingExtraError where they do and slack-sdk is missing."""

    def __init__(self, settings: Settings) -> None:
        secret, token, approvers = settings.slack_signing_secret, settings.slack_bot_token, settings.approver_secret
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._secret = secret.get_secret_value() if secret else ""
        if not self._secret:
            return
        require("slack", "SLACK_SIGNING_SECRET")
        self._has_token = token is not None
        self._api = SlackApi(token.get_secret_value() if token else "", settings.slack_api_url)
        self._acts = ClickActions(self._api, settings.slack_names, approvers.get_secret_value() if approvers else "")

    async def signed_by(self, request: Request) -> Caller:
        """Return which member of Slack clicked; raises HttpError where Slack's signature does not prove it, or came before."""
        if not self._secret:
            raise HttpError(401, "SLACK_SIGNING_SECRET is not set here, so no click can be proven")
        body = await request.body()
        signature, now = request.headers.get(SIGNATURE, ""), time.time()
        if not _signed(self._secret, request, body):
            raise HttpError(401, f"{SIGNATURE}: not signed by SLACK_SIGNING_SECRET, or more than five minutes from now")
        while self._seen and (len(self._seen) > MOST_SEEN or next(iter(self._seen.values())) < now - 2 * FRESH):
            self._seen.popitem(last=False)
        if signature in self._seen:
            raise HttpError(401, f"{SIGNATURE}: this request came before")
        self._seen[signature] = now
        click = read_click((parse_qs(body.decode(errors="replace")).get("payload") or [""])[0])
        return Caller(f"slack {click.member if click else ''}", frozenset({Scope.DECIDE}))

    async def act(self, call: Call) -> Answer:
        """Carry out a click, and answer Slack in time."""
        click = read_click(call.body.payload)
        if click is None:
            return Response()
        status = 200
        try:
            async with asyncio.timeout(ACKNOWLEDGED):
                done = await self._acts.carry_out(call.reach, click)
        except TimeoutError:
            status, done = 503, Done("Temporal did not answer in time. Click again: what you decide counts once.")
        except Exception as error:
            refusal = http_error(error)
            if refusal is None:
                raise
            status, done = (503 if refusal.status >= 500 else 200), Done(f"Nothing was sent: {refusal}")
        told = BackgroundTask(self._tell_all, click, done)
        if click.view and (done.wrong or status != 200):
            wrong = dict(done.wrong) or {_first_field(click): done.text}
            return JSONResponse({"response_action": "errors", "errors": wrong})
        return Response(status_code=status, background=told)

    async def _tell_all(self, click: Click, done: Done) -> None:
        """Tell whoever clicked what came of it, and take buttons away that are of no use any more."""
        try:
            if done.text:
                await self._tell(click, done.text)
            if done.over and self._has_token and click.blocks:
                blocks = stripped(click.blocks, done.over)
                where = {"channel": click.channel, "ts": click.message}
                await self._api.call("chat.update", **where, text=escaped(click.text), blocks=blocks)
        except SlackError as error:
            _log.warning("what came of a click could not be shown in Slack: %s", error)
        try:
            if done.later is not None and (text := await _said(done.later, click.gate)):
                await self._tell(click, text)
        except SlackError as error:
            _log.warning("what came of a click could not be shown in Slack: %s", error)

    async def _tell(self, click: Click, text: str) -> None:
        """Show a text to whoever clicked and to nobody else."""
        try:
            if not self._has_token:
                raise SlackError("SLACK_BOT_TOKEN is not set on the server", "not_authed")
            where = {"channel": click.channel, "user": click.member} | (
                {"thread_ts": click.thread} if click.thread else {}
            )
            await self._api.call("chat.postEphemeral", **where, text=escaped(text), parse="none")
        except SlackError:
            if not click.response_url:
                raise
            body = {"response_type": "ephemeral", "replace_original": False, "text": escaped(text)}
            await self._api.respond(click.response_url, body)


def _signed(secret: str, request: Request, body: bytes) -> bool:
    from slack_sdk.signature import SignatureVerifier

    stamp, signature = request.headers.get("X-Slack-Request-Timestamp", ""), request.headers.get(SIGNATURE, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 15 and signature.isascii()):
        return False
    try:
        return SignatureVerifier(secret).is_valid(body, stamp, signature)
    except UnicodeDecodeError:
        return False


async def _said(later: "asyncio.Task[GateRecord | None]", gate: str) -> str:
    """Return what came of a decision in the end; "" where no worker said it, as was told already."""
    try:
        async with asyncio.timeout(LATER):
            record = await later
            return outcome_line(gate, record) if record is not None else ""
    except LeavingError as error:
        return f"{gate}: {error}"
    except Exception:  # nobody took it as an update; the signal stands
        return ""


def _first_field(click: Click) -> str:
    return str(next(iter(fields_of(click.view)), ONE))
