"""Characters of the symbol fonts that Word uses for boxes, ticks and Greek letters, as Unicode has them.

In these fonts the letter `o` is an empty box; without the font all that is left of a ticked box is a letter, or nothing.
"""

TICKED, UNTICKED = "☒", "☐"

_WINGDINGS = {
    **dict.fromkeys((0x6F, 0x71, 0x72, 0xA8), UNTICKED),
    **dict.fromkeys((0x78, 0xFD), TICKED),
    0xFE: "☑",
    0xFC: "✔",
    0xFB: "✗",
    0xA1: "○",
    0xA4: "◉",
    0x6C: "●",
    0x6D: "○",
    0x6E: "■",
    0x75: "◆",
    0x9F: "•",
    0xA7: "▪",
    0xD8: "➢",
    0xDF: "←",
    0xE0: "→",
    0xE1: "↑",
    0xE2: "↓",
    0xE8: "➔",
    0xF0: "⇨",
    0x4A: "☺",
    0x4C: "☹",
    0x28: "☎",
    0x2A: "✉",
    0xAB: "★",
    0x76: "❖",
    0x77: "⬥",
}
_WINGDINGS_2 = {0xA3: UNTICKED, 0x52: "☑", **dict.fromkeys((0x51, 0x53, 0x54), TICKED), 0x50: "✔", 0x4F: "✗"}
_WEBDINGS = {0x63: UNTICKED, 0x61: "✔", 0x72: "✗", 0x67: "■", 0x3D: "■"}
_GREEK = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", "αβχδεφγηιϕκλμνοπθρστυϖωξψζ"
_SYMBOL = {
    **{0x41 + place: letter for place, letter in enumerate(_GREEK[0])},
    **{0x61 + place: letter for place, letter in enumerate(_GREEK[1])},
    0xA2: "′",
    0xA3: "≤",
    0xA5: "∞",
    0xAB: "↔",
    0xAC: "←",
    0xAD: "↑",
    0xAE: "→",
    0xAF: "↓",
    0xB0: "°",
    0xB1: "±",
    0xB3: "≥",
    0xB4: "×",
    0xB6: "∂",
    0xB7: "•",
    0xB8: "÷",
    0xB9: "≠",
    0xBA: "≡",
    0xBB: "≈",
    0xC7: "∩",
    0xC8: "∪",
    0xCE: "∈",
    0xD6: "√",
    0xD7: "⋅",
    0xDE: "⇒",
    0xE5: "∑",
    0xF2: "∫",
}
_FONTS = {"wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2, "webdings": _WEBDINGS, "symbol": _SYMBOL}


def is_symbol_font(font: str) -> bool:
    """Whether the letters of a font are no letters."""
    return font.lower() in _FONTS


def symbol(font: str, code: int, unknown: str | None = None) -> str:
    """Return a character of a font; one that is not known is `unknown`, or the font's name and the number in brackets."""
    place = code - 0xF000 if 0xF000 <= code <= 0xF0FF else code
    table = _FONTS.get(font.lower())
    if table is None:
        return chr(code) if place == code and code > 0x1F else f"[{font} {place:02X}]"
    fallback = f"[{font} {place:02X}]" if unknown is None else unknown
    return table.get(place, chr(place) if table is _SYMBOL and 0x20 <= place < 0x7F else fallback)


def in_font(text: str, font: str) -> str:
    """Return a text that is written in a symbol font as it looks there."""
    return "".join(character if character.isspace() else symbol(font, ord(character), character) for character in text)
