"""Feeds as sources read them: parsed in a process of their own, because anybody can write one."""

from typing import Any

from pydantic import TypeAdapter

from outlast.documents.formats.feed import Feed
from outlast.documents.parsing.limits import ParsingStoppedError, cpu_seconds
from outlast.documents.parsing.pool import PARSERS, Job
from outlast.errors import ErrorKind, non_retryable

_FEED = TypeAdapter(Feed)


async def read_feed(data: bytes, name: str) -> Feed:
    """Read a feed; raises SourceUnavailable, which names it, where there is none to be read."""
    try:
        parsed = await PARSERS.run(Job("feed", data, {"name": name}, cpu_seconds(len(data))))
    except ParsingStoppedError as error:
        raise non_retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{name} {error}; leave this feed out") from None
    return _FEED.validate_json(parsed.texts[0])


def day_of(value: Any) -> str:
    """Take the day out of an ISO date; anything else ("2 days ago") is no date to be cited."""
    day = str(value or "")[:10]
    return day if len(day) == 10 and day[4] == day[7] == "-" and day.replace("-", "").isdigit() else ""
