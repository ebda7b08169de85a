"""The content store: texts and files by the sha-256 of their bytes, written once, checked on every read.

It sits on obstore, so a URL decides where it lives: a local directory (default), S3, GCS or Azure. Starter and worker must
see the *same* store; where they do not, the first read fails with an error that names the setting. A store that is away is
an outage, which every operation waits for; only in a store that is there can a text be missing.
"""

import asyncio
import hashlib
import logging
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url
from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.activity.waiting import Patience
from outlast.contracts import SUMMARY_LENGTH, Content, Part, StoreRequest
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.storage.cache import ContentCache
from outlast.storage.marker import StoreMarker
from outlast.storage.traces import with_earlier

if TYPE_CHECKING:
    from obstore.store import RetryConfig

INLINE_LIMIT = 1024
"""Texts up to this many bytes of UTF-8 travel inline by default."""

RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
"""How long a request to a store over the network is repeated. obstore's own three minutes outlast every time-out of ours, so
nobody would learn what is wrong; Temporal repeats the activity anyway."""

DEFAULT_SUMMARY_LENGTH = 120
"""Characters of a summary that nobody wrote; shorter than allowed, because every step of every run stores one."""

READS_AT_ONCE = 4
"""How many texts of one request are read at the same time; each is in memory twice while it is."""

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{43}")
_NO_STORE = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
"""How object stores say that not a text but the whole store is missing."""
_log = logging.getLogger(__name__)


def reference(data: bytes) -> str:
    """Name bytes by their sha-256, in URL-safe base64 without padding (43 characters against 64 in hex)."""
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def summarise(text: str, length: int = DEFAULT_SUMMARY_LENGTH) -> str:
    """Shorten a text to one line of at most `length` characters."""
    line = " ".join(text[: length * 4].split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def encodable(text: str) -> str:
    """Replace halves of characters (lone surrogates), which streams and PDF files give and UTF-8 refuses."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class ContentStore:
    """Content-addressed, write-once storage of texts and files."""

    def __init__(
        self,
        store: ObjectStore | None,
        url: str,
        inline_limit: int = INLINE_LIMIT,
        *,
        marker: StoreMarker | None = None,
        patience: Patience | None = None,
        cache_bytes: int = 0,
    ) -> None:
        self._opened = store
        self._url = url
        self._inline_limit = inline_limit
        self._marker = marker
        self._patience = patience or Patience()
        self._cache = ContentCache(cache_bytes)

    @property
    def inline_limit(self) -> int:
        """Most bytes of a text that may lie in history."""
        return self._inline_limit

    @classmethod
    def open(
        cls,
        url: str,
        inline_limit: int = INLINE_LIMIT,
        *,
        state_dir: Path | None = None,
        waits: float = 0.0,
        on_outage: Callable[[str], None] = lambda _: None,
        cache_bytes: int = 0,
    ) -> "ContentStore":
        """Open the store at a URL (`file:///dir`, `s3://bucket/prefix`, `gs://…`, `az://…`); a new directory is made.

        Args:
            url: Where the store is.
            inline_limit: Most bytes of a text that may lie in history.
            state_dir: Keeps in mind that a directory was made: where it is missing later, it is away, and is not made anew.
            waits: Seconds that an operation waits for a store that is away.
            on_outage: Called once with the reason when the store is away, and once with "" when it is back.
            cache_bytes: Most bytes of texts that are kept in memory, so that none of them is read again; 0 for none.

        Raises:
            ValueError: The URL is none of a store; the message names CONTENT_STORE_URL.
        """
        patience = Patience(waits, on_outage)
        if urlsplit(url).scheme == "file":
            directory = Path(unquote(urlsplit(url).path))
            marker = StoreMarker.of(directory, url, state_dir)
            return cls(None, url, inline_limit, marker=marker, patience=patience, cache_bytes=cache_bytes)
        try:
            opened = from_url(url, retry_config=RETRIES)
        except (BaseError, ValueError) as error:
            raise ValueError(f"CONTENT_STORE_URL={url} cannot be opened: {_brief(error)}") from None
        return cls(opened, url, inline_limit, patience=patience, cache_bytes=cache_bytes)

    async def put(self, data: bytes) -> str:
        """Keep bytes and return their reference; the same bytes are kept once."""
        ref = reference(data)
        await self._patience.outlast(lambda: self._write(_key(ref), data, replaces_broken=True))
        self._cache.keep(ref, data)
        return ref

    async def get(self, ref: str) -> bytes:
        """Return the bytes of a reference; what was read or written lately is not read again.

        Raises ContentMissing or ContentAltered (non-retryable), ContentUnavailable (retryable).
        """
        if (held := self._cache.get(ref)) is not None:
            return held
        if not _REFERENCE.fullmatch(ref):
            raise non_retryable(
                ErrorKind.CONTENT_MISSING, f"{ref[:60]!r} is not a content reference (43 characters of base64)"
            )
        data = await self._patience.outlast(lambda: self._read(_key(ref)))
        if data is None:
            raise non_retryable(
                ErrorKind.CONTENT_MISSING,
                f"content {ref} is not in this worker's content store ({self._url}). If it was written by another "
                f"process, that process uses another store: set CONTENT_STORE_URL to the same URL for both.",
            )
        if reference(data) != ref:
            raise non_retryable(
                ErrorKind.CONTENT_ALTERED,
                f"content {ref} in {self._url} was changed after it was written; restore it from a backup, "
                "or start the run anew.",
            )
        self._cache.keep(ref, data)
        return data

    async def remember(self, name: str, data: bytes, *, anew: bool = False, waits: bool = True) -> None:
        """Keep bytes under a name of one's own; whoever comes first wins, or with `anew` last.

        Raises ContentUnavailable, without waiting for the store unless it `waits`.
        """
        if waits:
            await self._patience.outlast(lambda: self._write(_named(name), data, anew=anew))
        else:
            await self._write(_named(name), data, anew=anew)

    async def recall(self, name: str) -> bytes | None:
        """Return what was kept under a name, or None where the store is there and holds nothing. Raises ContentUnavailable."""
        return await self._patience.outlast(lambda: self._read(_named(name)))

    def _store(self) -> ObjectStore:
        """Return the store behind; raises ContentUnavailable where it is away."""
        if self._marker is not None and self._marker.away:
            raise self._unavailable(FileNotFoundError(self._marker.why()))
        if self._opened is None:
            assert self._marker is not None
            self._opened = LocalStore(self._marker.root)
        return self._opened

    async def _write(self, key: str, data: bytes, *, anew: bool = False, replaces_broken: bool = False) -> None:
        """Write bytes where there are none yet; with `replaces_broken` also where some were lost, as a power cut does it."""
        try:
            try:
                await obstore.put_async(self._store(), key, data, mode="overwrite" if anew else "create")
            except AlreadyExistsError:
                if replaces_broken and (await obstore.head_async(self._store(), key))["size"] != len(data):
                    await obstore.put_async(self._store(), key, data)
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None
        # It may have gone while this was written, which made its directory anew.
        self._store()

    async def _read(self, key: str) -> bytes | None:
        """Return the bytes of a key, or None where there are none; raises ContentUnavailable."""
        try:
            result = await obstore.get_async(self._store(), key)
            return bytes(await result.bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            if _NO_STORE.search(str(error)):
                raise self._unavailable(error) from None
            self._store()  # it may have gone meanwhile
            return None
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None

    async def keep(
        self, text: str, *, media_type: str = "text/plain", summary: str = "", by_reference: bool = False
    ) -> Content:
        """Turn a text into a content: inline if it is short and `by_reference` does not forbid it, else by reference."""
        data = (text := encodable(text)).encode()
        summary = summarise(summary, SUMMARY_LENGTH) if summary else summarise(text)
        if len(data) <= self._inline_limit and not by_reference:
            same = summary == text
            return Content(summary="" if same else summary, size=len(data), media_type=media_type, text=text)
        return Content(summary=summary, size=len(data), media_type=media_type, ref=await self.put(data))

    async def text(self, content: Content | Part) -> str:
        """Return the text of a content, wherever it lies."""
        return content.text or "" if content.ref is None else await self._text(content.ref)

    async def texts(self, refs: Iterable[str]) -> dict[str, str]:
        """Return the texts of references, each read once and several at a time; raises the first error of `get`."""
        found = dict.fromkeys(refs, "")
        waiting = iter(list(found))

        async def read() -> None:
            for ref in waiting:
                found[ref] = await self._text(ref)

        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(min(READS_AT_ONCE, len(found))):
                    readers.create_task(read())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return found

    async def _text(self, ref: str) -> str:
        try:
            return (await self.get(ref)).decode()
        except UnicodeDecodeError:
            raise non_retryable(
                ErrorKind.INPUT_INVALID, f"content {ref} is a file, not a text: extract its text first"
            ) from None

    def _unavailable(self, error: Exception) -> ApplicationError:
        return retryable(
            ErrorKind.CONTENT_UNAVAILABLE,
            f"the content store at {self._url} does not answer ({_brief(error)}); "
            "check CONTENT_STORE_URL and its credentials.",
        )


class ContentActivities:
    """Activities that keep texts for workflows, which must not hold them."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def keep_text(self, request: StoreRequest) -> Content:
        """Write a text to the content store."""
        earlier = (await self._store.texts(request.earlier)).values()
        text = with_earlier(request.text, earlier) if earlier else request.text
        return await self._store.keep(
            text,
            media_type=request.media_type,
            summary=request.summary,
            by_reference=request.by_reference,
        )


def log_outage(why: str) -> None:
    """Log that the store is away, and that it is back."""
    _log.warning("%s; activities wait for it", why) if why else _log.warning("the content store answers again")


def _brief(error: Exception) -> str:
    # obstore appends a dump of its internals, which would be kept in history forever.
    return f"{type(error).__name__}: {str(error).partition('Debug source')[0].strip()[:500]}"


def _named(name: str) -> str:
    return f"named/{_key(reference(name.encode()))}"


def _key(ref: str) -> str:
    # Two levels keep directories small enough for file systems that list them.
    return f"{ref[:2]}/{ref}"
