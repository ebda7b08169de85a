"""Reads numbers on a scale as models write them: "30%", 30 where 0.3 is meant, "8/10", "likely". Pure.

The one reader for confidences (a number from 0 to 1) and scores (a whole number from 0 to 100), found by their schema. What
cannot be read stays as it is, breaks the schema, and goes back or counts as unsure: it is never the top of its scale.
"""

import re
from collections.abc import Mapping
from typing import Any

LIKELIHOODS = {
    "very low": 0.1,
    "low": 0.25,
    "medium": 0.5,
    "moderate": 0.5,
    "fair": 0.5,
    "high": 0.8,
    "very high": 0.95,
    "very unlikely": 0.1,
    "unlikely": 0.25,
    "possible": 0.5,
    "likely": 0.75,
    "probable": 0.75,
    "very likely": 0.9,
    "almost certain": 0.95,
    "certain": 0.95,
    "sure": 0.95,
}
"""Words as confidences. None of them is 1: a word is never quite sure."""

_NUMBER = r"([+-]?\d+(?:[.,]\d+)?)"
_ABOUT = re.compile(r"^(?:~|≈|ca\.?|about|approx(?:imately)?\.?|around)\s*")
_PERCENT = re.compile(rf"^{_NUMBER}\s*(?:%|percent|per cent|pct)$")
_OUT_OF = re.compile(rf"^{_NUMBER}\s*(?:/|out of|of)\s*{_NUMBER}$")
_PLAIN = re.compile(rf"^{_NUMBER}$")


def confidence_of(value: Any) -> float | None:
    """Read a confidence from 0 to 1; None where it cannot be read, which means unsure.

    More than 1 is a percentage; 1 itself is the top of the scale that was asked for.
    """
    if isinstance(value, str):
        text = _ABOUT.sub("", " ".join(value.casefold().split()).rstrip(".!"))
        text = text.removesuffix(" confidence").removesuffix(" confident")
        if text in LIKELIHOODS:
            return LIKELIHOODS[text]
        if (share := _share(text)) is not None:
            return share
        plain = _PLAIN.match(text)
        value = _float(plain[1]) if plain else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return float(value) if value <= 1 else round(value / 100, 6)


def score_of(value: Any) -> int | None:
    """Read a score from 0 to 100; None where it cannot be read. A part of 1, such as 0.85, is a share of 100."""
    if isinstance(value, str):
        text = " ".join(value.casefold().split()).rstrip(".!")
        if (share := _share(text)) is not None:
            return round(share * 100)
        plain = _PLAIN.match(text)
        value = _float(plain[1]) if plain else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return round(value * 100) if 0 < value < 1 else round(value)


def on_scales(data: Any, schema: Mapping[str, Any], path: str = "") -> tuple[Any, list[str]]:
    """Read every value whose schema is such a scale and that lies outside it; returns the data and what was read, in words."""
    kind = (schema.get("type"), schema.get("minimum"), schema.get("maximum"))
    if kind in (("number", 0, 1), ("integer", 0, 100)):
        if _fits(data, integer=kind == ("integer", 0, 100)):
            return data, []
        read = score_of(data) if kind == ("integer", 0, 100) else confidence_of(data)
        return (
            (data, []) if read is None else (read, [f"{path or 'the value'} {str(data)[:40]!r} was read as {read:g}"])
        )
    notes: list[str] = []
    if isinstance(data, dict) and isinstance(schema.get("properties"), Mapping):
        read_fields = {}
        for name, value in data.items():
            inner = schema["properties"].get(name)
            read_fields[name], found = on_scales(value, inner, name) if isinstance(inner, Mapping) else (value, [])
            notes += found
        return read_fields, notes
    if isinstance(data, list) and isinstance(schema.get("items"), Mapping):
        items = []
        for value in data:
            item, found = on_scales(value, schema["items"], path)
            items.append(item)
            notes += found
        return items, notes
    return data, notes


def _fits(value: Any, *, integer: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= (100 if integer else 1) and (not integer or float(value).is_integer())


def _share(text: str) -> float | None:
    """Read "30%" or "8/10" as a share of the whole."""
    if percent := _PERCENT.match(text):
        share = _float(percent[1]) / 100
    elif (parts := _OUT_OF.match(text)) and _float(parts[2]) > 0:
        share = _float(parts[1]) / _float(parts[2])
    else:
        return None
    return round(share, 6) if 0 <= share <= 1 else None


def _float(written: str) -> float:
    return float(written.replace(",", "."))
