"""Searches one source as one activity, and checks the citations of a text against what was found.

What a source gave is remembered for the day, so that a run that is repeated, and many runs on one topic, ask it once. Sources
under load answer with nothing or with a part; such an answer must not be kept for the day.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import from_json
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.search.citations import checked
from activities.search.contracts import (
    CitedText,
    CiteRequest,
    Finding,
    Findings,
    FoundRequest,
    SearchRequest,
    SourceKind,
)
from activities.search.sources.base import Answered, Hit, Source
from activities.search.sources.feeds import day_of
from outlast.activity.heartbeat import heartbeats
from outlast.contracts import SUMMARY_LENGTH
from outlast.documents.formats.text import tidy
from outlast.errors import ErrorKind, non_retryable, retryable, text_of
from outlast.storage.activities import ContentStore, reference, summarise

LETTERS = {SourceKind.WEB: "W", SourceKind.ACADEMIC: "A", SourceKind.NEWS: "N", SourceKind.LOCAL: "L"}
"""What the ids of a source's findings begin with."""

TEXT_LENGTH = 1200
"""Characters of one finding that a model reads."""
URL_LENGTH = 500
NOTES_KEPT = 5
_MISSING = re.compile(r"^[ \t]*[-*>#_ ]*MISSING\W{0,3}:(?P<query>.*)$", re.MULTILINE)

_NO_QUERY = re.compile(
    r"\(?(?:none|n/?a|null|nil|no|nothing|not applicable|no gaps|(?:nothing|none) (?:is )?(?:else|missing|needed))\)?",
    re.IGNORECASE,
)
"""How writers say that nothing is missing, asked only for what is."""


class SearchActivities:
    """Searches on behalf of agents, and keeps their citations honest."""

    def __init__(self, store: ContentStore, sources: Mapping[SourceKind, Source]) -> None:
        self._store = store
        self._sources = sources

    @activity.defn
    async def search(self, request: SearchRequest) -> Findings:
        """Search one source; nothing found is an answer, too.

        Raises SourceUnavailable (retryable where the source may recover), SourceNotConfigured or ContentUnavailable.
        """
        source = self._sources.get(request.source)
        if source is None:
            raise non_retryable(ErrorKind.SOURCE_NOT_CONFIGURED, f"this worker has no source {request.source}")
        async with heartbeats():
            try:
                return await self._search(source, request)
            except (ApplicationError, asyncio.CancelledError):
                raise
            except Exception as error:
                raise retryable(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}") from error

    @activity.defn
    async def number_findings(self, request: FoundRequest) -> Findings:
        """Number what a model found by itself; what it cited comes before what it only saw."""
        pages: dict[str, Hit] = {}
        for part in request.found:
            for page in from_json(await self._store.text(part)):
                hit = Hit(page["title"], page["url"], day_of(page["published"]), page["text"])
                if hit.url not in pages or not pages[hit.url].text:
                    pages[hit.url] = hit
        hits = sorted(pages.values(), key=lambda hit: not hit.text)
        return await self._findings(request.source, Answered(tuple(hits[: request.limit])), request.first)

    @activity.defn
    async def check_citations(self, request: CiteRequest) -> CitedText:
        """Number the citations of a text, list their sources below it, and take out those that lead to nothing."""
        answer, missing = without_missing(await self._store.text(request.text))
        text, cited, removed = checked(answer, request.findings)
        return CitedText(
            content=await self._store.keep(text), cited=tuple(cited), removed=tuple(removed), missing=missing
        )

    async def _search(self, source: Source, request: SearchRequest) -> Findings:
        name = _name(source, request)
        if name and (kept := await self._store.recall(name)) is not None:
            return Findings.model_validate_json(kept).model_copy(update={"cached": True})
        answered = await source.search(request.query, request.limit)
        findings = await self._findings(request.source, answered, request.first)
        if name and findings.found and answered.whole:
            await self._store.remember(name, findings.model_dump_json().encode())
        return findings

    async def _findings(self, kind: SourceKind, answered: Answered, first: int) -> Findings:
        found: list[Finding] = []
        texts: list[str] = []
        for number, hit in enumerate(answered.hits, first):
            finding = _finding(f"{LETTERS[kind]}{number}", hit)
            found.append(finding)
            texts.append(_rendered(finding, hit))
        summary = "; ".join(finding.title for finding in found)
        return Findings(
            source=kind,
            found=tuple(found),
            text=await self._store.keep("\n\n".join(texts), summary=summary),
            notes=tuple(summarise(note, SUMMARY_LENGTH) for note in answered.notes[:NOTES_KEPT]),
        )


def _name(source: Source, request: SearchRequest) -> str:
    """Name a search, the same all day (UTC); "" for one that is not to be remembered."""
    if source.fingerprint is None:
        return ""
    day = datetime.now(UTC).date().isoformat()
    query = reference(" ".join(request.query.split()).encode())
    limit = f"{request.limit}" if request.first == 1 else f"{request.limit} from {request.first}"
    return f"search/{request.source}/{day}/{limit}/{query}/{source.fingerprint}"


def _finding(name: str, hit: Hit) -> Finding:
    title = summarise(tidy(hit.title) or hit.url or "untitled", SUMMARY_LENGTH)
    return Finding(id=name, title=title, url=hit.url[:URL_LENGTH], published=hit.published)


def without_missing(text: str) -> tuple[str, str]:
    """Take the lines `MISSING: QUERY` out of an answer; returns it and the first query that is named, or ""."""
    queries = [" ".join(match["query"].strip("\"'`*_. ").split()) for match in _MISSING.finditer(text)]
    found = next((query for query in queries if any(map(str.isalnum, query)) and not _NO_QUERY.fullmatch(query)), "")
    return _MISSING.sub("", text).strip(), summarise(found, SUMMARY_LENGTH)


def _rendered(finding: Finding, hit: Hit) -> str:
    text = " ".join(tidy(hit.text).split())
    if len(text) > TEXT_LENGTH:
        text = text[: TEXT_LENGTH - 1].rstrip() + "…"
    head = f"[{finding.id}] {finding.title}" + (f" ({finding.published})" if finding.published else "")
    page = f"From the page itself: {hit.page}" if hit.page else ""
    return "\n".join(filter(None, (f"{head} {finding.url}".rstrip(), text, page)))
