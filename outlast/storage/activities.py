"""The content store: texts and files by the sha-256 of their bytes, written once, checked on every read.

A URL decides where it lives: a local directory (default), S3, GCS or Azure. Starter and worker must
see the *same* store; where they do not, the first read fails with an error that names the setting. A store that is away is
an outage, which every operation waits for; only in a store that is there can a text be missing.
"""

import asyncio
import hashlib
import logging
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.activity.waiting import Patience
from outlast.contracts import SUMMARY_LENGTH, Content, Part, StoreRequest
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.storage.cache import ContentCache
from outlast.storage.objects import Objects
from outlast.storage.parts import with_archived, with_earlier
from outlast.storage.sealing import KeyMissingError, Seal, SealBrokenError

INLINE_LIMIT = 1024
"""Texts up to this many bytes of UTF-8 travel inline by default."""

DEFAULT_SUMMARY_LENGTH = 120
"""Characters of a summary that nobody wrote; shorter than allowed, because every step of every run stores one."""

READS_AT_ONCE = 4
"""How many texts of one request are read at the same time; each is in memory twice while it is."""

PROBE = b"The content store can be written.\n"
"""What is written to see whether it can be; `gc` finds it unreferenced, like any content, and takes it away."""

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{43}")
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
        objects: Objects,
        inline_limit: int = INLINE_LIMIT,
        *,
        patience: Patience | None = None,
        cache_bytes: int = 0,
    ) -> None:
        self.objects = objects
        """What lies behind, for those who look after the store as a whole."""
        self._inline_limit = inline_limit
        self._patience = patience or Patience()
        self._cache = ContentCache(cache_bytes)

    @property
    def waits(self) -> float:
        """Seconds that an operation waits for a store that is away."""
        return self._patience.seconds

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
        seal: Seal | None = None,
    ) -> "ContentStore":
        """Open the store at a URL (`file:///dir`, `s3://bucket/prefix`, `gs://…`, `az://…`); a new directory is made.

        Args:
            url: Where the store is.
            inline_limit: Most bytes of a text that may lie in history.
            state_dir: Keeps in mind that a directory was made: where it is missing later, it is away, and is not made anew.
            waits: Seconds that an operation waits for a store that is away.
            on_outage: Called once with the reason when the store is away, and once with "" when it is back.
            cache_bytes: Most bytes of texts that are kept in memory, so that none of them is read again; 0 for none.
            seal: What encrypts and decrypts, `settings.seal()`. Default: everything is written in clear.

        Raises:
            ValueError: The URL is none of a store; the message names CONTENT_STORE_URL.
        """
        patience = Patience(waits, on_outage)
        return cls(Objects.open(url, state_dir, seal), inline_limit, patience=patience, cache_bytes=cache_bytes)

    async def put(self, data: bytes) -> str:
        """Keep bytes and return their reference; the same bytes are kept once."""
        ref = reference(data)
        await self._patience.outlast(lambda: self.objects.write(content_key(ref), data, replaces_broken=True))
        self._cache.keep(ref, data)
        return ref

    async def check(self) -> None:
        """Write something and read it again, or wait until that is possible; raises ContentUnavailable."""
        key = content_key(reference(PROBE))

        async def write_and_read() -> None:
            await self.objects.write(key, PROBE, anew=True)
            await self.objects.fetch(key)

        await self._patience.outlast(write_and_read)

    async def get(self, ref: str) -> bytes:
        """Return the bytes of a reference; what was read or written lately is not read again.

        Raises ContentMissing or ContentAltered (non-retryable), ContentUnavailable (retryable; also for a key that is missing).
        """
        if (held := self._cache.get(ref)) is not None:
            return held
        if not _REFERENCE.fullmatch(ref):
            raise non_retryable(
                ErrorKind.CONTENT_MISSING, f"{ref[:60]!r} is not a content reference (43 characters of base64)"
            )
        found = await self._patience.outlast(lambda: self.objects.read(content_key(ref)))
        if found is None:
            raise non_retryable(
                ErrorKind.CONTENT_MISSING,
                f"content {ref} is not in this worker's content store ({self.objects.url}). If it was written by another "
                f"process, that process uses another store: set CONTENT_STORE_URL to the same URL for both.",
            )
        without: KeyMissingError | None = None
        try:
            data = await self.objects.opened(content_key(ref), found)
        except (KeyMissingError, SealBrokenError) as error:
            without = error if isinstance(error, KeyMissingError) else None
            data = bytes(found)  # perhaps a file of somebody's that merely begins as an encrypted one does
        if reference(data) != ref:
            if without is not None:
                raise self._sealed(f"content {ref}", without)
            raise non_retryable(
                ErrorKind.CONTENT_ALTERED,
                f"content {ref} in {self.objects.url} was changed after it was written; restore it from a backup, "
                "or start the run anew.",
            )
        self._cache.keep(ref, data)
        return data

    async def remember(self, name: str, data: bytes, *, anew: bool = False, waits: bool = True) -> None:
        """Keep bytes under a name of one's own; whoever comes first wins, or with `anew` last.

        Raises ContentUnavailable, without waiting for the store unless it `waits`.
        """
        if waits:
            await self._patience.outlast(lambda: self.objects.write(named_key(name), data, anew=anew))
        else:
            await self.objects.write(named_key(name), data, anew=anew)

    async def recall(self, name: str) -> bytes | None:
        """Return what was kept under a name, or None where the store is there and holds nothing. Raises ContentUnavailable.

        A record that was damaged comes back empty, as a power cut leaves one.
        """
        found = await self._patience.outlast(lambda: self.objects.read(named_key(name)))
        return None if found is None else await self.unseal(name, found)

    def seal(self, name: str, record: bytes) -> bytes:
        """Encrypt a record as the store does it, for a file beside the store."""
        return self.objects.seal.close(named_key(name), record)

    async def unseal(self, name: str, found: bytes | memoryview) -> bytes:
        """Decrypt a record; one that was damaged is empty. Raises ContentUnavailable where its key is missing."""
        try:
            return await self.objects.opened(named_key(name), found)
        except KeyMissingError as error:
            raise self._sealed("a record", error) from None
        except SealBrokenError as error:
            _log.warning("a record in the content store cannot be decrypted: %s", error)
            return b""

    def _sealed(self, what: str, error: Exception) -> ApplicationError:
        return retryable(
            ErrorKind.CONTENT_UNAVAILABLE,
            f"{what} in {self.objects.url} cannot be read: {error}; set the same keys for every worker and starter.",
        )

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


class ContentActivities:
    """Activities that keep texts for workflows, which must not hold them."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def keep_text(self, request: StoreRequest) -> Content:
        """Write a text to the content store."""
        earlier = (await self._store.texts(request.earlier)).values()
        text = with_earlier(request.text, earlier) if earlier else request.text
        if request.archived:
            text = with_archived(text, (await self._store.texts(request.archived)).values())
        return await self._store.keep(
            text,
            media_type=request.media_type,
            summary=request.summary,
            by_reference=request.by_reference,
        )


def log_outage(why: str) -> None:
    """Log that the store is away, and that it is back."""
    _log.warning("%s; activities wait for it", why) if why else _log.warning("the content store answers again")


def named_key(name: str) -> str:
    """Return the key of what is kept under a name."""
    return f"named/{content_key(reference(name.encode()))}"


def content_key(ref: str) -> str:
    """Return the key of a reference."""
    # Two levels keep directories small enough for file systems that list them.
    return f"{ref[:2]}/{ref}"
