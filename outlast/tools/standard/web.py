"""One page of the web as text: hosts from a list, nothing private, a cap on size and time.

A name that pointed to a public address when it was checked can point to the loopback when it is connected to. So the
name is resolved once, its addresses are checked, and the connection goes to a checked address; every redirect starts over.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

import httpx2
from pydantic import BaseModel, Field
from temporalio.exceptions import ApplicationError

from outlast.documents.activities import read_document
from outlast.tools.standard.addresses import is_internal, is_public
from outlast.tools.tool import Tool, ToolError, tool

FETCH_SECONDS = 30.0
"""Longest time for a page, redirects included."""
MAX_BYTES = 5 * 1024 * 1024
"""Largest page, unpacked."""
MAX_REDIRECTS = 5
WEB_PORTS = (80, 443)
SHOWN_CHARACTERS = 40_000
PRODUCT = "outlast/0.2"

_PASSING = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PATTERN = re.compile(
    r"(\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*)(:\d{1,5})?|[0-9a-f:.]+|\[[0-9a-f:.]+\](:\d{1,5})?", re.IGNORECASE
)


class FetchUrl(BaseModel):
    """Arguments of fetch_url."""

    url: str = Field(max_length=4000, description="the page's address, beginning with https:// or http://")
    start: int = Field(default=0, ge=0, description="first character to show of a long page")


def web_tools(
    allow: Sequence[str],
    *,
    private: bool = False,
    seconds: float = FETCH_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> list[Tool]:
    """Make the tool that fetches pages; `allow` lists hosts (`example.org`, `*.example.org`, `*` for all).

    `private` permits addresses that are not public. Raises ValueError that names FETCH_ALLOW.
    """
    fetching = Fetching(tuple(host.lower() for host in allow), private, seconds, max_bytes)

    @tool(timeout=2 * seconds)
    async def fetch_url(arguments: FetchUrl) -> str:
        """Fetch a page of the web and return its text."""
        url, media_type, data = await fetching.get(arguments.url)
        page = await _text(data, url, media_type)
        shown = page[arguments.start : arguments.start + SHOWN_CHARACTERS]
        left = len(page) - arguments.start - len(shown)
        more = f"\n[… {left} more characters: fetch with start={arguments.start + len(shown)}]" if left > 0 else ""
        return f"{url}\n\n{shown}{more}"

    return [fetch_url]


def page_reader(
    *, private: bool = False, seconds: float = FETCH_SECONDS, max_bytes: int = MAX_BYTES
) -> Callable[[str], Awaitable[str]]:
    """Return what reads the text of any public page, for research: the walls of fetch_url, without its list of hosts."""
    fetching = Fetching(("*",), private, seconds, max_bytes)

    async def read(url: str) -> str:
        last, media_type, data = await fetching.get(url)
        return await _text(data, last, media_type)

    return read


@dataclass(frozen=True)
class Fetching:
    """Gets bytes from hosts that are allowed; raises ValueError that names the setting that allows them."""

    allow: tuple[str, ...]
    private: bool
    seconds: float
    max_bytes: int
    setting: str = "FETCH_ALLOW"

    def __post_init__(self) -> None:
        for host in self.allow:
            if not _PATTERN.fullmatch(host):
                raise ValueError(f"{self.setting}: {host!r} is not a host; write example.org, *.example.org or *")

    async def get(self, url: str) -> tuple[str, str, bytes]:
        """Return the last address, the media type and the bytes; ToolError, or ConnectionError where waiting may help."""
        try:
            async with asyncio.timeout(self.seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    found = await self._fetch_once(url)
                    if not isinstance(found, str):
                        return url, *found
                    url = found
        except TimeoutError:
            raise ConnectionError(f"{_shown(url)} gave no whole answer in {self.seconds:g} s") from None
        raise ToolError(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times")

    async def _fetch_once(self, url: str) -> str | tuple[str, bytes]:
        """Return where an address redirects to, or its media type and bytes."""
        target = self.target(url)
        addresses = await self.addresses(target.host, port_of(target))
        self.check_port(target, addresses)
        try:
            return await self._ask(target, addresses)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.DecodingError) as error:
            raise ToolError(f"{_shown(url)}: {error}") from None
        except httpx2.HTTPError as error:
            raise ConnectionError(f"{_shown(url)} cannot be reached: {type(error).__name__}: {error}") from None

    def target(self, url: str) -> httpx2.URL:
        """Return an address that may be asked; raises ToolError."""
        try:
            target = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise ToolError(f"{_shown(url)!r} is not a web address: {error}") from None
        if target.scheme not in ("http", "https") or not target.host or target.userinfo:
            raise ToolError(f"{_shown(url)!r}: write https:// or http:// and a host, without a name or password")
        host = target.host.rstrip(".").lower()
        if not any(_matches(host, port_of(target), pattern) for pattern in self.allow):
            raise ToolError(f"{host} is not among the hosts that may be asked: {', '.join(self.allow)}")
        return target

    def check_port(self, target: httpx2.URL, addresses: Sequence[str]) -> None:
        """Refuse other ports than the web's, unless the list names the port or the service is a private one; raises ToolError."""
        port, host = port_of(target), target.host.rstrip(".").lower()
        named = any(_matches(host, port, pattern) and _split(pattern)[1] for pattern in self.allow)
        if port not in WEB_PORTS and not named and any(is_public(address) for address in addresses):
            raise ToolError(
                f"port {port} of {host} is not a port of the web; {self.setting} allows it as {host}:{port}"
            )

    async def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a name to addresses, all of which may be connected to."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise ConnectionError(f"the name {host} cannot be resolved now: {error.strerror}") from None
            raise ToolError(f"there is no host {host}: {error.strerror}") from None
        except UnicodeError:
            raise ToolError(f"{host!r} is not a host name") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if is_internal(address):
                raise ToolError(f"{host} leads to {address}, which is not a public address; no setting opens it")
            if not is_public(address) and not self.private:
                raise ToolError(f"{host} leads to {address}, which is not a public address; it must not be fetched")
        return addresses

    async def _ask(self, target: httpx2.URL, addresses: list[str]) -> str | tuple[str, bytes]:
        # No proxy from the environment: it would resolve the name again, and connect to what it finds.
        async with httpx2.AsyncClient(verify=certificates(), timeout=self.seconds, trust_env=False) as client:
            for position, address in enumerate(addresses, 1):
                request = client.build_request(
                    "GET",
                    target.copy_with(host=address, fragment=None),
                    headers={
                        "Host": target.netloc.decode("ascii"),
                        "User-Agent": PRODUCT,
                        "Accept-Encoding": "identity",
                    },
                    extensions={"sni_hostname": target.raw_host.decode("ascii").strip("[]")},
                )
                try:
                    response = await client.send(request, stream=True)
                except httpx2.ConnectError:
                    if position == len(addresses):
                        raise
                    continue
                try:
                    return await self._read(response, target)
                finally:
                    await response.aclose()
        raise ConnectionError(f"{target.host} has no address")

    async def _read(self, response: httpx2.Response, target: httpx2.URL) -> str | tuple[str, bytes]:
        shown, status = _shown(str(target)), response.status_code
        if status in _REDIRECTS and "location" in response.headers:
            return str(target.join(response.headers["location"]))
        if status in _PASSING or status >= 500:
            raise ConnectionError(f"{shown} answered {status} {response.reason_phrase}".rstrip())
        if status >= 300:
            raise ToolError(f"{shown} answered {status} {response.reason_phrase}".rstrip())
        pieces = bytearray()
        async for piece in response.aiter_bytes():
            pieces += piece
            if len(pieces) > self.max_bytes:
                raise ToolError(f"{shown} gave more than {self.max_bytes:,} bytes")
        return response.headers.get("content-type", ""), bytes(pieces)


def port_of(target: httpx2.URL) -> int:
    """Return the port of an address."""
    return target.port or (443 if target.scheme == "https" else 80)


def _matches(host: str, port: int, pattern: str) -> bool:
    name, wanted = _split(pattern)
    if wanted and wanted != port:
        return False
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))


def _split(pattern: str) -> tuple[str, int]:
    """Return the host of a pattern, and its port or 0."""
    if pattern.startswith("["):
        host, _, port = pattern[1:].partition("]")
        return host, int(port.removeprefix(":") or 0)
    host, colon, port = pattern.partition(":")
    return (host, int(port)) if colon and port.isdecimal() and ":" not in port else (pattern, 0)


def _shown(url: str) -> str:
    """Return an address without its query, which may hold a secret."""
    return url.partition("?")[0][:300]


async def _text(data: bytes, url: str, media_type: str) -> str:
    if not data.strip():
        return "[the page is empty]"
    try:
        return "".join((await read_document(data, _shown(url), media_type)).texts)
    except ApplicationError as error:
        raise ToolError(error.message) from None


@cache
def certificates() -> ssl.SSLContext:
    """Return the certificates that servers are checked by."""
    # Reading the certificates takes tens of milliseconds, in which nothing else runs.
    return httpx2.create_ssl_context()
