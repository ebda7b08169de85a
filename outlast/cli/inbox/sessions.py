"""Who sits before the browser: sessions kept in this process, opened by a signed approver token, or a typed name.

A session that proves somebody must not be made by whoever knows a name. So where there is a secret only a token opens
one, and its grant stays here: the browser holds nothing but a random number.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outlast.approvals.tokens import TokenError, grant_of
from outlast.command_line import command

LASTS = timedelta(hours=12)
MOST = 1000
"""Sessions kept; the oldest goes when one more is opened."""
NAME_LENGTH = 64


class SignInError(Exception):
    """Nobody is signed in by this; the message says why, and names the field."""


@dataclass
class Session:
    """One signed-in person; `grant` is the approver token, `csrf` goes into each form, `notice` is shown once."""

    who: str
    ends: datetime
    grant: str = ""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    notice: str = ""

    def sent(self, csrf: str) -> bool:
        """Whether a form comes from a page of this session."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())

    def noticed(self) -> str:
        """Return the notice and forget it."""
        notice, self.notice = self.notice, ""
        return notice


class Sessions:
    """All sessions of this process; `secret` is that of the approvers, "" where names are typed."""

    def __init__(self, secret: str, now: Callable[[], datetime]) -> None:
        self.secret = secret
        self._now = now
        self._open: dict[str, Session] = {}

    def begin(self, given: str) -> str:
        """Open a session by a token or a name; returns its number, raises SignInError."""
        now = self._now()
        session = self._proven(given, now) if self.secret else self._named(given, now)
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
        return Session(claims["sub"], min(now + LASTS, expires), token.strip())

    def _named(self, name: str, now: datetime) -> Session:
        who = " ".join(name.split())
        if not who or len(who) > NAME_LENGTH or not who.isprintable():
            raise SignInError(f"name: type your name, at most {NAME_LENGTH} characters")
        return Session(who, now + LASTS)
