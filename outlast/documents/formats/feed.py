"""RSS and Atom: from bytes to entries, however crooked the feed is.

feedparser never fails: an error page, a cut-off feed and an empty one all give a list of entries. So what is no feed at all is
distinguished here, and what broke off in the middle is noted. Its clean-up of HTML is off: it takes `<y` in `$x<y$` for a tag.
"""

import io
import re
from dataclasses import dataclass
from datetime import date
from time import struct_time
from typing import Any
from urllib.parse import urlsplit

from outlast.documents.formats.markup import one_line, plain
from outlast.documents.formats.text import bom_encoding
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.extras import MissingExtraError, require

SHORT_OF = 500
"""How much of a broken feed's error is reported, in characters."""
MOST_ENTRIES = 2000
"""Entries that are read of one feed, in its order."""
REFUSED_ENTRIES = 20_000
"""A feed of more entries is not read at all: going through them takes longer than any feed is worth."""

_MARKUP_TYPES = ("text/html", "application/xhtml+xml")
_PROLOGUE = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_DECLARATION = re.compile(r"<!DOCTYPE\b", re.IGNORECASE)


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
    try:
        require("search", "reading feeds")
    except MissingExtraError as error:
        raise non_retryable(ErrorKind.SOURCE_NOT_CONFIGURED, str(error)) from error
    import feedparser

    if _declares_entities(data):
        raise non_retryable(
            ErrorKind.SOURCE_UNAVAILABLE, f"{name} defines entities of its own, which no feed needs; not read"
        )
    if (count := data.count(b"<item") + data.count(b"<entry")) > REFUSED_ENTRIES:
        raise non_retryable(
            ErrorKind.SOURCE_UNAVAILABLE,
            f"{name} has {count:,} entries, over the limit of {REFUSED_ENTRIES:,}; not read",
        )
    # As a file: a text would be taken for the address of a feed, or for a path.
    parsed = feedparser.parse(io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False)
    broken = bool(parsed.get("bozo")) and not isinstance(
        parsed.get("bozo_exception"), feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType
    )
    reason = one_line(str(parsed.get("bozo_exception", "")))[:SHORT_OF]
    entries = parsed.get("entries", [])
    if not entries and (broken or not parsed.get("version")):
        why = f": {reason}" if reason else ""
        raise retryable(
            ErrorKind.SOURCE_UNAVAILABLE, f"{name} answered with something that is not an RSS or Atom feed{why}"
        )
    problem = f"broken XML ({reason})" if broken else ""
    if len(entries) > MOST_ENTRIES:
        problem = problem or f"{len(entries):,} entries, of which the first {MOST_ENTRIES:,} are read"
    return Feed(tuple(map(_entry, entries[:MOST_ENTRIES])), problem)


def web_address(link: object) -> str:
    """Return a link that is safe to show and to follow, or ""."""
    link = str(link or "").strip()[:2000]
    try:
        parts = urlsplit(link)
    except ValueError:  # such as an open bracket for an IPv6 address
        return ""
    return link if parts.netloc and link.startswith(("http://", "https://")) else ""


def _declares_entities(data: bytes) -> bool:
    """Whether there is a document type declaration with entities; the same words in a text or in CDATA are none."""
    # UTF-16 without a byte order mark is recognised by its zeros; all else has ASCII letters where it matters here.
    unmarked = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(data[:2], "latin-1")
    head = data.decode(bom_encoding(data) or unmarked, errors="replace")
    start = 0
    while found := _PROLOGUE.match(head, start):
        start = found.end()
    if not _DECLARATION.match(head, start):
        return False
    # Up to the first element: what follows is content. A declaration may hold `>` and `<!`, but no element.
    element = re.compile(r"<[A-Za-z_]").search(head, start)
    return "<!ENTITY" in head[start : element.start() if element else None].upper()


def _entry(entry: Any) -> Entry:
    pieces = [_shown(piece) for piece in entry.get("content", ())]
    return Entry(
        title=_shown(entry.get("title_detail")),
        link=web_address(entry.get("link")),
        published=_day(entry),
        text=max([_shown(entry.get("summary_detail")), *pieces], key=len),
        id=str(entry.get("id") or entry.get("link") or ""),
        authors=tuple(one_line(str(author.get("name") or "")) for author in entry.get("authors", ())),
    )


def _shown(detail: Any) -> str:
    """Return a piece of an entry as a reader sees it: only what is declared or looks like HTML has tags to take out."""
    value = str((detail or {}).get("value") or "")
    return plain(value) if (detail or {}).get("type") in _MARKUP_TYPES else one_line(value)


def _day(entry: Any) -> str:
    # Asked for by `in`, because feedparser warns of a date that it takes from the other field.
    for moment in [entry[field] for field in ("published_parsed", "updated_parsed") if field in entry]:
        if isinstance(moment, struct_time):
            try:
                return date(moment.tm_year, moment.tm_mon, moment.tm_mday).isoformat()
            except ValueError:
                continue
    return ""
