"""Who sits before the browser: sessions kept in this process, opened by an approver token, a caller's token, or a typed name.

A session that proves somebody must not be made by whoever knows a name. So where there are tokens only a token opens
one, and its grant stays here: the browser holds nothing but a random number.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outlast.approvals.tokens import TokenError, grant_of
from outlast.command_line import command
from outlast.server.access import EVERYTHING, Caller, Scope, Tokens

COOKIE = "inbox"
LASTS = timedelta(hours=12)
MOST = 1000
"""Sessions kept; the oldest goes when one more is opened."""
NAME_LENGTH = 64


class SignInError(Exception):
    """Nobody is signed in by this; the message says why, and names the field."""


@dataclass
class Session:
    """One signed-in person; `grant` is the approver token, `csrf` goes into each form, `notice` is shown once.

    `scopes` are what they may do here.
    """

    who: str
    ends: datetime
    grant: str = ""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    notice: str = ""
    scopes: frozenset[Scope] = EVERYTHING

    @property
    def caller(self) -> Caller:
        """Who sends what this session's forms say."""
        return Caller(self.who, self.scopes, self.grant)

    def sent(self, csrf: str) -> bool:
        """Whether a form comes from a page of this session."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())

    def noticed(self) -> str:
        """Return the notice and forget it."""
        notice, self.notice = self.notice, ""
        return notice


class Sessions:
    """All sessions of this process; `secret` is that of approvers, `tokens` are those of callers; without either names are typed.

    With `starts`, whoever proves to be an approver may start runs here, too.
    """

    def __init__(self, secret: str, now: Callable[[], datetime], tokens: Tokens, *, starts: bool) -> None:
        self.secret = secret
        self.tokens = tokens
        self._now = now
        self._starts = starts
        self._open: dict[str, Session] = {}

    def begin(self, given: str) -> str:
        """Open a session by a token or a name; returns its number, raises SignInError."""
        now = self._now()
        caller = self.tokens.caller(given)
        if caller is not None:
            session = Session(caller.name, now + LASTS, scopes=caller.scopes)
        elif self.secret:
            session = self._proven(given, now)
        elif self.tokens:
            raise SignInError(f"token: it is not known here; make one with {command('serve-token', 'NAME')}")
        else:
            session = self._named(given, now)
        self._open = {number: one for number, one in self._open.items() if one.ends > now}
        while len(self._open) >= MOST:
            self._open.pop(next(iter(self._open)))
        number = secrets.token_urlsafe(32)
        self._open[number] = session
        return number

    def find(self, number: str) -> Session | None:
        """Find an open session."""
        session = self._open.get(number)
        return session if session is not None and session.ends > self._now() else None

    def end(self, number: str) -> None:
        """Close a session."""
        self._open.pop(number, None)

    def _proven(self, token: str, now: datetime) -> Session:
        try:
            claims = grant_of(self.secret, token, now)
        except TokenError as error:
            raise SignInError(f"token: {error}; make one with {command('approver-token', 'NAME')}") from error
        expires = datetime.fromtimestamp(claims["exp"], tz=now.tzinfo)
        scopes = {Scope.READ, Scope.DECIDE} | ({Scope.START} if self._starts else set())
        return Session(claims["sub"], min(now + LASTS, expires), token.strip(), scopes=frozenset(scopes))

    def _named(self, name: str, now: datetime) -> Session:
        who = " ".join(name.split())
        if not who or len(who) > NAME_LENGTH or not who.isprintable():
            raise SignInError(f"name: type your name, at most {NAME_LENGTH} characters")
        return Session(who, now + LASTS)
