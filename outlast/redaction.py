"""Keeps secrets out of what this process writes: history, logs, spans, the screen.

`SECRETS` knows the values that the settings, the environment and the MCP servers hold, and replaces them in any text, whole or in
parts, also as URLs, headers and reprs write them. It knows values alone: a secret that is not configured here passes.
"""

import html
import json
import os
import re
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from outlast.display import displayable
from outlast.private_files import PRIVATE

PART = 8
"""Characters of a secret that give it away: any run of as many is replaced."""
SHORTEST = 4
"""A shorter value is replaced nowhere: it would be found in every other word."""
DEEPEST = 100
"""Levels of JSON data that are looked at."""
_PIECE = 4
"""Every part holds a piece of this length that begins at a multiple of five: a fifth of the looks will do for most texts."""
TOKEN_LENGTH = 20
"""Characters from which the user name in a web address is taken for a token, although a password follows."""
_DISTINCT = 4
"""Different characters that a part must have: a run of `-` or `x` is no secret."""

_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:api|pg)?(?:keys?|tokens?|secrets?|passwords?|passwd|passphrase|pass|pwd|pat|credentials?|auth|authorization"
    r"|cookie|headers|bearer|dsn)(?:$|[_-])",
    re.IGNORECASE,
)
_NO_SECRET_NAME = re.compile(r"(?:_file|_path|_dir|_sock|_socket|_id|_type|_mode|_name)$", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey|key|digest)[ =]+", re.IGNORECASE)
_ORDINARY_HEADERS = frozenset(
    (
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-type",
        "host",
        "user-agent",
    )
)


class Redactor:
    """Replaces the secrets that it has learned, each by `[redacted NAME]`."""

    def __init__(self) -> None:
        self._learned: dict[str, dict[str, str]] = {}
        self._parts: dict[str, str] = {}
        self._pieces: set[str] = set()
        self._short: dict[str, str] = {}

    def learn(self, source: str, values: Iterable[tuple[str, str]]) -> None:
        """Learn `(name, value)` pairs in the place of those that the same source gave before."""
        found: dict[str, str] = {}
        for name, value in values:
            for form in _forms(value):
                found.setdefault(form, name)
        self._learned[source] = found
        parts: dict[str, str] = {}
        short: dict[str, str] = {}
        for forms in self._learned.values():
            for form, name in forms.items():
                if SHORTEST <= len(form) < PART or 1 < len(set(form)) < _DISTINCT:
                    short.setdefault(form, name)
                for at in range(len(form) - PART + 1):
                    part = form[at : at + PART]
                    if len(set(part)) >= _DISTINCT:
                        parts.setdefault(part, name)
        self._parts, self._short = parts, short
        self._pieces = {part[at : at + _PIECE] for part in parts for at in range(PART - _PIECE + 1)}

    def __call__(self, text: str) -> str:
        """Return a text without any secret that is known."""
        parts = self._parts
        if (
            parts
            and len(text) >= PART
            and not self._pieces.isdisjoint(
                [text[at : at + _PIECE] for at in range(0, len(text) - _PIECE + 1, PART - _PIECE + 1)]
            )
        ):
            text = self._without_parts(text, parts)
        for form, name in self._short.items():
            if form in text:
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", lambda _, name=name: f"[redacted {name}]", text)  # type: ignore[misc]
        return text

    def deeply(self, value: Any, depth: int = 0) -> Any:
        """Return JSON data without any secret in its texts and keys; what is nested too deep to be looked at is left out."""
        if depth > DEEPEST:
            return "[nested too deep]"
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self.deeply(key): self.deeply(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.deeply(one, depth + 1) for one in value]
        return value

    @staticmethod
    def _without_parts(text: str, parts: Mapping[str, str]) -> str:
        pieces: list[str] = []
        done = at = 0
        last = len(text) - PART
        while at <= last:
            name = parts.get(text[at : at + PART])
            if name is None:
                at += 1
                continue
            end = at + PART
            while end < len(text) and text[end - PART + 1 : end + 1] in parts:
                end += 1
            pieces += (text[done:at], f"[redacted {name}]")
            done = at = end
        return "".join((*pieces, text[done:])) if pieces else text


SECRETS = Redactor()
"""The secrets of this process."""


def presentable(text: str) -> str:
    """Return a text as people may see it: without secrets, and without characters that steer a terminal."""
    return displayable(SECRETS(text))


def credentials_of(name: str, url: str) -> list[tuple[str, str]]:
    """Return what is secret in a URL: its password as written, decoded, and as a Basic header holds it.

    Of web addresses also a user name without a password, or one as long as tokens are: `https://TOKEN@host`.
    """
    try:
        parsed = urlsplit(url)
        user, password = parsed.username or "", parsed.password or ""
    except ValueError:
        return [(name, url)]
    asked = [(name, value) for key, value in parse_qsl(parsed.query) if _SECRET_NAME.search(key)]
    if not user and "@" in url:  # "#", "/" or "?" in a password end the host too early
        before, _, after = url.partition("://")[2].rpartition("@")[0].partition(":")
        if after and "/" not in before and not re.match(r"\d+/", after):
            user, password = before, after
    plain, who = unquote(password), unquote(user)
    if parsed.scheme in ("http", "https") and len(who) >= (TOKEN_LENGTH if plain else PART):
        asked += [(name, user), (name, who)]
    if not plain or plain == who:
        return asked
    return [*asked, (name, password), (name, plain), (name, b64encode(f"{who}:{plain}".encode()).decode())]


def channel_secrets(name: str, urls: str) -> list[tuple[str, str]]:
    """Return what is secret in the URLs of channels, whose paths and hosts can be tokens."""
    found: list[tuple[str, str]] = []
    for url in re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", urls):
        found += credentials_of(name, url)
        rest = url.partition("://")[2]
        for piece in re.split(r"[/?&=#:@,\s]+", rest):
            # Host names and addresses are no tokens; redacted, they would be missing from errors about other services.
            if len(piece) >= PART and not re.search(r"\.[A-Za-z]+$|^\d+(\.\d+){3}$", piece) and piece != "localhost":
                found += [(name, piece), (name, unquote(piece))]
    return found


def header_secrets(name: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is secret in HTTP headers: all values but those of headers that never hold a secret."""
    return [
        (f"{name}.{header}", _SCHEME.sub("", value, count=1))
        for header, value in headers.items()
        if header.lower() not in _ORDINARY_HEADERS
    ]


def environment_secrets(environment: Mapping[str, str], prefix: str = "") -> list[tuple[str, str]]:
    """Return what is secret in an environment: values whose names say so, and passwords within URLs."""
    found: list[tuple[str, str]] = []
    for name, value in environment.items():
        label = prefix + name
        if "://" in value:
            # One by one: in a sentence with an address, what stands between `://` and some later `@` is no password.
            found += [secret for url in _URL.findall(value) for secret in credentials_of(label, url)]
        elif _SECRET_NAME.search(name) and not _NO_SECRET_NAME.search(name) and not value.startswith(("/", "./", "~")):
            for line in value.split("\n") if "PRIVATE KEY" in value else [value]:
                if "PRIVATE KEY" not in line:
                    # `name=value,…` is how OpenTelemetry writes headers
                    found += [
                        (label, _SCHEME.sub("", unquote(piece.rpartition("=")[2] or piece), count=1))
                        for piece in (line.split(",") if name.endswith("HEADERS") else [line])
                    ]
    return found


class PresentableStream:
    """A text stream that writes nothing but what people may see; the stream behind it is `raw`.

    What cannot be written, on a full disk or to a reader that has gone, is an error, unless the stream `may_lose` it.
    """

    def __init__(self, raw: TextIO, *, may_lose: bool = False) -> None:
        self.raw = raw
        self._may_lose = may_lose

    def write(self, text: str) -> int:
        """Write a text; returns the length of what was given."""
        try:
            self.raw.write(presentable(text))
        except OSError:
            if not self._may_lose:
                raise
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        try:
            self.raw.flush()
        except OSError:
            if not self._may_lose:
                raise

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def guard_streams(*, may_lose: bool = False) -> None:
    """Let all that this process prints, uncaught exceptions and libraries' complaints too, be presentable."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, PresentableStream):
            setattr(sys, name, PresentableStream(stream, may_lose=may_lose))


def guard_process() -> None:
    """Let what this process prints be presentable, and the files that it writes be for its user alone.

    A line of a log that has no room costs that line, and not the calls that the process has in hand.
    """
    os.umask(PRIVATE)
    guard_streams(may_lose=True)


def _forms(value: str) -> Iterable[str]:
    """Return a secret as texts may hold it: as it is, in URLs, reprs, JSON and HTML, and in a Basic header."""
    value = value.strip()
    if len(value) < SHORTEST:
        return ()
    plain = {value, quote(value, safe=""), quote_plus(value), repr(value)[1:-1], html.escape(value)}
    plain |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    if len(value) >= PART:  # user names around it shift it by up to two bytes; what depends on neighbours is cut off
        for shift in range(3):
            for encode in (b64encode, urlsafe_b64encode):
                coded = encode(b"\0" * shift + value.encode())
                plain.add(coded[4 if shift else 0 :].decode().rstrip("=")[: -2 or None])
    return plain
