"""What every request to the server must pass, and the headers that keep browsers strict.

A page of others may send requests here, or point its own name at this address. So the host must be one of ours, a request that
changes something must not come from a page of another site, and no page may be framed or load anything from elsewhere.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses other hosts and requests of other sites; `names` are our hosts, `origins` sites that may ask."""

    def __init__(self, app: ASGIApp, names: Collection[str], origins: Collection[str] = ()) -> None:
        self._app = app
        self._names = frozenset(name.casefold() for name in names)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        strict = _strict(send)
        if _hostname(f"//{host}") not in self._names:
            await _refused(421, "host: this server has another name; start it with --name NAME")(scope, receive, strict)
        elif scope["method"] not in SAFE and not self._is_ours(origin, host):
            await _refused(403, "origin: this comes from another page; SERVE_ORIGINS lists the sites that may ask")(
                scope, receive, strict
            )
        else:
            await self._app(_as_sent(scope), receive, strict)

    def _is_ours(self, origin: str | None, host: str) -> bool:
        site = (origin or "").rstrip("/")
        return origin is None or site in self._origins or site.partition("://")[2] == host


def _as_sent(scope: Scope) -> Scope:
    """Match routes on the path as it was sent: in an id a slash is written %2F, and must not end it."""
    raw = scope.get("raw_path")
    return {**scope, "path": raw.partition(b"?")[0].decode("latin-1")} if raw else scope


def _strict(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _refused(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").casefold()
    except ValueError:
        return ""
