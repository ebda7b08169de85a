"""The web inbox as an ASGI app: sign in, see what waits, look at one action, decide.

A page of others may send forms here, or point its own name at this address. So every form carries the session's secret,
the host must be one of ours, cookies stay on this site, and no page may be framed or load anything from elsewhere.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from temporalio.service import RPCError

from outlast.approvals.tokens import TokenError
from outlast.cli.decisions.listing import waiting_gates
from outlast.cli.inbox.forms import LARGEST, FormError, edit_of, read_form, rows_of, shown_arguments
from outlast.cli.inbox.pages import STYLE, render
from outlast.cli.inbox.sending import PageDecision, send
from outlast.cli.inbox.sessions import Session, Sessions, SignInError
from outlast.cli.inbox.waiting import see_run
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach
from outlast.client import web_ui_of
from outlast.command_line import command
from outlast.contracts import Verdict

COOKIE = "inbox"
PAGE = 20
"""Gates on one page."""
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
"""A report carries its style in itself; it has neither scripts nor forms."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Inbox:
    """The pages, over one connection; `names` are the hosts by which people may reach it."""

    def __init__(self, reach: Reach, secret: str, names: Sequence[str]) -> None:
        self.reach = reach
        self.names = frozenset(name.casefold() for name in names)
        self.sessions = Sessions(secret, _now)

    def app(self) -> Starlette:
        """Build the app."""
        return Starlette(
            routes=[
                Route("/", self.listing),
                Route("/signin", self.sign_in, methods=["GET", "POST"]),
                Route("/signout", self.sign_out, methods=["POST"]),
                Route("/gate", self.gate, methods=["GET", "POST"]),
                Route("/report", self.report),
                Route("/style.css", _style),
            ],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guarded)],
            exception_handlers={FormError: _refused, LeavingError: _refused, RPCError: _unserved},
        )

    async def listing(self, request: Request) -> Response:
        """Show what waits, nearest deadline first."""
        session = self._session(request)
        if session is None:
            return RedirectResponse("/signin", 303)
        waiting = await waiting_gates(self.reach)
        asked = request.query_params.get("page", "1")
        pages = max(1, -(-len(waiting) // PAGE))
        page = min(max(int(asked), 1), pages) if asked.isdecimal() and len(asked) < 7 else 1
        shown = waiting[(page - 1) * PAGE : page * PAGE]
        facts = {"waiting": shown, "count": len(waiting), "page": page, "pages": pages}
        return self._page("listing.html", session, **facts)

    async def sign_in(self, request: Request) -> Response:
        """Ask who it is, and open a session."""
        wrong = ""
        if request.method == "POST":
            who = (await _form(request)).get("who", "")
            try:
                number = self.sessions.begin(who)
            except SignInError as error:
                wrong = str(error)
            else:
                answer = RedirectResponse("/", 303)
                secure = request.url.scheme == "https"
                answer.set_cookie(COOKIE, number, httponly=True, samesite="strict", secure=secure)
                return answer
        page = render(
            "signin.html",
            session=None,
            notice="",
            wrong=wrong,
            signed=bool(self.sessions.secret),
            token_command=command("approver-token", "NAME"),
        )
        return HTMLResponse(page, 422 if wrong else 200)

    async def sign_out(self, request: Request) -> Response:
        """Close the session."""
        session, form = self._session(request), await _form(request)
        if session is None or not session.sent(form.get("csrf", "")):
            return _forged()
        self.sessions.end(request.cookies[COOKIE])
        return RedirectResponse("/signin", 303)

    async def gate(self, request: Request) -> Response:
        """Show one action, or take a decision on it."""
        session = self._session(request)
        if request.method == "POST":
            form = await _form(request)
            if session is None or not session.sent(form.get("csrf", "")):
                return _forged()
            return await self._decide(session, form)
        if session is None:
            return RedirectResponse("/signin", 303)
        return await self._looked_at(session, request.query_params.get("run", ""), request.query_params.get("gate", ""))

    async def report(self, request: Request) -> Response:
        """Show the report of a run."""
        if self._session(request) is None:
            return RedirectResponse("/signin", 303)
        from outlast.cli.report.page import html
        from outlast.cli.report.reading import read_report

        made = await read_report(self.reach, request.query_params.get("run", ""))
        return HTMLResponse(html(made, _now()), headers={"Content-Security-Policy": REPORT_POLICY})

    async def _decide(self, session: Session, form: dict[str, str]) -> Response:
        """Send a decision; where it cannot be taken, the page comes back with what was typed."""
        run, gate, typed = form.get("run", ""), form.get("gate", ""), form.get("arguments", "")
        try:
            if form.get("verdict") not in (str(Verdict.APPROVE), str(Verdict.DENY)):
                raise FormError("verdict: choose approve or deny")
            verdict = Verdict(form["verdict"])
            if not form.get("digest"):
                raise FormError("digest: the form does not say which action it is about; load the page again")
            edit = edit_of(typed, form.get("shown", "")) if verdict is Verdict.APPROVE else None
            decision = PageDecision(gate, verdict, form["digest"], " ".join(form.get("reason", "").split()), edit)
            seen = await see_run(self.reach, run, whole=False)
            session.notice = await send(self.reach, seen, session, decision)
        except (FormError, LeavingError, TokenError) as error:
            return await self._looked_at(session, run, gate, str(error), form)
        return RedirectResponse(f"/gate?{urlencode({'run': run, 'gate': gate})}", 303)

    async def _looked_at(
        self, session: Session, run: str, name: str, wrong: str = "", form: dict[str, str] | None = None
    ) -> Response:
        seen = await see_run(self.reach, run)
        gate = next((each for each in seen.shown.waiting if each.name == name), None)
        shown = (
            shown_arguments(gate.arguments)
            if gate is not None and gate.whole and len(gate.arguments) < LARGEST // 4
            else ""
        )
        typed = (form or {}).get("arguments", shown)
        # What was typed about another action must not look like an edit of this one.
        stale = form is not None and gate is not None and form.get("digest") != gate.digest
        answer = self._page(
            "gate.html",
            session,
            run=seen,
            name=name,
            gate=gate,
            shown=shown,
            rows=rows_of(shown),
            web_ui=self._web_ui(run),
            typed=shown if stale else typed,
            stale=typed if stale else "",
            reason=(form or {}).get("reason", ""),
            wrong=wrong,
            barred=gate is not None and gate.bars(session.who),
            unsigned=gate is not None and gate.signed and not session.grant,
        )
        answer.status_code = 422 if wrong else 200
        return answer

    def _page(self, template: str, session: Session, **data: object) -> HTMLResponse:
        return HTMLResponse(render(template, session=session, notice=session.noticed(), now=_now(), **data))

    def _web_ui(self, run: str) -> str:
        """Return the address of a run in the Web UI, "" where none is known."""
        ui = web_ui_of(self.reach.settings).rstrip("/")
        return f"{ui}/namespaces/{self.reach.client.namespace}/workflows/{quote(run, safe='')}" if ui else ""

    def _session(self, request: Request) -> Session | None:
        return self.sessions.find(request.cookies.get(COOKIE, ""))

    async def _guarded(self, request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse other hosts and forms of other sites, and set the headers that keep browsers strict."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if _hostname(f"//{host}") not in self.names:
            answer: Response = PlainTextResponse("host: this inbox has another name; start it with --name NAME", 421)
        elif request.method == "POST" and origin is not None and urlsplit(origin).netloc != host:
            answer = _forged()
        else:
            answer = await go_on(request)
        answer.headers.update({name: value for name, value in HEADERS.items() if name not in answer.headers})
        return answer


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").casefold()
    except ValueError:
        return ""


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise FormError(f"the form is larger than {LARGEST // 1024} kB; shorten the arguments")
    return read_form(body)


def _forged() -> Response:
    return PlainTextResponse("csrf: this form is not from a page of your session; load the page again", 403)


def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 400)


def _unserved(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"the Temporal server does not answer: {error}", 503)


async def _style(_: Request) -> Response:
    return Response(STYLE, media_type="text/css")


def _now() -> datetime:
    return datetime.now(UTC)
