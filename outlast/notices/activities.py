"""Sends a notice about a gate by one channel; the activity's policy tries a channel again that does not answer.

There is one call per channel: a call for all of them would notify those that took it again with each attempt.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.contracts import Content, Notice, NoticeRequest, NoticeSent
from outlast.display import escaped_json
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.notices.channels import send
from outlast.storage.activities import ContentStore

if TYPE_CHECKING:
    from outlast.notices.channels import Channel

MOST_ARGUMENTS = 20_000
"""Characters of arguments that a notice shows at most; longer ones are cut to what the memo shows."""


class NoticeActivities:
    """Knows the channels, and the pages that notices link to.

    `store` holds arguments that are too large for history. `web_ui` finds the address of the Web UI ("" for none), anew for each
    notice: the stack it belongs to may start later.
    """

    def __init__(
        self,
        channels: "Sequence[Channel]" = (),
        *,
        web_ui: Callable[[], str] = str,
        inbox_url: str = "",
        store: ContentStore | None = None,
    ) -> None:
        self._channels = channels
        self._web_ui = web_ui
        self._inbox_url = inbox_url
        self._store = store

    @activity.defn
    async def tell_people(self, request: NoticeRequest) -> NoticeSent:
        """Send a notice by one channel, once; raises ChannelUnavailable, or ChannelUnknown where there is no such channel."""
        if request.channel > len(self._channels):
            raise non_retryable(
                ErrorKind.CHANNEL_UNKNOWN,
                f"this worker's NOTIFY_URLS and TEAMS_WEBHOOK_URL have {len(self._channels)} channels, none with number "
                f"{request.channel}; set the same for all workers",
            )
        channel = self._channels[request.channel - 1]
        scheme = str(channel).partition("://")[0]  # the rest of the URL holds its password
        notice = await self._whole(request.notice, min(channel.body_maxlen // 2, MOST_ARGUMENTS))
        if not await send(channel, notice, self._links(notice)):
            raise retryable(
                ErrorKind.CHANNEL_UNAVAILABLE, f"channel {request.channel} ({scheme}) did not take the notice"
            )
        return NoticeSent(scheme=scheme)

    async def _whole(self, notice: Notice, limit: int) -> Notice:
        """Show the arguments whole where the store has them and they fit into the channel's messages."""
        if notice.whole or notice.ref is None or self._store is None:
            return notice
        try:
            text = escaped_json(await self._store.text(Content(ref=notice.ref)))
        except ApplicationError:
            return notice
        return notice if len(text) > limit else notice.model_copy(update={"arguments": text, "whole": True})

    def _links(self, notice: Notice) -> tuple[str, ...]:
        """Return where to look at it: the run in Temporal's Web UI, the gate and the report in the inbox."""
        ui = self._web_ui().rstrip("/")
        page = (
            f"{ui}/namespaces/{activity.info().namespace}/workflows/{quote(notice.workflow_id, safe='')}" if ui else ""
        )
        if not self._inbox_url:
            return (page,) if page else ()
        inbox, run = self._inbox_url.rstrip("/"), quote(notice.workflow_id, safe="")
        where = f"run?id={run}" if notice.question else f"gate?run={run}&gate={quote(notice.gate, safe='')}"
        return tuple(link for link in (page, f"{inbox}/{where}", f"{inbox}/report?run={run}") if link)
