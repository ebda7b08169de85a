"""RSS and Atom: from bytes to entries, however crooked the feed is.

The trap: feedparser never fails. An error page, a cut-off feed and an empty one all give a list of entries, so what is no feed
at all is told apart here, and what broke off in the middle is noted. Both libraries are imported by whoever reads a feed: every
worker would pay for them, and few do.
"""

import io
from dataclasses import dataclass
from datetime import date
from html import unescape
from time import struct_time
from typing import Any

from activities.errors import ErrorKind, final, passing
from activities.formats.text import tidy

SHORT_OF = 500
"""How much of a broken feed's trouble is told, in characters."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a feed as plain text; `id` is the feed's own, `published` an ISO date or ""."""

    title: str
    link: str
    published: str
    text: str
    id: str
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """The entries of a feed in its order; `problem` says what is wrong with its XML, if anything."""

    entries: tuple[Entry, ...]
    problem: str = ""


def read_feed(data: bytes, name: str) -> Feed:
    """Read a feed; raises SourceUnavailable, which names it, where there is none to be read."""
    import feedparser

    if b"<!ENTITY" in data:
        raise final(ErrorKind.SOURCE_UNAVAILABLE, f"{name} defines entities of its own, which no feed needs; not read")
    # As a file: a text would be taken for the address of a feed, or for a path.
    parsed = feedparser.parse(io.BytesIO(data))
    broken = bool(parsed.get("bozo")) and not isinstance(
        parsed.get("bozo_exception"), feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType
    )
    reason = " ".join(str(parsed.get("bozo_exception", "")).split())[:SHORT_OF]
    entries = parsed.get("entries", [])
    if not entries and (broken or not parsed.get("version")):
        why = f": {reason}" if reason else ""
        raise passing(ErrorKind.SOURCE_UNAVAILABLE, f"{name} answered with something that is no RSS or Atom feed{why}")
    return Feed(tuple(map(_entry, entries)), f"broken XML ({reason})" if broken else "")


def plain(markup: str) -> str:
    """Return what a reader sees of a piece of HTML, in one line."""
    if "<" not in markup:
        return " ".join(tidy(unescape(markup)).split())
    from bs4 import BeautifulSoup

    return " ".join(tidy(BeautifulSoup(markup, "html.parser").get_text(" ")).split())


def web_address(link: object) -> str:
    """Return a link that is safe to show and to follow, or ""."""
    link = str(link or "").strip()
    return link[:2000] if link.startswith(("http://", "https://")) else ""


def _entry(entry: Any) -> Entry:
    pieces = [plain(str(piece.get("value") or "")) for piece in entry.get("content", ())]
    summary = plain(str(entry.get("summary") or ""))
    return Entry(
        title=plain(str(entry.get("title") or "")),
        link=web_address(entry.get("link")),
        published=_day(entry),
        text=max([summary, *pieces], key=len),
        id=str(entry.get("id") or entry.get("link") or ""),
        authors=tuple(plain(str(author.get("name") or "")) for author in entry.get("authors", ())),
    )


def _day(entry: Any) -> str:
    # Asked for by `in`, because feedparser warns of a date that it takes from the other field.
    for moment in [entry[field] for field in ("published_parsed", "updated_parsed") if field in entry]:
        if isinstance(moment, struct_time):
            try:
                return date(moment.tm_year, moment.tm_mon, moment.tm_mday).isoformat()
            except ValueError:
                continue
    return ""


def day_of(value: Any) -> str:
    """Take the day out of an ISO date; anything else ("2 days ago") is no date to be cited."""
    day = str(value or "")[:10]
    return day if len(day) == 10 and day[4] == day[7] == "-" and day.replace("-", "").isdigit() else ""
