"""The channels that people are notified by: mail, chat, webhook and what else apprise knows by URL, and Teams.

A channel's URL holds its password, so no error of ours shows one: it names the channel by its number and scheme.
"""

import logging
import re
from typing import TYPE_CHECKING

from outlast.contracts import Notice
from outlast.extras import require
from outlast.notices.teams import TeamsChannel
from outlast.notices.text import as_html, plain, subject

if TYPE_CHECKING:  # a worker without channels does not need it
    from apprise import NotifyBase

    Channel = NotifyBase | TeamsChannel


def channels(setting: str) -> "tuple[NotifyBase, ...]":
    """Return the channels of NOTIFY_URLS (URLs apart by spaces or commas); ValueError names the first that is not one.

    A lone comma is none: an empty variable would leave it to `.env`.
    """
    urls = setting.strip(" \t\r\n,")
    if not urls:
        return ()
    require("notify", "NOTIFY_URLS")
    from apprise import Apprise, NotifyBase

    # It logs URLs that it does not take, and with them their passwords.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    found = []
    for number, url in enumerate(re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", urls), 1):
        channel = Apprise.instantiate(url)
        if not isinstance(channel, NotifyBase):
            raise ValueError(
                f"NOTIFY_URLS: URL {number} ({url.split('://')[0][:20]}) is not a channel that apprise knows; "
                "write mailto://…, slack://…, json://… as apprise documents them, or take it out"
            )
        found.append(channel)
    return tuple(found)


async def send(channel: "Channel", notice: Notice, links: tuple[str, ...] = ()) -> bool:
    """Send a notice by one channel, once, as HTML where it takes that; return whether the channel took it."""
    if isinstance(channel, TeamsChannel):
        return await channel.send(notice, links)
    from apprise import Apprise, NotifyFormat

    one = Apprise()
    one.add(channel)
    rich = channel.notify_format == NotifyFormat.HTML
    body, kind = (as_html(notice, links), NotifyFormat.HTML) if rich else (plain(notice, links), NotifyFormat.TEXT)
    return bool(await one.async_notify(title=subject(notice), body=body, body_format=kind))
