"""Notices to a channel of Microsoft Teams, by its webhook (Workflows): Adaptive Cards that link to the page of the gate.

Such a webhook takes cards whose buttons open pages, and none that send anything back. So people decide on the page, each as who
they are signed in there. A model wrote most of a card: text runs read no Markdown, so nothing in them can pose as a link.
"""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from outlast.contracts import Notice
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.notices.text import facts, subject

SECONDS = 20.0
"""How long Teams may take."""
LARGEST = 26_000
"""Most bytes of a card: Teams takes 28 KB."""
LONGEST_WAIT = 300
TRANSIENT = (408, 425, 429)

Json = dict[str, Any]


class TeamsChannel:
    """One channel; its address holds its password, and is shown nowhere."""

    body_maxlen = 16_000
    """Most characters of a message."""

    def __init__(self, url: str, inbox_url: str = "") -> None:
        self._url = url
        self._inbox_url = inbox_url

    def __str__(self) -> str:
        return "teams://"

    async def send(self, notice: Notice, links: tuple[str, ...] = ()) -> bool:
        """Send a notice once; returns whether Teams took it, raises ChannelUnavailable or ChannelUnknown where it says no."""
        body = json.dumps(self.message(notice, links), ensure_ascii=False).encode()
        try:
            async with httpx2.AsyncClient(timeout=SECONDS) as client:
                answer = await client.post(self._url, content=body, headers={"Content-Type": "application/json"})
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return False
        status = answer.status_code
        if 200 <= status < 300:
            return True
        if status >= 500 or status in TRANSIENT:
            wait = answer.headers.get("retry-after", "")
            after = timedelta(seconds=min(int(wait), LONGEST_WAIT)) if wait.isascii() and wait.isdigit() else None
            raise retryable(ErrorKind.CHANNEL_UNAVAILABLE, f"TEAMS_WEBHOOK_URL answered {status}", after=after)
        raise non_retryable(
            ErrorKind.CHANNEL_UNKNOWN, f"TEAMS_WEBHOOK_URL answered {status}: is its flow still there, and switched on?"
        )

    def message(self, notice: Notice, links: tuple[str, ...]) -> Json:
        """Write the message, which holds one card."""
        message = self._card(notice, links, cut=False)
        if len(json.dumps(message, ensure_ascii=False).encode()) <= LARGEST:
            return message
        return self._card(notice, links, cut=True)

    def _card(self, notice: Notice, links: tuple[str, ...], *, cut: bool) -> Json:
        if cut:
            notice = notice.model_copy(update={"arguments": "", "whole": False})
        lines = [_line(f"{name}: ", value) for name, value in facts(notice)]
        card: Json = {
            "type": "AdaptiveCard",
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "version": "1.4",
            "body": [_line(subject(notice), "", size="Medium"), *lines],
            "actions": [
                {"type": "Action.OpenUrl", "title": title, "url": url} for title, url in self._pages(notice, links)
            ],
        }
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return {"type": "message", "attachments": [attachment]}

    def _pages(self, notice: Notice, links: tuple[str, ...]) -> list[tuple[str, str]]:
        """Name the pages that the buttons open: that of the gate, or of the run that asks, in place of the inbox."""
        inbox = self._inbox_url.rstrip("/")
        asked = {"id": notice.workflow_id} if notice.question else {"run": notice.workflow_id, "gate": notice.gate}
        page = f"{inbox}/{'run' if notice.question else 'gate'}?{urlencode(asked, quote_via=quote)}"
        title = "Open" if not notice.pending else "Answer" if notice.question else "Decide"
        others = [("Open in Temporal", link) for link in links if link != self._inbox_url]
        return [*([(title, page)] if inbox else []), *others]


def _line(bold: str, text: str, size: str = "Default") -> Json:
    runs = [{"type": "TextRun", "text": bold, "weight": "Bolder", "size": size}]
    return {"type": "RichTextBlock", "inlines": [*runs, *([{"type": "TextRun", "text": text}] if text else [])]}
