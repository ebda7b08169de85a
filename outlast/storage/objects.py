"""The objects behind the content store: bytes by key, in a directory or in an object store, encrypted where keys are set."""

import asyncio
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url
from temporalio.exceptions import ApplicationError

from outlast.errors import ErrorKind, retryable
from outlast.storage.marker import StoreMarker
from outlast.storage.sealing import Seal

if TYPE_CHECKING:
    from obstore.store import RetryConfig

RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
"""How long a request to a store over the network is repeated. obstore's own three minutes outlast every time-out of ours, so
nobody would learn what is wrong; Temporal repeats the activity anyway."""

TRASH = "trash/"
"""Where `gc` puts what nothing refers to, before it is deleted: whoever reads it meanwhile brings it back."""

LARGE = 1024 * 1024
"""Bytes from which on an object is encrypted and decrypted beside the event loop."""

KINDS = "file:///directory, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"

_NO_STORE = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
"""How object stores say that not a text but the whole store is missing."""
_log = logging.getLogger(__name__)


class Objects:
    """Bytes by key in the store at a URL; every operation raises ContentUnavailable where the store is away."""

    def __init__(self, url: str, opened: ObjectStore | None, marker: StoreMarker | None, seal: Seal) -> None:
        self.url = url
        self.seal = seal
        self._opened = opened
        self._marker = marker

    @classmethod
    def open(cls, url: str, state_dir: Path | None = None, seal: Seal | None = None) -> "Objects":
        """Open the store at a URL; raises ValueError that names CONTENT_STORE_URL."""
        seal = seal or Seal()
        if urlsplit(url).scheme == "file":
            directory = Path(unquote(urlsplit(url).path))
            return cls(url, None, StoreMarker.of(directory, url, state_dir), seal)
        try:
            return cls(url, from_url(url, retry_config=RETRIES), None, seal)
        except (BaseError, ValueError) as error:
            unknown = "recognise URL" in str(error)
            why = f"there is no such kind of store; write {KINDS}" if unknown else brief(error)
            raise ValueError(f"CONTENT_STORE_URL={url} cannot be opened: {why}") from None

    @property
    def directory(self) -> Path | None:
        """The directory of a store of files; None for an object store."""
        return self._marker.root if self._marker is not None else None

    def store(self) -> ObjectStore:
        """Return the store behind; raises ContentUnavailable where it is away."""
        if self._marker is not None and self._marker.away:
            raise self.unavailable(FileNotFoundError(self._marker.why()))
        if self._opened is None:
            assert self._marker is not None
            self._opened = LocalStore(self._marker.root)
        return self._opened

    async def write(self, key: str, data: bytes, *, anew: bool = False, replaces_broken: bool = False) -> None:
        """Write bytes where there are none yet; with `replaces_broken` also where some were lost, as a power cut does it."""
        sealed = await self._beside(len(data), self.seal.close, key, data)
        try:
            try:
                await obstore.put_async(self.store(), key, sealed, mode="overwrite" if anew else "create")
            except AlreadyExistsError:
                if replaces_broken and not self.seal.fits(
                    (await obstore.head_async(self.store(), key))["size"], len(data)
                ):
                    await obstore.put_async(self.store(), key, sealed)
        except (BaseError, OSError) as error:
            raise self.unavailable(error) from None
        # It may have gone while this was written, which made its directory anew.
        self.store()

    async def read(self, key: str) -> bytes | memoryview | None:
        """Return the bytes of a key as they lie there, or None where there are none; what is in the trash comes back."""
        found = await self.fetch(key)
        if found is None and (found := await self.fetch(TRASH + key)) is not None:
            try:
                await obstore.put_async(self.store(), key, bytes(found), mode="create")
            except AlreadyExistsError:
                pass
            except (BaseError, OSError) as error:
                _log.warning("content %s was found in the trash and cannot be put back: %s", key, brief(error))
        return found

    async def opened(self, key: str, found: bytes | memoryview) -> bytes:
        """Decrypt what was read; raises KeyMissingError and SealBrokenError."""
        return await self._beside(len(found), self.seal.open, key, found)

    async def fetch(self, key: str) -> memoryview | None:
        """Return the bytes of a key as they lie there, or None where there are none."""
        try:
            result = await obstore.get_async(self.store(), key)
            return memoryview(await result.bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            if _NO_STORE.search(str(error)):
                raise self.unavailable(error) from None
            self.store()  # it may have gone meanwhile
            return None
        except (BaseError, OSError) as error:
            raise self.unavailable(error) from None

    async def _beside(self, size: int, work: Callable[[str, Any], bytes], key: str, data: bytes | memoryview) -> bytes:
        return work(key, data) if size < LARGE else await asyncio.to_thread(work, key, data)

    def unavailable(self, error: Exception) -> ApplicationError:
        """Build the error that says that the store does not answer, and why."""
        return retryable(
            ErrorKind.CONTENT_UNAVAILABLE,
            f"the content store at {self.url} does not answer ({brief(error)}); "
            "check CONTENT_STORE_URL and its credentials.",
        )


def brief(error: Exception) -> str:
    """Return what an error of a store says, in short."""
    # obstore appends a dump of its internals, which would be kept in history forever.
    return f"{type(error).__name__}: {str(error).partition('Debug source')[0].strip()[:500]}"
