"""How parts become a prompt, and how parts that are too long are cut. Pure.

Labelled parts stand in `<part label="…">` tags, so that a model can tell material from instruction; the local model
relies on the same tags.
"""

import re
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from activities.contracts import Part

CONTINUE = "Continue exactly where you stopped. Repeat nothing."

_CLOSING = re.compile(r"</part", re.IGNORECASE)
_DEFUSED = "< /part"
_CUT = "\n[… {count} characters left out …]\n"


def render(parts: Sequence[tuple[str, str]]) -> str:
    """Join (label, text) pairs into one prompt; parts without a label stand as they are.

    Material that holds a closing tag itself cannot end its part early: the tag is defused.
    """
    return "\n\n".join(_tagged(label, text) if label else text for label, text in parts)


def _tagged(label: str, text: str) -> str:
    return f"<part label={quoteattr(label)}>\n{_CLOSING.sub(_DEFUSED, text)}\n</part>"


def cut_to_fit(texts: Mapping[Part, str], budget: int) -> tuple[dict[Part, str], int]:
    """Cut the labelled parts to `budget` characters in all, the longest first; returns them and how much was left out.

    Every part keeps its beginning and its end; short parts stay whole, so that one huge part cannot push out the others.
    """
    lengths = sorted(len(text) for part, text in texts.items() if part.label)
    share, left = budget, budget
    for position, length in enumerate(lengths):
        share = left // (len(lengths) - position)
        if length > share:
            break
        left -= length
    kept: dict[Part, str] = {}
    left_out = 0
    for part, text in texts.items():
        kept[part] = text
        if part.label and len(text) > share:
            missing, tail = len(text) - share, share // 3
            kept[part] = text[: share - tail] + _CUT.format(count=missing) + text[len(text) - tail :]
            left_out += missing
    return kept, left_out
