"""Long texts cut into parts at the best borders: paragraphs before sentences before words."""

import re

SMALLEST_PART = 200
"""Fewest characters that a part may be limited to: below that, borders cannot be respected."""
FULLNESS = 0.85
"""How full parts are planned, so that there is room to look for a good border."""

# From the best border to the poorest; each match ends where the next part begins.
_BORDERS = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]"),
    re.compile(r"\n"),
    re.compile(r"\s+"),
)


def split(text: str, part_characters: int) -> tuple[str, ...]:
    """Cut a text at the best borders within reach into parts of similar length, at most `part_characters`.

    Only white space at the borders is lost. Raises ValueError under SMALLEST_PART.
    """
    if part_characters < SMALLEST_PART:
        raise ValueError(f"part_characters must be at least {SMALLEST_PART}, not {part_characters}")
    text = text.strip()
    parts: list[str] = []
    start = 0
    while len(text) - start > part_characters:
        end = start + _cut(text, start, part_characters)
        parts.append(text[start:end].strip())
        start = end
    parts.append(text[start:].strip())
    return tuple(filter(None, parts))


def _cut(text: str, start: int, limit: int) -> int:
    """Return how many characters the next part takes."""
    rest = len(text) - start
    ideal = rest // -(-rest // int(limit * FULLNESS))
    # As far before as behind, so that neither this part nor what remains gets tiny; wider only to spare a word.
    near = min(limit - ideal, ideal // 2)
    for before, behind in ((near, near), (ideal, limit - ideal)):
        for border in _BORDERS:
            matches = border.finditer(text, start + ideal - before, start + ideal + behind)
            taken = [match.end() - start for match in matches]
            if taken:
                return min(taken, key=lambda characters: abs(characters - ideal))
    return ideal
