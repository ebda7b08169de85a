"""Text out of HTML pages, as a reader would see them.

The standard `html.parser` closes nothing that the author left open, so `<p>` nests in `<p>` and `<td>` in `<td>`.
Hence blocks begin at opening tags, and trees are walked with a stack of our own, however deep they are.
"""

import re
from html import escape

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import CData, NavigableString, PageElement

from outlast.documents.formats.text import Block, decode, join, rows
from outlast.errors import ErrorKind, non_retryable

_DROPPED = re.compile("script|style|nav|template|noscript|svg|math|iframe|object|select|datalist|title")
_BLOCKS = re.compile(
    "html|head|body|address|article|aside|blockquote|caption|center|d[dlt]|details|dialog|div|fieldset|figcaption"
    "|figure|footer|form|h[1-6]|header|hr|legend|li|main|ol|p|pre|section|summary|table|t(body|d|foot|h|head|r)|ul"
)
_INVISIBLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.I)
_UNREAD = re.compile(
    r"<(script|style)\b.*?(?:</\1[^>]*(?:>|\Z)|\Z)|<!--.*?(?:--!?>|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<(?:\?|!\[)[^>]*(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
"""What is no text, and CDATA. One that does not end takes the rest, as in browsers: html.parser looks for the end of each of many
beginnings, which takes hours. XHTML and Word's HTML rightly have instructions, but the parser warns of them, or gives up."""
MOST_TAGS = 300_000
"""Largest page, in tags: each takes a kilobyte of memory."""
_VISIBLE_TEXT = (NavigableString, CData)


def read_html(data: bytes, name: str) -> str:
    """Return a page's text, tables row by row; raises DocumentUnreadable for unknown encodings."""
    markup = decode(data, name, EncodingDetector.find_declared_encoding(data, is_html=True))
    markup = _UNREAD.sub(_kept, markup)
    if (tags := markup.count("<")) > MOST_TAGS:
        raise non_retryable(
            ErrorKind.DOCUMENT_TOO_LARGE,
            f"{name} has {tags:,} tags, over the limit of {MOST_TAGS:,}; split it, or save it as plain text.",
        )
    soup = BeautifulSoup(markup, "html.parser")
    title = Block(_collapse(soup.title.get_text()) if soup.title and not soup.find("h1") else "")
    for tag in soup.find_all(_is_unseen):
        if not tag.decomposed:
            tag.decompose()
    layout = {id(table.find_parent("table")) for table in soup.find_all("table")}
    return join([title, *_Reading(layout).blocks_of(soup)])


def _kept(found: re.Match[str]) -> str:
    text = found.group()
    if not text.upper().startswith("<![CDATA["):
        return ""
    return text if text.endswith("]]>") else escape(text[len("<![CDATA[") :])


def _is_unseen(tag: Tag) -> bool:
    return (
        _DROPPED.fullmatch(tag.name) is not None
        or tag.has_attr("hidden")
        or _INVISIBLE.search(str(tag.get("style") or "")) is not None
    )


class _Reading:
    """A walk through a page: the blocks so far, the line being gathered, the lists that are open.

    `layout` holds the ids of tables that hold tables.
    """

    def __init__(self, layout: set[int]) -> None:
        self._layout = layout
        self._blocks: list[Block] = []
        self._line: list[str] = []
        self._marker = ""
        self._counts: list[int | None] = []

    def blocks_of(self, root: Tag) -> list[Block]:
        # Each tag comes twice, the second time when all inside it is read.
        stack: list[tuple[PageElement, bool]] = [(root, False)]
        while stack:
            node, read = stack.pop()
            if read:
                self._close(node)
            elif isinstance(node, Tag):
                if self._open(node):
                    stack.append((node, True))
                    stack.extend((child, False) for child in reversed(node.contents))
            elif type(node) in _VISIBLE_TEXT:
                self._line.append(re.sub(r"\s+", " ", str(node)))
        return self._blocks

    def _open(self, tag: Tag) -> bool:
        """Begin a tag; False says that all inside it is read already."""
        if _BLOCKS.fullmatch(tag.name):
            self._end_line()
        match tag.name:
            case "pre":
                self._blocks.append(Block(tag.get_text().strip("\n")))
                return False
            case "table":
                table = [] if id(tag) in self._layout else _table(tag)
                self._blocks.extend(table)
                return not table
            case "br":
                self._line.append("\n")
            case "ol" | "ul":
                self._counts.append(0 if tag.name == "ol" else None)
            case "li":
                self._marker = self._next_marker()
        return True

    def _close(self, node: PageElement) -> None:
        name = node.name if isinstance(node, Tag) else ""
        if _BLOCKS.fullmatch(name) or name == BeautifulSoup.ROOT_TAG_NAME:
            self._end_line()
        if name in {"ol", "ul"}:
            self._counts.pop()

    def _next_marker(self) -> str:
        count = self._counts[-1] if self._counts else None
        if count is None:
            return "- "
        self._counts[-1] = count + 1
        return f"{count + 1}. "

    def _end_line(self) -> None:
        text = "\n".join(map(_collapse, "".join(self._line).split("\n"))).strip()
        if text:
            self._blocks.append(Block(self._marker + text, listed=bool(self._marker)))
            self._marker = ""
        self._line.clear()


def _table(table: Tag) -> list[Block]:
    """Lay a table out; an empty list says that it only arranges the page and is to be read as blocks."""
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
