"""What a question in plain words is about: its telling words, and how well a text matches them. Pure.

Catalogue search engines want words, not sentences. A whole sentence joined by AND finds nothing, and joined by OR
finds everything that holds "the".
"""

import re
from collections.abc import Collection, Sequence

MOST_WORDS = 8
"""Telling words of a question that are searched for; more of them only blur the ranking."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_ENDINGS = ("ing", "ed", "es", "s", "e")
_SHORTEST_STEM = 3
_EMPTY = (
    "a about after all also am an and any are as at be been before being between both but by can could describe did "
    "do does doing during each explain few find for from further give had has have having he her here hers him his "
    "how i if in into is it its itself latest me more most my new no nor not of off on once only or other our ours "
    "out over own please recent research same she should so some such tell than that the their them then there "
    "these they this those through to too under until up us very was we were what when where which while who whom "
    "why will with would write you your"
)
_EMPTY_WORDS = frozenset(_EMPTY.split())


def keywords(question: str, most: int = MOST_WORDS) -> list[str]:
    """Return the telling words of a question in lower case, each once, in their order."""
    words = list(dict.fromkeys(word.casefold() for word in _WORD.findall(question)))
    telling = [word for word in words if word not in _EMPTY_WORDS and (len(word) > 1 or word.isdigit())]
    return (telling or words)[:most]


def brief(question: str, characters: int, words: int) -> str:
    """Return a question as it is where a search engine takes that much, else its telling words."""
    line = " ".join(question.split())
    if len(line) <= characters and len(line.split()) <= words:
        return line
    return " ".join(keywords(line, most=MOST_WORDS * 2))[:characters].strip()


def stem(word: str) -> str:
    """Cut the commonest endings of English off, so that "pumps" meets "pump"."""
    word = word.casefold().removesuffix("'s").removesuffix("’s")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def stems(text: str) -> frozenset[str]:
    """Return the stems of all words of a text."""
    return frozenset(stem(word) for word in _WORD.findall(text))


def score(wanted: Sequence[str], title: Collection[str], text: Collection[str]) -> int:
    """Rate a text by the wanted stems in its title (three each) and its text (one each).

    It is 0 where only one of several matches: a single shared word says nothing about what a text is about.
    """
    met = [word for word in wanted if word in title or word in text]
    if len(met) < min(2, len(wanted)):
        return 0
    return sum(3 * (word in title) + (word in text) for word in met)
