"""Who may use the server: callers with a token and its scopes, people who are signed in, or, without tokens, this machine alone.

Settings hold only the sha-256 of a token. A token is 32 random bytes, so its hash needs no salt and no slow function.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "outlast_"
"""How tokens begin, so that whoever finds one knows what it is."""
MOST_COUNTED = 10_000
"""Callers whose rates are counted at once."""


class Scope(StrEnum):
    """What a caller may do: start and steer runs, look at them, or decide for people."""

    START = "start"
    READ = "read"
    DECIDE = "decide"


EVERYTHING = frozenset(Scope)


@dataclass(frozen=True)
class Caller:
    """Who sends a request: `name` is "" where nothing says who it is, and `grant` the approver token of a signed-in person."""

    name: str = ""
    scopes: frozenset[Scope] = EVERYTHING
    grant: str = ""


class Tokens:
    """The tokens of the settings, by their hash."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._callers: dict[str, Caller] = {}
        for entry in entries:
            name, scopes, digest = entry.split(":")
            self._callers[digest] = Caller(name.strip(), frozenset(map(Scope, scopes.split("+"))))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._callers)

    def caller(self, token: str) -> Caller | None:
        """Return whose token it is; None for one that is not known."""
        given = hashed(token.strip())
        found = None
        for digest, caller in self._callers.items():  # all of them, so that the time taken tells nothing
            found = caller if hmac.compare_digest(digest, given) else found
        return found


def hashed(token: str) -> str:
    """Return what settings hold of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def new_token(name: str, scopes: Sequence[Scope]) -> tuple[str, str]:
    """Make a token; returns it, and its entry for SERVE_TOKENS. Raises ValueError for a name that no entry can hold."""
    named = " ".join(name.split())
    if not named or len(named) > 63 or set(named) & set(":,") or not named.isprintable():
        raise ValueError(f"{name!r}: write a name of at most 63 characters, without ':' and ','")
    token = PREFIX + secrets.token_urlsafe(32)
    return token, f"{named}:{'+'.join(dict.fromkeys(scopes))}:{hashed(token)}"


class Rates:
    """Counts requests: each caller has as many as a minute allows at once, and gets them back over the minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Take one request; returns 0, or the seconds after which there is one again."""
        now = self._clock()
        left, then = self._left.pop(caller, (self._most, now))
        left = min(self._most, left + (now - then) * self._most / 60)
        allowed = left >= 1
        self._left[caller] = (left - 1 if allowed else left, now)
        while len(self._left) > MOST_COUNTED:
            self._left.pop(next(iter(self._left)))
        return 0.0 if allowed else (1 - left) * 60 / self._most
