"""One HTTP request that changes something. Which can be undone, and how, the operator declares, never a model.

Any other request cannot be undone, so it waits for a person. Whether a request without a response
took effect cannot be known, so it carries an `Idempotency-Key` that is the same in every attempt, and its inverse carries one
of its own; a server that honours them does each once.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, Field

from outlast.contracts import Effect, UndoablePair
from outlast.tools.standard.web import PRODUCT, Fetching, certificates, port_of
from outlast.tools.tool import NeverHappenedError, Tool, ToolError, Undo, tool

CALL_SECONDS = 30.0
SHOWN_BYTES = 40_000
BODY_CHARACTERS = 100_000
UNDO = "http_undo"
"""The tool that sends the inverse."""

_PASSING = frozenset({408, 425, 429})
_ABSENT = frozenset({404, 410})

_PAIR = re.compile(
    r"(?P<method>POST|PUT|PATCH|DELETE)\s+(?P<url>https?://\S+)\s*=>\s*"
    r"(?P<undo_method>POST|PUT|PATCH|DELETE)\s+(?P<undo_url>https?://\S+)"
)
_PLACEHOLDER = re.compile(r"\{([^}]*)\}")

Method = Literal["POST", "PUT", "PATCH", "DELETE"]


class HttpUndo(BaseModel):
    """Arguments of http_undo."""

    method: Method
    url: str = Field(max_length=4000)
    body: Any = None


class HttpCall(BaseModel):
    """Arguments of http_call."""

    method: Method
    url: str = Field(max_length=4000, description="the address, beginning with https:// or http://")
    body: Any = Field(default=None, description="the JSON body, if any")


def read_pairs(text: str) -> tuple[UndoablePair, ...]:
    """Read `METHOD URL => METHOD URL`, several by `;`; raises ValueError that names HTTP_CALL_UNDO and says what is wrong."""
    pairs = []
    for written in filter(None, (each.strip() for each in text.split(";"))):
        found = _PAIR.fullmatch(written)
        if found is None:
            raise ValueError(
                f"HTTP_CALL_UNDO: {written[:200]!r} is not a pair; write 'PUT https://host/path/{{id}} => DELETE "
                "https://host/path/{id}', several by ';'"
            )
        pair = UndoablePair(**found.groupdict())
        wanted = [name for name in _PLACEHOLDER.findall(pair.undo_url) if not name.startswith("body.")]
        unknown = [name for name in wanted if name not in _PLACEHOLDER.findall(pair.url)]
        if unknown:
            raise ValueError(f"HTTP_CALL_UNDO: {{{unknown[0]}}} is not in the first address of {written[:200]!r}")
        pairs.append(pair)
    return tuple(pairs)


def http_tools(
    allow: Sequence[str],
    *,
    private: bool = False,
    seconds: float = CALL_SECONDS,
    undoable: Sequence[UndoablePair] = (),
) -> list[Tool]:
    """Make the tools that call services; `allow` lists hosts (`example.org`, `*.example.org`, `*` for all).

    `private` permits addresses that are not public; `undoable` are the requests that can be undone. Raises ValueError that
    names HTTP_CALL_ALLOW.
    """
    hosts = Fetching(tuple(host.lower() for host in allow), private, seconds, SHOWN_BYTES, "HTTP_CALL_ALLOW")

    def prepare(arguments: HttpCall, _: str) -> Undo:
        if len(json.dumps(arguments.body)) > BODY_CHARACTERS:
            raise ToolError(f"a body may have {BODY_CHARACTERS} characters of JSON at most")
        hosts.target(arguments.url)
        asked = arguments.model_dump(mode="json")
        inverse = next((found for pair in undoable if (found := pair.inverse_of(asked)) is not None), None)
        if inverse is not None:
            hosts.target(inverse["url"])
        return Undo(inverse or {})

    @tool(effect=Effect.IRREVERSIBLE, undo=UNDO, prepare=prepare, timeout=2 * seconds, undoable=tuple(undoable))
    async def http_call(arguments: HttpCall, key: str) -> str:
        """Call a service over HTTP to change something; a person must approve what cannot be undone."""
        status, body = await _send(hosts, arguments, key)
        if status >= 300:
            raise ToolError(f"the service answered {status}: {body}")
        return f"{status}\n{body}"

    @tool(effect=Effect.WRITE, timeout=2 * seconds)
    async def http_undo(arguments: HttpUndo, key: str) -> str:
        """Send the request that takes an earlier one back."""
        status, body = await _send(hosts, arguments, f"{key}/undo")
        if status in _ABSENT:
            raise NeverHappenedError(f"there is nothing to undo: the service answered {status}")
        if status >= 300:
            raise ToolError(f"the service answered {status}: {body[:500]}")
        return f"{arguments.method} sent, answered {status}"

    assert http_undo.name == UNDO
    return [http_call, http_undo]


async def _send(hosts: Fetching, asked: HttpCall | HttpUndo, key: str) -> tuple[int, str]:
    """Send a request; raises ConnectionError where waiting may help."""
    try:
        async with asyncio.timeout(hosts.seconds):
            headers = {"Idempotency-Key": header_safe(key)}
            status, body = await request_once(hosts, asked.method, asked.url, headers=headers, body=asked.body)
    except TimeoutError:
        raise ConnectionError(f"{_shown(asked.url)} gave no answer in {hosts.seconds:g} s") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise ToolError(f"{_shown(asked.url)}: {error}") from None
    except httpx2.HTTPError as error:
        raise ConnectionError(f"{_shown(asked.url)} cannot be reached: {type(error).__name__}: {error}") from None
    if status in _PASSING or status >= 500:
        raise ConnectionError(f"{_shown(asked.url)} answered {status}")
    return status, body


async def request_once(
    hosts: Fetching,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: Any = None,
    content: bytes | None = None,
    reads: bool = True,
) -> tuple[int, str]:
    """Send a request to one of the addresses of its host, with a JSON body or with content; returns status and text.

    Without `reads` the status alone counts, and the text is empty. No redirect is followed.
    Raises ToolError where it may not be sent, and httpx2's errors where it was not answered.
    """
    target = hosts.target(url)
    addresses = await hosts.addresses(target.host, port_of(target))
    hosts.check_port(target, addresses)
    known = {"Host": target.netloc.decode("ascii"), "User-Agent": PRODUCT}
    sent: dict[str, Any] = {"json": body} if content is None else {"content": content}
    # No proxy from the environment: it would resolve the name again, and connect to what it finds.
    async with httpx2.AsyncClient(verify=certificates(), timeout=hosts.seconds, trust_env=False) as client:
        for position, address in enumerate(addresses, 1):
            request = client.build_request(
                method,
                target.copy_with(host=address, fragment=None),
                headers={**known, **headers},
                extensions={"sni_hostname": target.raw_host.decode("ascii").strip("[]")},
                **sent,
            )
            try:
                response = await client.send(request, stream=True)
            except httpx2.ConnectError:
                if position == len(addresses):
                    raise
                continue
            try:
                return response.status_code, await _text(response) if reads else ""
            finally:
                await response.aclose()
    raise ConnectionError(f"{target.host} has no address")


async def _text(response: httpx2.Response) -> str:
    pieces = bytearray()
    async for piece in response.aiter_bytes():
        pieces += piece
        if len(pieces) > SHOWN_BYTES:
            return pieces[:SHOWN_BYTES].decode(errors="replace") + "\n[… more]"
    return pieces.decode(errors="replace")


def header_safe(key: str) -> str:
    """Write a key as a header can carry it, another for each key: what is no plain ASCII is percent-encoded.

    The key holds the run's id, which people choose.
    """
    plain = key.isascii() and key.isprintable() and key == key.strip() and "%" not in key
    return key if plain else quote(key, safe="/:@")


def _shown(url: str) -> str:
    """Return an address without its query, which may hold a secret."""
    return url.partition("?")[0][:300]
