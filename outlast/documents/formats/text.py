"""Text as such: bytes decoded, blocks joined, characters that no store or model can take removed.

A wrong guess at the encoding does not fail, it gives nonsense. So cp1252, which accepts nearly any
byte, is tried last and only where few bytes lie beyond ASCII.
"""

import codecs
import re
from collections.abc import Iterable
from typing import NamedTuple

from outlast.errors import ErrorKind, non_retryable

FOREIGN_SHARE = 0.3
"""Western text in cp1252 has few bytes beyond ASCII; a larger share means some other alphabet's encoding."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16: its little-endian mark begins with the same two bytes.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH_BYTES = bytes(range(0x80, 0x100))
_UNWANTED = dict.fromkeys([*range(0x09), *range(0x0E, 0x20), 0x7F, 0xFEFF])
_UNWANTED |= {0x0B: "\n", 0x0C: "\n\n", 0x85: "\n", 0x2028: "\n", 0x2029: "\n\n"}


class Block(NamedTuple):
    """A paragraph, heading or table, set apart by blank lines; list items (`listed`) stay together."""

    text: str
    listed: bool = False


def join(blocks: Iterable[Block]) -> str:
    """Put blocks under each other and leave out the empty ones."""
    pieces: list[str] = []
    listed = False
    for block in blocks:
        if block.text.strip():
            pieces += ["\n" if listed and block.listed else "\n\n", block.text]
            listed = block.listed
    return "".join(pieces[1:])


def rows(cells: Iterable[Iterable[str]]) -> Block:
    """Lay a table out, one line for each row that holds something, with ` | ` between its cells."""
    lines = [[" ".join(cell.split()) for cell in row] for row in cells]
    return Block("\n".join(" | ".join(line) for line in lines if any(line)))


def bom_encoding(data: bytes) -> str | None:
    """Name the encoding that a byte order mark declares."""
    return next((encoding for bom, encoding in _BOMS if data.startswith(bom)), None)


def decode(data: bytes, name: str, declared: str | None = None) -> str:
    """Turn bytes into text: byte order mark, UTF-8, `declared`, then cp1252; raises DocumentUnreadable."""
    marked = bom_encoding(data)
    candidates = [marked] if marked else ["utf-8", declared, None if _is_foreign(data) else "cp1252"]
    for encoding in filter(None, candidates):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    expected = f"{marked}, as its byte order mark says" if marked else "UTF-8, UTF-16 or Windows-1252"
    raise non_retryable(
        ErrorKind.DOCUMENT_UNREADABLE,
        f"{name} is not valid text in {expected}; save it again with the encoding UTF-8.",
    )


def tidy(text: str) -> str:
    """Make line ends plain, drop control characters and halves of surrogate pairs, cut blank edges off."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_UNWANTED)
    # Broken fonts in PDFs yield lone surrogates, which UTF-8 cannot carry; true pairs become one character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def close_gaps(text: str) -> str:
    """Cut spaces at line ends and leave one blank line where several follow each other."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.split("\n")))


def _is_foreign(data: bytes) -> bool:
    high = len(data) - len(data.translate(None, _HIGH_BYTES))
    return high > max(8, FOREIGN_SHARE * len(data))
