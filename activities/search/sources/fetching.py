"""Fetches bytes over HTTP: with a user agent that names us, caps on size and time, and errors that name the fix.

A client's own timeouts bound the silence between two pieces, so a server that drips one byte a second would hold it forever;
and a small compressed answer may unpack to gigabytes. So the whole answer has a time limit, and a size limit once unpacked.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import httpx2
from temporalio.exceptions import ApplicationError

from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.llm.http_errors import retry_after

PRODUCT = "outlast/0.2"
FETCH_SECONDS = 15.0
"""Longest time for one answer, its body included; a source's own time bounds all attempts together."""
MAX_BYTES = 5 * 1024 * 1024
"""Largest answer, unpacked."""
MAX_REDIRECTS = 5

_PASSING = frozenset({408, 425, 429})


class Fetcher:
    """Gets bytes on behalf of one worker; `contact` (an address or a page) tells servers whom to ask about it."""

    def __init__(self, contact: str = "", *, seconds: float = FETCH_SECONDS, max_bytes: int = MAX_BYTES) -> None:
        contact_text = " ".join(contact.encode("ascii", "replace").decode().split())
        self._agent = f"{PRODUCT} ({contact_text})" if contact_text else PRODUCT
        self._seconds = seconds
        self._max_bytes = max_bytes

    async def get(
        self, url: str, *, parameters: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of an answer.

        Raises SourceUnavailable: retryable for 408, 425, 429, 5xx, timeouts and broken connections, else non-retryable;
        SourceNotConfigured for an address that is none.
        """
        shown = url.partition("?")[0]
        try:
            async with asyncio.timeout(self._seconds), self._client() as client:
                request = client.build_request("GET", url, params=parameters, headers=headers)
                response = await client.send(request, stream=True)
                try:
                    return await self._body(response, shown)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            raise retryable(
                ErrorKind.SOURCE_UNAVAILABLE, f"{shown} gave no whole answer in {self._seconds:g} s"
            ) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError) as error:
            raise non_retryable(ErrorKind.SOURCE_NOT_CONFIGURED, f"{shown!r} is not a web address: {error}") from None
        except (httpx2.TooManyRedirects, httpx2.DecodingError) as error:
            raise non_retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{shown}: {type(error).__name__}: {error}") from None
        except httpx2.HTTPError as error:
            reason = f"{type(error).__name__}: {error}"
            raise retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{shown} cannot be reached: {reason}") from None

    async def get_json(
        self, url: str, *, parameters: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return an answer that is a JSON object; raises as `get`, and SourceUnavailable for anything else."""
        body = await self.get(url, parameters=parameters, headers={"Accept": "application/json", **(headers or {})})
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{url} answered, but not with a JSON object")
        return data

    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers={"User-Agent": self._agent},
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            timeout=self._seconds,
            verify=_certificates(),
        )

    async def _body(self, response: httpx2.Response, shown: str) -> bytes:
        if response.status_code >= 400:
            raise _refused(response, shown)
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._max_bytes:
                raise non_retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{shown} gave more than {self._max_bytes:,} bytes")
            pieces.append(piece)
        return b"".join(pieces)


def _refused(response: httpx2.Response, shown: str) -> ApplicationError:
    text = f"{shown} answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code in _PASSING or response.status_code >= 500:
        wait = retry_after(response.headers)
        if wait:
            return retryable(
                ErrorKind.SOURCE_UNAVAILABLE, f"{text}, retry after {wait:.0f} s", after=timedelta(seconds=wait)
            )
        return retryable(ErrorKind.SOURCE_UNAVAILABLE, text)
    return non_retryable(ErrorKind.SOURCE_UNAVAILABLE, text)


@cache
def _certificates() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds, in which nothing else runs.
    return httpx2.create_ssl_context()
