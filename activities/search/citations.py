"""Citations: found in whatever form a model writes them, checked against what was found, and numbered. Pure.

Agents cite findings by id: `[W1]`, `[W1, A2]`, `[W1][A2]`, `[A1-A3]`. A model that was asked to cite also cites what
does not exist, or numbers its claims `[1]`, `[2]` by itself. After numbering, such a citation would look as good as a true one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from activities.search.contracts import Finding

_ID = r"[A-Za-z]\d{1,3}"
_ONE = rf"\^?(?:{_ID}|\d{{1,3}})(?:\s*[-–]\s*(?:{_ID}|\d{{1,3}}))?"
# Never empty: digits that may be split anywhere take exponential time.
_BETWEEN = r"(?:\s*[,;&]\s*|\s+(?:and\s+)?)"
_GROUP = rf"{_ONE}(?:{_BETWEEN}{_ONE})*"
_BRACKETED = re.compile(
    # Brackets may stand in parentheses of their own, and lead somewhere as a Markdown link does.
    rf"(?P<lead>[ \t]*)(?P<open>\()?[\[【]\s*(?P<ids>{_GROUP})(?:\s*,?\s*pp?\.\s*[\d–-]+)?\s*[\]】]"
    r"(?P<link>\([^()\s]*\))?(?(open)\))(?P<trail>[ \t]*)"
)
_PARENTHESISED = re.compile(rf"(?P<lead>[ \t]*)\(\s*(?P<ids>{_ID}(?:{_BETWEEN}{_ID})*)\s*\)(?P<trail>[ \t]*)")
_RANGE = re.compile(r"\^?([A-Za-z]?)(\d{1,3})\s*[-–]\s*\^?([A-Za-z]?)(\d{1,3})")
_SINGLE = re.compile(rf"{_ID}|\d{{1,3}}")
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
_HEADING = re.compile(r"[#*_ \t]*(?:sources|references|bibliography|works cited)[*_: \t]*", re.IGNORECASE)
_ITEM = re.compile(r"\s*(?:[-*+•\[【]|\d+[.)]|\Z)")
_PUNCTUATION = ".,;:!?)"
_OURS = "\ue000\ue001"
"""Brackets of numbers that we gave, until all are given: a model's own `[1]` looks the same."""
MOST_NESTED = 50
RANGE_LENGTH = 20
"""Longest range that is taken for one: `[A1-A3]`, and not a span of years."""


@dataclass
class _Check:
    """The state of one check: what is known, what was cited so far, and what led to nothing."""

    known: dict[str, Finding]
    cited: list[Finding] = field(default_factory=list)
    removed: dict[str, None] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """Return the number of a finding, given at its first appearance; None, and noted, if there is no such finding."""
        finding = self.known.get(name.upper())
        if finding is None:
            self.removed[f"[{name}]"] = None
            return None
        if finding not in self.cited:
            self.cited.append(finding)
        return self.cited.index(finding) + 1

    def replaced(self, match: re.Match[str], before: str, after: str) -> str:
        """Write a citation by its numbers, or leave it out with the blanks that were around it."""
        numbers = [number for name in names(match["ids"]) if (number := self.number(name)) is not None]
        lead, trail = match["lead"], match["trail"]
        if numbers:
            return f"{lead}{_OURS[0]}{', '.join(map(str, dict.fromkeys(numbers)))}{_OURS[1]}{trail}"
        if before in ("", "\n"):
            return lead
        joins = lead + trail and before.strip() and after and after not in _PUNCTUATION + "\n"
        return " " if joins else ""


def checked(text: str, findings: Sequence[Finding]) -> tuple[str, list[Finding], list[str]]:
    """Check the citations of a text.

    Returns the text with numbers and a list of sources below it, the findings in the order of their numbers, and the
    citations that were taken out because they led to nothing.
    """
    check = _Check({finding.id.upper(): finding for finding in findings})
    text, own = _own_list(text.strip())
    pieces = _CODE.split(text)
    pieces[::2] = [_numbered(piece, check) for piece in pieces[::2]]
    listed = [name for match in _BRACKETED.finditer(own) for name in names(match["ids"])]
    check.removed |= {f"[{name}]": None for name in listed if name[0].isalpha() and name.upper() not in check.known}
    return _with_sources("".join(pieces).strip(), check.cited), check.cited, list(check.removed)


def names(written: str) -> list[str]:
    """Read what stands between the brackets: ids one by one, ranges spelled out."""
    found: list[str] = []

    def spell_out(match: re.Match[str]) -> str:
        letter, first, other, last = match[1], int(match[2]), match[3], int(match[4])
        if (other and other.upper() != letter.upper()) or not first <= last <= first + RANGE_LENGTH:
            return match[0]
        return " ".join(f"{letter}{number}" for number in range(first, last + 1))

    for name in _SINGLE.findall(_RANGE.sub(spell_out, written)):
        if name not in found:
            found.append(name)
    return found


def _own_list(text: str) -> tuple[str, str]:
    """Cut a model's own list of sources off the end, since the true one is made from what was found; returns both."""
    lines = text.split("\n")
    for position in range(len(lines) - 1, 0, -1):
        if _HEADING.fullmatch(lines[position]):
            return "\n".join(lines[:position]).rstrip(), "\n".join(lines[position + 1 :])
        if not _ITEM.match(lines[position]):
            break
    return text, ""


def _numbered(text: str, check: _Check) -> str:
    """Replace all citations, also those that only come about when another one between their brackets is gone."""
    text = text.translate(dict.fromkeys(map(ord, _OURS)))
    for _ in range(MOST_NESTED):
        before, text = text, _replaced_once(text, check)
        if text == before:
            break
    return text.translate({ord(_OURS[0]): "[", ord(_OURS[1]): "]"})


def _replaced_once(text: str, check: _Check) -> str:
    # `(A4)` may also be a size of paper, so parentheses count only where they hold something that is known.
    found = [*_BRACKETED.finditer(text)]
    found += [
        match
        for match in _PARENTHESISED.finditer(text)
        if any(name.upper() in check.known for name in names(match["ids"]))
    ]
    written, position = "", 0
    for match in sorted(found, key=lambda match: match.start()):
        if match.start() >= position:
            written += text[position : match.start()]
            after = text[match.end() :][:1]
            put = check.replaced(match, written[-1:], after)
            written = written + put if put or after not in _PUNCTUATION else written.rstrip(" \t")
            position = match.end()
    return written + text[position:]


def _with_sources(text: str, cited: Sequence[Finding]) -> str:
    if not cited:
        return text
    lines = [f"- [{number}] {_described(finding)}" for number, finding in enumerate(cited, 1)]
    return "\n".join([text, "", "## Sources", "", *lines])


def _described(finding: Finding) -> str:
    title = " ".join(finding.title.split())
    return " ".join(filter(None, (title, f"({finding.published})" if finding.published else "", finding.url)))
