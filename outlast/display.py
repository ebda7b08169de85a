"""Text that steers nothing: what people read holds no character that moves a cursor, turns a line round or cannot be seen.

Applied where text leaves for a terminal, a log, a notice, a memo or a page; in history and the store it stays as it is.
"""

import re
import shlex

REPLACEMENT = "�"
"""Stands where a character was taken out, so that two names that differ do not look the same."""

_STEERING = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, embeddings, overrides, isolates
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # no width, or fillers
    "\u2028\u2029"  # line and paragraph separators
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # annotations, shorthand and music controls
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags, and what is reserved for more of them
)
_VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Choose how the character before is drawn, an emoji for instance; after ASCII, or another one, they hide."""
_HOSTILE = re.compile(
    f"[{_STEERING}\ud800-\udfff]|(?<![^\x00-\x7f{_VARIANTS}])[{_VARIANTS}](?!\u20e3)"  # U+20E3: a keycap of an ASCII digit
)
_ESCAPED = re.compile(f"[{_STEERING}{_VARIANTS}\ud800-\udfff]")
_JOINERS = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d]")
_LINE_ENDS = re.compile(r"\r\n?")


def displayable(text: str) -> str:
    """Return a text for people, in as many lines as it had; what could steer a terminal or hide is replaced by `�`.

    Joiners within emoji and scripts that use them are left out, so that such text does not fill with replacements.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    return _HOSTILE.sub(REPLACEMENT, _JOINERS.sub("", text))


def one_line(text: str) -> str:
    """Return a text for people as a single line."""
    return displayable(" ".join(text.split()))


def escaped_json(written: str) -> str:
    """Return JSON that means the same, with characters that could steer a terminal or that nothing shows as `\\uXXXX`.

    Whoever approves arguments, or reads a log, sees all that is in them; lines and layout stay.
    """
    if written.isascii() and "\x7f" not in written:
        return written
    return _ESCAPED.sub(_escape, written)


def quoted(argument: str) -> str:
    """Quote a name for a shell command that people copy; one with hostile characters is shown as a word in brackets instead."""
    if displayable(argument) != argument or "\n" in argument or "\t" in argument:
        return "'<a name with characters that cannot be shown>'"
    return shlex.quote(argument)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
