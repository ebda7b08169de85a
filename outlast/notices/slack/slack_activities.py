"""Posts gates and questions to Slack, once each; the activity's policy tries again where waiting may help.

Slack takes the same message twice for two. So each message carries the name of the call that posted it, and a later attempt,
whose forerunner may have died after Slack took it, looks for that first.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.contracts import Content, GateNews, SlackPost, SlackPosted
from outlast.display import escaped_json
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.notices.slack.api import SlackApi, SlackError
from outlast.notices.slack.messages import (
    ARGUMENTS,
    Block,
    Shown,
    gate_message,
    notification,
    question_message,
    reminder_message,
)
from outlast.storage.activities import ContentStore

EVENT = "outlast_post"
"""Type of the metadata that messages carry."""
GONE = ("cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found", "cannot_reply_to_message")
"""Slack's words for a message that somebody deleted, or that cannot be changed any more."""
LOOKED_AT = 100
"""Messages among which a later attempt looks for its own."""


class SlackActivities:
    """Knows the app's token and the channel; without `api` nothing can be posted.

    Args:
        api: What calls Slack.
        channel: Id of the channel.
        people: Names of people by their member id.
        store: Holds arguments that are too large for history.
        web_ui: Finds the address of the Web UI ("" for none).
        inbox_url: Address of the pages where people decide, "" for none.
    """

    def __init__(
        self,
        api: SlackApi | None = None,
        channel: str = "",
        people: Mapping[str, str] | None = None,
        *,
        store: ContentStore | None = None,
        web_ui: Callable[[], str] = str,
        inbox_url: str = "",
    ) -> None:
        self._api = api
        self._channel = channel
        self._members = {name: member for member, name in (people or {}).items()}
        self._store = store
        self._web_ui = web_ui
        self._inbox_url = inbox_url

    @activity.defn
    async def post_to_slack(self, request: SlackPost) -> SlackPosted:
        """Post a message, or change the one that stands; raises ChannelUnavailable, or ChannelUnknown where waiting is no use."""
        if self._api is None:
            raise non_retryable(
                ErrorKind.CHANNEL_UNKNOWN, "SLACK_BOT_TOKEN is not set on this worker; set the same for all workers"
            )
        request = await self._whole(request)
        message = {"text": notification(request), "blocks": self._blocks(request), **SILENT}
        try:
            return await self._posted(self._api, request, message)
        except SlackError as error:
            if error.after is None:
                raise non_retryable(ErrorKind.CHANNEL_UNKNOWN, str(error)) from None
            after = timedelta(seconds=error.after) if error.after else None
            raise retryable(ErrorKind.CHANNEL_UNAVAILABLE, str(error), after=after) from None

    async def _posted(self, api: SlackApi, request: SlackPost, message: dict[str, Any]) -> SlackPosted:
        channel = request.channel or self._channel
        if request.message and not request.reply:
            try:
                await api.call("chat.update", channel=channel, ts=request.message, **message)
            except SlackError as error:
                if error.code not in GONE:
                    raise
            else:
                return SlackPosted(channel=channel, thread=request.thread, message=request.message)
        name = _name()
        if activity.info().attempt > 1 and (found := await _found(api, channel, request.thread, name)):
            return SlackPosted(channel=channel, thread=request.thread or found, message=found)
        message |= {"channel": channel, "metadata": {"event_type": EVENT, "event_payload": {"post": name}}}
        if not request.thread:
            answer = await api.call("chat.postMessage", **message)
        else:
            try:  # shown in the channel, too: nobody follows a thread in which they have not written
                answer = await api.call(
                    "chat.postMessage", **message, thread_ts=request.thread, reply_broadcast=_is_asked(request)
                )
            except SlackError as error:
                if error.code not in GONE:
                    raise
                answer = await api.call("chat.postMessage", **message)
                request = request.model_copy(update={"thread": ""})
        posted = str(answer.get("ts", ""))
        return SlackPosted(
            channel=str(answer.get("channel") or channel), thread=request.thread or posted, message=posted
        )

    def _blocks(self, request: SlackPost) -> list[Block]:
        ui = self._web_ui().rstrip("/")
        run = (
            f"{ui}/namespaces/{activity.info().namespace}/workflows/{quote(request.workflow_id, safe='')}" if ui else ""
        )
        shown = Shown(self._inbox_url, run if len(run) <= 3_000 else "", self._members)
        if request.gate is not None:
            write = reminder_message if request.reply else gate_message
            return write(request, request.gate, shown)
        if request.question is None:
            raise non_retryable(ErrorKind.INPUT_INVALID, "a message to Slack is about a gate or a question")
        return question_message(request, request.question, shown)

    async def _whole(self, request: SlackPost) -> SlackPost:
        """Show the arguments whole where the store has them and they fit."""
        gate = request.gate.gate if request.gate else None
        if request.gate is None or gate is None or gate.whole or gate.ref is None or self._store is None:
            return request
        try:
            text = escaped_json(await self._store.text(Content(ref=gate.ref)))
        except ApplicationError:
            return request
        if len(text) > ARGUMENTS:
            return request
        whole = gate.model_copy(update={"arguments": text, "whole": True})
        news: GateNews = request.gate.model_copy(update={"gate": whole})
        return request.model_copy(update={"gate": news})


SILENT = {"mrkdwn": False, "parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
"""Slack is to read nothing into the texts of a message, and to fetch no page that they name."""


def _is_asked(request: SlackPost) -> bool:
    """Whether people are to see it in the channel: something waits for them."""
    return not request.ended and (request.gate is None or request.gate.outcome == "pending")


def _name() -> str:
    """Name this call: the same for each attempt."""
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"


async def _found(api: SlackApi, channel: str, thread: str, name: str) -> str:
    """Return the `ts` of the message that an earlier attempt posted; "" where there is none, or the app may not look."""
    asked: dict[str, Any] = {"channel": channel, "limit": LOOKED_AT, "include_all_metadata": True}
    if thread:  # from the newest on a thread cannot be read, so from when this was first tried
        asked |= {"ts": thread, "oldest": f"{activity.info().scheduled_time.timestamp() - 60:.6f}"}
    try:
        answer = await api.call("conversations.replies" if thread else "conversations.history", **asked)
    except SlackError as error:
        if error.after is not None:
            raise
        return ""
    for message in answer.get("messages") or ():
        metadata = message.get("metadata") or {}
        if (metadata.get("event_payload") or {}).get("post") == name:
            return str(message.get("ts", ""))
    return ""
