"""Text out of HTML pages, as a reader would see them.

The trap: html.parser closes nothing that the author left open, so `<p>` nests in `<p>` and `<td>` in `<td>`.
Hence blocks begin at opening tags, and trees are walked with a stack of our own, however deep they are.
"""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, NavigableString, PageElement, Tag
from bs4.dammit import EncodingDetector
from bs4.element import CData

from activities.formats.text import Block, decode, join, rows

_DROPPED = re.compile("script|style|nav|template|noscript|svg|math|iframe|object|select|datalist|title")
_BLOCKS = re.compile(
    "html|head|body|address|article|aside|blockquote|caption|center|d[dlt]|details|dialog|div|fieldset|figcaption"
    "|figure|footer|form|h[1-6]|header|hr|legend|li|main|ol|p|pre|section|summary|table|t(body|d|foot|h|head|r)|ul"
)
_INVISIBLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.I)
_INSTRUCTION = re.compile(r"<\?[^>]*>|<!\[(?!CDATA\[)[^>]*>")
_VISIBLE_TEXT = (NavigableString, CData)


def read_html(data: bytes, name: str) -> str:
    """Return a page's text, tables row by row; raises DocumentUnreadable for unknown encodings."""
    markup = decode(data, name, EncodingDetector.find_declared_encoding(data, is_html=True))
    # XHTML and Word's HTML rightly have these, but the parser warns of them on stderr, or gives up.
    soup = BeautifulSoup(_INSTRUCTION.sub("", markup), "html.parser")
    title = Block(_collapse(soup.title.get_text()) if soup.title else "")
    for tag in soup.find_all(_is_unseen):
        tag.decompose()
    return join(([] if soup.find("h1") else [title]) + list(_blocks(soup)))


def _is_unseen(tag: Tag) -> bool:
    return (
        _DROPPED.fullmatch(tag.name) is not None
        or tag.has_attr("hidden")
        or bool(_INVISIBLE.search(str(tag.get("style") or "")))
    )


def _blocks(root: Tag) -> Iterator[Block]:
    line: list[str] = []
    marker = ""
    stack: list[PageElement | None] = [None, root]
    while stack:
        node = stack.pop()
        # None stands where a block ends.
        if node is None or (isinstance(node, Tag) and _BLOCKS.fullmatch(node.name)):
            text = "\n".join(_collapse(part) for part in "".join(line).split("\n")).strip()
            if text:
                yield Block(marker + text, listed=bool(marker))
                marker = ""
            line.clear()
        if isinstance(node, Tag):
            if node.name == "pre":
                yield Block(node.get_text().strip("\n"))
                continue
            if node.name == "table" and (table := _table(node)):
                yield from table
                continue
            if node.name == "br":
                line.append("\n")
            elif node.name == "li":
                marker = str(node.get(_MARKER, "- "))
            if _BLOCKS.fullmatch(node.name):
                stack.append(None)
            stack.extend(reversed(node.contents))
        elif type(node) in _VISIBLE_TEXT:
            line.append(re.sub(r"\s+", " ", str(node)))


def _table(table: Tag) -> list[Block]:
    """Lay a table out; an empty list says that it only arranges the page and is to be read as blocks."""
    if table.find("table") is not None:
        return []
    caption: list[str] = []
    cells: list[list[list[str]]] = []
    current = caption
    for node in table.descendants:
        if isinstance(node, Tag):
            if node.name == "tr":
                cells.append([])
            elif node.name in {"td", "th"}:
                current = []
                cells = cells or [[]]
                cells[-1].append(current)
            elif node.name == "br" or _BLOCKS.fullmatch(node.name):
                current.append(" ")
        elif type(node) in _VISIBLE_TEXT:
            current.append(str(node))
    if all(len(row) <= 1 for row in cells):
        return []
    return [Block(_collapse("".join(caption))), rows(["".join(cell) for cell in row] for row in cells)]


def _collapse(text: str) -> str:
    return " ".join(text.split())
