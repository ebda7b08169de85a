"""The web pages: sign in, see what waits and what runs, look at one run or one action, talk to an agent, decide.

They work without scripts; with them a run's page changes as the run does. Every form carries the session's secret.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from outlast.cli.decisions.listing import waiting_for_people
from outlast.cli.reaching import Reach
from outlast.cli.runs.listing import Wanted, newest
from outlast.client import web_ui_of
from outlast.command_line import command
from outlast.server.access import Scope
from outlast.server.conversations import Message, MessageAccepted, end_session, say
from outlast.server.events.feed import Feeds
from outlast.server.events.said import BEFORE
from outlast.server.gates import send_answer
from outlast.server.operations import HttpError, find, http_error
from outlast.server.pages.forms import LARGEST, FormError, answer_in, read_form
from outlast.server.pages.gate_page import GatePage, gate_facts
from outlast.server.pages.rendering import SCRIPT, STYLE, render
from outlast.server.pages.run_page import run_facts
from outlast.server.pages.sessions import COOKIE, Session, Sessions, SignInError
from outlast.server.runs import REPORT_POLICY

PAGE = 20
"""Gates and questions on one page."""
RUNS = 30
"""Runs on the first page."""

UNSERVED = "No worker answers now: your message waits, and counts once one does."

Handler = Callable[[Request, Session], Awaitable[Response]]


class Pages:
    """The pages, over one connection."""

    def __init__(self, reach: Reach, sessions: Sessions, feeds: Feeds) -> None:
        self.reach = reach
        self.sessions = sessions
        self.feeds = feeds

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/", self._signed(self.home)),
            Route("/signin", self.sign_in, methods=["GET", "POST"]),
            Route("/signout", self._form(self.sign_out), methods=["POST"]),
            Route("/run", self._signed(self.run)),
            Route("/run/now", self._signed(self.run_now)),
            Route("/gate", self._signed(self.gate), methods=["GET"]),
            Route("/gate", self._form(self.decide), methods=["POST"]),
            Route("/say", self._form(self.say), methods=["POST"]),
            Route("/end", self._form(self.end), methods=["POST"]),
            Route("/answer", self._form(self.answer), methods=["POST"]),
            Route("/report", self._signed(self.report)),
            Route("/style.css", _static(STYLE, "text/css")),
            Route("/live.js", _static(SCRIPT, "text/javascript")),
        ]

    async def home(self, request: Request, session: Session) -> Response:
        """Show what waits, nearest deadline first, and the newest runs."""
        waiting = await waiting_for_people(self.reach)
        pages = max(1, -(-len(waiting) // PAGE))
        page = min(_page_of(request), pages)
        return self._page(
            "home.html",
            session,
            waiting=waiting[(page - 1) * PAGE : page * PAGE],
            count=len(waiting),
            page=page,
            pages=pages,
            runs=await newest(self.reach, RUNS, Wanted()),
            agent=request.query_params.get("agent", ""),
        )

    async def sign_in(self, request: Request) -> Response:
        """Ask who it is, and open a session."""
        wrong = ""
        if request.method == "POST":
            try:
                number = self.sessions.begin((await _read(request)).get("who", ""))
            except (SignInError, FormError) as error:
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
            tokens=bool(self.sessions.tokens),
            token_command=command("approver-token", "NAME"),
            caller_command=command("serve-token", "NAME"),
        )
        return HTMLResponse(page, 422 if wrong else 200)

    async def sign_out(self, request: Request, _: Session) -> Response:
        """Close the session."""
        self.sessions.end(request.cookies[COOKIE])
        return RedirectResponse("/signin", 303)

    async def run(self, request: Request, session: Session) -> Response:
        """Show one run."""
        run = request.query_params.get("id", "")
        before = request.query_params.get("before", "")
        facts = await run_facts(self.reach, self.feeds, run, before if re.match(BEFORE, before) else "")
        return self._page("run.html", session, **facts, web_ui=self._web_ui(run))

    async def run_now(self, request: Request, session: Session) -> Response:
        """Show the part of a run's page that changes with it; its script asks for it."""
        facts = await run_facts(self.reach, self.feeds, request.query_params.get("id", ""))
        return HTMLResponse(render("now.html", session=session, now=_now(), **facts))

    async def say(self, request: Request, session: Session) -> Response:
        """Send a message to a session, and show the run that answers it; to a script, say which that is."""
        _need(session, Scope.START)
        form = await _read(request)
        message = Message(
            form.get("text", ""), form.get("agent", ""), form.get("key", ""), interrupt=bool(form.get("interrupt"))
        )
        chat = form.get("id", "").strip() or f"chat-{quote(session.who, safe='')}-{_now():%Y%m%d-%H%M%S-%f}"
        said = await say(self.reach, session.caller, chat, message)
        if request.headers.get("accept") == "application/json":
            return JSONResponse({"id": said.id, "told": _told(said)})
        return RedirectResponse(f"/run?{urlencode({'id': said.id})}", 303)

    async def end(self, request: Request, session: Session) -> Response:
        """End a session, and show its run."""
        _need(session, Scope.START)
        ends = await end_session(self.reach, session.caller, (await _read(request)).get("id", ""))
        session.notice = "The session ends once what was said is answered." if ends.asked else "It had ended already."
        return RedirectResponse(f"/run?{urlencode({'id': ends.id})}", 303)

    async def answer(self, request: Request, session: Session) -> Response:
        """Answer what a run asks, and show it."""
        _need(session, Scope.DECIDE)
        form = await _read(request)
        run, question = form.get("run", ""), form.get("question", "")
        found = await find(self.reach, run)
        taken = await send_answer(self.reach, found, session.caller, question, answer_in(form))
        session.notice = UNSERVED if taken is None else f"{taken.question} is answered."
        return RedirectResponse(f"/run?{urlencode({'id': run})}", 303)

    async def gate(self, request: Request, session: Session) -> Response:
        """Show one action."""
        return await self._gate_page(session, request.query_params.get("run", ""), request.query_params.get("gate", ""))

    async def decide(self, request: Request, session: Session) -> Response:
        """Take a decision on an action; where it cannot be taken, its page comes back with what was typed."""
        _need(session, Scope.DECIDE)
        form = await _read(request)
        run, gate = form.get("run", ""), form.get("gate", "")
        decided = GatePage(self.reach, session, form)
        if wrong := await decided.decide():
            return await self._gate_page(session, run, gate, wrong, form)
        back = {"id": run} if form.get("back") == "run" else {"run": run, "gate": gate}
        return RedirectResponse(f"/{'run' if 'id' in back else 'gate'}?{urlencode(back)}", 303)

    async def report(self, request: Request, _: Session) -> Response:
        """Show the report of a run."""
        from outlast.cli.report.page import html
        from outlast.cli.report.reading import read_report

        made = await read_report(self.reach, request.query_params.get("run", ""))
        return HTMLResponse(html(made, _now()), headers={"Content-Security-Policy": REPORT_POLICY})

    async def _gate_page(
        self, session: Session, run: str, name: str, wrong: str = "", form: dict[str, str] | None = None
    ) -> Response:
        facts = await gate_facts(self.reach, session, run, name, form)
        answer = self._page("gate.html", session, web_ui=self._web_ui(run), wrong=wrong, **facts)
        answer.status_code = 422 if wrong else 200
        return answer

    def _page(self, template: str, session: Session, **data: object) -> HTMLResponse:
        return HTMLResponse(render(template, session=session, notice=session.noticed(), now=_now(), **data))

    def _web_ui(self, run: str) -> str:
        """Return the address of a run in the Web UI, "" where none is known."""
        ui = web_ui_of(self.reach.settings).rstrip("/")
        return f"{ui}/namespaces/{self.reach.client.namespace}/workflows/{quote(run, safe='')}" if ui else ""

    def _signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def handled(request: Request) -> Response:
            session = self.sessions.find(request.cookies.get(COOKIE, ""))
            if session is None:
                return RedirectResponse("/signin", 303)
            if Scope.READ not in session.scopes:
                return PlainTextResponse("your token lacks the scope read", 403)
            return await _answered(handler, request, session)

        return handled

    def _form(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def handled(request: Request) -> Response:
            session = self.sessions.find(request.cookies.get(COOKIE, ""))
            try:
                csrf = (await _read(request)).get("csrf", "")
            except FormError as error:
                return PlainTextResponse(str(error), 400)
            if session is None or not session.sent(csrf):
                return PlainTextResponse("csrf: this form is not from a page of your session; load the page again", 403)
            return await _answered(handler, request, session)

        return handled


def _page_of(request: Request) -> int:
    asked = request.query_params.get("page", "1")
    return max(int(asked), 1) if asked.isdecimal() and len(asked) < 7 else 1


def _need(session: Session, scope: Scope) -> None:
    if scope not in session.scopes:
        raise HttpError(403, f"your token lacks the scope {scope}")


async def _answered(handler: Handler, request: Request, session: Session) -> Response:
    try:
        return await handler(request, session)
    except FormError as error:
        return PlainTextResponse(str(error), 400)
    except Exception as error:
        told = http_error(error)
        if told is None:
            raise
        return PlainTextResponse(str(told), told.status)


def _told(said: MessageAccepted) -> str:
    """Tell what came of a message, where its answer will not come by itself."""
    if said.asks:
        return f"The agent waits for the answer to {said.asks}, which your token may not give; it hears you after that."
    return UNSERVED if said.waits else ""


async def _read(request: Request) -> dict[str, str]:
    body = await request.body()
    if len(body) > LARGEST:
        raise FormError(f"the form is larger than {LARGEST // 1024} kB; shorten the arguments")
    return read_form(body)


def _static(text: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def given(_: Request) -> Response:
        return Response(text, media_type=media_type)

    return given


def _now() -> datetime:
    return datetime.now(UTC)
