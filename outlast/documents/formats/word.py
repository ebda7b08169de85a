"""Text out of Word files: the body in document order, then notes, comments, headers and footers (docs/documents.md).

The tree is walked here, because no library gives all of it: what stands in content controls, what a tracked change inserted,
ticked boxes, equations, embedded parts. Deleted and hidden text is left out. Automatic numbers are not in the file, Word makes
them up on the screen; such paragraphs get a dash.
"""

import email
import email.policy
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from outlast.documents.formats.text import Block, decode, join, rows
from outlast.documents.formats.word_math import linear
from outlast.documents.formats.word_package import M, Package, R, W
from outlast.documents.formats.word_symbols import TICKED, UNTICKED, in_font, is_symbol_font, symbol

NESTED_FILES = 3
"""How deep Word files are read that stand in each other."""

# Word stores each text box twice, the second time for old readers.
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_UNSEEN = {W + "del", W + "moveFrom", W + "pPr", W + "rPr", W + "sdtPr", W + "txbxContent", _FALLBACK}
_WRAPPERS = {W + tag for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")}
_MARKS = {W + "tab": "\t", W + "ptab": "\t", W + "br": "\n", W + "cr": "\n", W + "noBreakHyphen": "-"}
_REFERENCES = {W + "footnoteReference": "", W + "endnoteReference": "e", W + "commentReference": "c"}
_NUMBERED = f"{W}pPr/{W}numPr"
_NOTES = (("footnotes", "footnote", ""), ("endnotes", "endnote", "e"), ("comments", "comment", "c"))
_TICKS = ("☐", "☑", "☒", "✔", "✗")


def read_docx(data: bytes, read_other: Callable[[bytes, str], str], depth: int = 1) -> str:
    """Return a document's text, tables row by row, notes at the end; `read_other` reads embedded HTML, given its name.

    Raises zipfile's, lxml's and ValueErrors for damaged files.
    """
    package = Package(data)
    main = package.main
    body = package.xml(main).find(W + "body")
    if body is None:
        raise ValueError("it has no body")
    reading = _Reading(package, main, read_other, depth, *_lists(package, main))
    blocks = list(reading.blocks(body))
    for kind, tag, prefix in _NOTES:
        for root in package.related(main, kind):
            blocks += reading.notes(root, tag, prefix)
    for kind, title in (("header", "Header"), ("footer", "Footer")):
        texts = dict.fromkeys(reading.line(root) for root in package.related(main, kind))
        # A page number alone says nothing.
        blocks += [Block(f"[{title}] {text}") for text in texts if text and not text.isdigit()]
    return join([*blocks, *_changes(body)])


def _lists(package: Package, main: str) -> tuple[set[str], dict[str, str], dict[tuple[str, str], str]]:
    """Read which styles are headings, which put which mark before the text, and the marks of list levels by list and level."""
    marks: dict[tuple[str, str], str] = {}
    for numbering in package.related(main, "numbering"):
        levels = {each.get(W + "abstractNumId"): each for each in numbering.iter(W + "abstractNum")}
        for each in numbering.iter(W + "num"):
            abstract = levels.get(_value(each, "abstractNumId"))
            for level in [] if abstract is None else abstract.iter(W + "lvl"):
                marks[each.get(W + "numId", ""), level.get(W + "ilvl", "0")] = _bullet(level)
    headings: set[str] = set()
    lists: dict[str, str] = {}
    for styles in package.related(main, "styles"):
        for style in styles.iter(W + "style"):
            name = style.get(W + "styleId") or ""
            if _value(style, "name").lower().startswith("heading"):
                headings.add(name)
            if (numbered := style.find(_NUMBERED)) is not None:
                lists[name] = _mark(numbered, marks)
    return headings, lists, marks


def _bullet(level: Any) -> str:
    text = _value(level, "lvlText")
    fonts = level.find(f"{W}rPr/{W}rFonts")
    if fonts is not None:
        text = in_font(text, fonts.get(W + "ascii") or fonts.get(W + "hAnsi") or "")
    return f"{text} " if text in _TICKS else "- "


def _mark(numbered: Any, marks: dict[tuple[str, str], str]) -> str:
    return marks.get((_value(numbered, "numId"), _value(numbered, "ilvl") or "0"), "- ")


def _changes(body: Any) -> Iterator[Block]:
    """Say that a text has tracked changes, and which of them are in it."""
    inserted = [change for tag in ("ins", "moveTo") for change in body.iter(W + tag) if len(change)]
    deleted = [change for tag in ("del", "moveFrom") for change in body.iter(W + tag) if len(change)]
    if inserted or deleted:
        yield Block(
            f"[Tracked changes: inserted text ({len(inserted)}) is in the text above, deleted text ({len(deleted)}) is not.]"
        )


@dataclass(frozen=True)
class _Reading:
    """A walk through the tree, knowing by their ids which styles are headings and which put a mark before the text."""

    package: Package
    main: str
    read_other: Callable[[bytes, str], str]
    depth: int
    headings: set[str]
    lists: dict[str, str]
    marks: dict[tuple[str, str], str] = field(default_factory=dict)

    def blocks(self, container: Any) -> Iterator[Block]:
        for element in container:
            if element.tag == W + "p":
                yield self._paragraph(element)
                for box in element.iter(W + "txbxContent"):
                    # A box within a box is read with the paragraph of its own that it stands in.
                    mine = next(box.iterancestors(W + "p")) is element
                    if mine and all(ancestor.tag != _FALLBACK for ancestor in box.iterancestors()):
                        yield from self.blocks(box)
            elif element.tag == W + "tbl":
                yield from self._table(element)
            elif element.tag == W + "altChunk":
                yield self._embedded(element.get(R + "id") or "")
            elif element.tag in (M + "oMath", M + "oMathPara"):
                yield Block(linear(element))
            elif element.tag in _WRAPPERS:
                yield from self.blocks(element)

    def notes(self, root: Any, tag: str, prefix: str) -> Iterator[Block]:
        for note in _children(root, W + tag):
            text = self.line(note)
            author = note.get(W + "author") or ""
            # Notes with a type are the separator lines above the real ones.
            if text and note.get(W + "type") is None:
                author_prefix = f"comment{author and f' by {author}'}: " if tag == "comment" else ""
                yield Block(f"[{prefix}{note.get(W + 'id')}] {author_prefix}{text}", listed=True)

    def line(self, container: Any) -> str:
        return " ".join(block.text for block in self.blocks(container) if block.text)

    def _paragraph(self, element: Any) -> Block:
        text = "".join(_inline(element)).strip()
        style = element.find(f"{W}pPr/{W}pStyle")
        name = "" if style is None else style.get(W + "val")
        numbered = element.find(_NUMBERED)
        mark = _mark(numbered, self.marks) if numbered is not None else self.lists.get(name)
        if text and mark and name not in self.headings:
            return Block(f"{mark}{text}", listed=True)
        return Block(text)

    def _table(self, element: Any) -> Iterator[Block]:
        table = [list(_children(row, W + "tc")) for row in _children(element, W + "tr")]
        if all(len(row) == 1 for row in table):
            # One column is a frame around a layout.
            for row in table:
                yield from self.blocks(row[0])
        else:
            yield rows([self.line(cell) for cell in row] for row in table)

    def _embedded(self, name: str) -> Block:
        """Read a part that another program put in whole: HTML, a web archive, text, or another Word file."""
        relation = self.package.relations(self.main).get(name)
        if relation is None or relation.external or not self.package.has(relation.target):
            return Block("[A part of this document is not in the file, so it is not read.]")
        path, data = relation.target, self.package.read(relation.target)
        if data.startswith(b"PK\x03\x04") and self.depth < NESTED_FILES:
            with suppress(ValueError, zipfile.BadZipFile):
                return Block(read_docx(data, self.read_other, self.depth + 1))
        if path.lower().endswith((".mht", ".mhtml", ".eml")):
            message = email.message_from_bytes(data, policy=email.policy.default)
            page = message.get_body(preferencelist=("html", "plain"))
            data, path = (page.get_content().encode(), f"{path}.html") if page is not None else (b"", path)
        if data.lstrip()[:1] == b"<" or path.lower().endswith((".html", ".htm", ".xhtml")):
            return Block(self.read_other(data, path))
        if path.lower().endswith(".txt"):
            return Block(decode(data, path))
        return Block(f"[The embedded part {path} is in a format that is not read; its text is missing here.]")


def _inline(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == W + "t":
            yield _text(child)
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag in _REFERENCES:
            yield f"[{_REFERENCES[child.tag]}{child.get(W + 'id')}]"
        elif child.tag == W + "sym":
            yield symbol(child.get(W + "font") or "", int(child.get(W + "char") or "3F", 16))
        elif child.tag == W + "fldChar":
            yield _field(child)
        elif child.tag == M + "oMath":
            yield linear(child)
        elif child.tag == W + "sdt" and (box := child.find(f"{W}sdtPr/{_W14}checkbox")) is not None:
            checked = box.find(f"{_W14}checked")
            yield _box(checked is not None and checked.get(_W14 + "val", "1") in _TRUE)
        elif child.tag not in _UNSEEN and not _is_on(child.find(f"{W}rPr/{W}vanish")):
            yield from _inline(child)


def _text(element: Any) -> str:
    text = element.text or ""
    fonts = element.getparent().find(f"{W}rPr/{W}rFonts")
    font = "" if fonts is None else fonts.get(W + "ascii") or ""
    return in_font(text, font) if is_symbol_font(font) else text


def _field(begin: Any) -> str:
    """Return the state of an old form field, which has no text of its own: a check box, or a drop-down list."""
    data = begin.find(W + "ffData")
    if data is None:
        return ""
    if (box := data.find(W + "checkBox")) is not None:
        state = box.find(W + "checked")
        return _box(_is_on(box.find(W + "default") if state is None else state))
    if (choice := data.find(W + "ddList")) is not None:
        entries = [entry.get(W + "val") or "" for entry in choice.iter(W + "listEntry")]
        chosen = _value(choice, "result") or _value(choice, "default") or "0"
        return entries[int(chosen)] if chosen.isdigit() and int(chosen) < len(entries) else ""
    return ""


_TRUE = ("1", "true", "on")


def _is_on(switch: Any) -> bool:
    return switch is not None and switch.get(W + "val", "1") in _TRUE


def _box(ticked: bool) -> str:
    return TICKED if ticked else UNTICKED


def _value(element: Any, name: str) -> str:
    found = element.find(W + name)
    return "" if found is None else found.get(W + "val") or ""


def _children(element: Any, tag: str) -> Iterator[Any]:
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)
