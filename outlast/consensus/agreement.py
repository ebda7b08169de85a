"""What several free analyses agree on: counted and checked here, never believed. Pure.

A model says which claims are about the same point. Who made a claim, how many agree, and whether a quoted passage stands in
the document are facts, so they come from the claims themselves.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outlast.consensus.contracts import Agreement, Claim, Firmness, Point, Position, Quote

CLAIMS_PER_ANALYST = 12
QUOTES_PER_CLAIM = 4
CLAIM_CHARACTERS = 400
QUOTE_CHARACTERS = 400
QUOTE_WORDS = 80
"""Words of a quote that are looked up; a longer one is found by its beginning."""

_WORD = re.compile(r"\w+")
_BETWEEN = r"\W{1,30}"  # bounded, so that a search stays linear
_GAP = re.compile(r"\s*(?:\.\.\.|…|\[\.\.\.\]|\[…\])\s*")


@dataclass(frozen=True)
class Source:
    """One piece of the document: what it is called and its text."""

    label: str
    text: str


def claims_of(answers: Mapping[str, Mapping[str, Any]], sources: Sequence[Source]) -> list[Claim]:
    """Number the claims of all analysts (`A1`, `A2`, `B1`, …) and look up what they quote."""
    found: list[Claim] = []
    for position, (analyst, answer) in enumerate(answers.items()):
        for number, finding in enumerate(answer.get("findings", ())[:CLAIMS_PER_ANALYST], 1):
            quotes = [" ".join(str(each).split()) for each in finding.get("evidence", ())]
            found.append(
                Claim(
                    id=f"{_letters(position)}{number}",
                    analyst=analyst,
                    claim=" ".join(str(finding["claim"]).split())[:CLAIM_CHARACTERS],
                    confidence=_confidence(finding.get("confidence")),
                    evidence=tuple(looked_up(quote, sources) for quote in filter(None, quotes[:QUOTES_PER_CLAIM])),
                )
            )
    return found


def looked_up(quote: str, sources: Sequence[Source]) -> Quote:
    """Find a quote in the document by its words: punctuation, case and line breaks do not count, every word does.

    A quote with an ellipsis is found if all its pieces are.
    """
    short = quote[:QUOTE_CHARACTERS]
    pieces = [piece for piece in _GAP.split(unicodedata.normalize("NFKC", short)) if _WORD.search(piece)]
    places = [_place(piece, sources) for piece in pieces]
    if not places or not all(places):
        return Quote(text=short)
    return Quote(text=short, found=True, place=places[0])


def listing(claims: Sequence[Claim]) -> str:
    """Write the claims for the consensus agent: each under its id, with what it quotes and whether that is there."""
    return "\n\n".join(_listed(claim) for claim in claims)


@dataclass
class _Grouping:
    """The state of one grouping: which claims are placed already, and what was wrong with it."""

    claims: dict[str, Claim]
    placed: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def position(self, data: Mapping[str, Any]) -> Position | None:
        """Read one position; claims that do not exist or are placed already do not count."""
        taken: list[Claim] = []
        for written in data.get("claims", ()):
            name = str(written).strip().strip("[]").upper()
            if name not in self.claims:
                self.unknown.append(str(written)[:20])
            elif name in self.placed:
                self.repeated.append(name)
            else:
                self.placed.add(name)
                taken.append(self.claims[name])
        return _position(str(data.get("position", "")), taken) if taken else None

    def notes(self, left: int) -> Iterator[str]:
        """Yield what was wrong with the grouping."""
        if self.unknown:
            yield f"the consensus agent named claims that do not exist, which do not count: {', '.join(self.unknown[:10])}"
        if self.repeated:
            yield f"claims that the consensus agent placed twice count once: {', '.join(self.repeated[:10])}"
        if left:
            yield f"claims that the consensus agent left out stand as they are: {left}"


def agreement(claims: Sequence[Claim], grouping: Mapping[str, Any] | None) -> tuple[Agreement, list[str]]:
    """Sort the points into agreed, disputed and seen by one analyst; returns them with notes on the grouping.

    No claim is lost: what the grouping leaves out is a point of its own. Without a grouping only equal words agree.
    """
    if grouping is None:
        points, notes = (
            _equal_words(claims),
            ["no consensus agent grouped the claims: only equal words count as agreement"],
        )
        answer = ""
    else:
        state = _Grouping({claim.id: claim for claim in claims})
        points = [point for data in grouping.get("points", ()) for point in _points(data, state)]
        left = [claim for claim in claims if claim.id not in state.placed]
        points += [Point(statement=claim.claim, positions=(_position(claim.claim, [claim]),)) for claim in left]
        notes, answer = list(state.notes(len(left))), str(grouping.get("answer", "")).strip()
    agreed = [point for point in points if len(point.positions) == 1 and len(point.by) > 1]
    disputed = [point for point in points if len(point.positions) > 1]
    single = [point for point in points if len(point.by) == 1]
    notes += [
        f"{point.statement[:80]}: {name} is on both sides" for point in disputed for name in _on_both_sides(point)
    ]
    return (
        Agreement(
            answer=answer,
            firmness=firmness(agreed, disputed, single),
            agreed=tuple(sorted(agreed, key=lambda point: -len(point.by))),
            disputed=tuple(disputed),
            single=tuple(single),
            claims=tuple(claims),
        ),
        notes,
    )


def firmness(agreed: Sequence[Point], disputed: Sequence[Point], single: Sequence[Point]) -> Firmness:
    """Return how firm an answer is that rests on these points."""
    if not agreed and not disputed:
        return Firmness.UNSUPPORTED
    if len(disputed) > len(agreed):
        return Firmness.DIVIDED
    supported = all(point.positions[0].supported for point in agreed)
    if disputed or not supported or len(agreed) < len(single):
        return Firmness.MIXED
    return Firmness.FIRM


def _points(data: Mapping[str, Any], state: _Grouping) -> Iterator[Point]:
    """Read a point; one on which a single analyst takes several positions is no dispute, but several points."""
    positions = [position for each in data.get("positions", ()) if (position := state.position(each)) is not None]
    if not positions:
        return
    point = Point(statement=" ".join(str(data.get("statement", "")).split()), positions=tuple(positions))
    if len(point.by) > 1 or len(positions) == 1:
        yield point
    else:
        yield from (Point(statement=each.position or point.statement, positions=(each,)) for each in positions)


def _equal_words(claims: Sequence[Claim]) -> list[Point]:
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(" ".join(_WORD.findall(claim.claim.casefold())), []).append(claim)
    return [Point(statement=same[0].claim, positions=(_position(same[0].claim, same),)) for same in groups.values()]


def _position(position: str, claims: Sequence[Claim]) -> Position:
    return Position(
        position=" ".join(position.split()) or claims[0].claim,
        by=tuple(dict.fromkeys(claim.analyst for claim in claims)),
        claims=tuple(claim.id for claim in claims),
        evidence=tuple(dict.fromkeys(quote for claim in claims for quote in claim.evidence)),
    )


def _on_both_sides(point: Point) -> list[str]:
    sides = [name for position in point.positions for name in position.by]
    return [name for name in point.by if sides.count(name) > 1]


def _place(piece: str, sources: Sequence[Source]) -> str:
    words = _WORD.findall(piece)[:QUOTE_WORDS]
    pattern = re.compile(rf"\b{_BETWEEN.join(map(re.escape, words))}\b", re.IGNORECASE)
    for source in sources:
        match = pattern.search(source.text)
        if match is not None:
            return f"{source.label}, line {source.text.count(chr(10), 0, match.start()) + 1}"
    return ""


def _confidence(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _listed(claim: Claim) -> str:
    sure = "" if claim.confidence is None else f", {claim.confidence:.0%} sure"
    quotes = [f'  "{quote.text}" ({quote.place or "NOT found in the document"})' for quote in claim.evidence]
    return "\n".join([f"[{claim.id}] {claim.analyst}{sure}: {claim.claim}", *quotes])


def _letters(position: int) -> str:
    """Write 0, 1, … 25, 26 as A, B, … Z, AA."""
    rest, letter = divmod(position, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("A") + letter)
