"""Text out of DOCX files: the body in document order; headers, footers and comments are left out.

The trap: python-docx gives neither what stands in content controls nor what a tracked change inserted, and
repeats merged cells. So the tree is walked here: deleted and hidden text out, inserted text in. Automatic
numbers are not in the file, Word makes them up on the screen; such paragraphs get a dash.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.parser import parse_xml

from activities.formats.text import Block, join, rows

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# Word stores each text box twice, the second time for old readers.
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_UNSEEN = {_W + "del", _W + "moveFrom", _W + "pPr", _W + "rPr", _W + "txbxContent", _FALLBACK}
_WRAPPERS = {_W + tag for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")}
_MARKS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}
_NUMBERED = f"{_W}pPr/{_W}numPr"
_NOTES = {RELATIONSHIP_TYPE.FOOTNOTES: ("footnote", ""), RELATIONSHIP_TYPE.ENDNOTES: ("endnote", "e")}


def read_docx(data: bytes) -> str:
    """Return a document's text, tables row by row, notes at the end; damage raises python-docx's errors."""
    document = docx.Document(io.BytesIO(data))
    styles = {str(style.style_id): style for style in document.styles}
    reading = _Reading(
        headings={key for key, style in styles.items() if (style.name or "").startswith("Heading")},
        lists={key for key, style in styles.items() if style.element.find(_NUMBERED) is not None},
    )
    blocks = list(reading.blocks(document.element.body))
    for relation in document.part.rels.values():
        if relation.reltype in _NOTES:
            blocks += reading.notes(parse_xml(relation.target_part.blob), *_NOTES[relation.reltype])
    return join(blocks)


@dataclass(frozen=True)
class _Reading:
    """A walk through the tree, knowing by their ids which styles are headings and which put a mark before the text."""

    headings: set[str]
    lists: set[str]

    def blocks(self, container: Any) -> Iterator[Block]:
        for element in container:
            if element.tag == _W + "p":
                yield self._paragraph(element)
                for box in element.iter(_W + "txbxContent"):
                    if all(ancestor.tag != _FALLBACK for ancestor in box.iterancestors()):
                        yield from self.blocks(box)
            elif element.tag == _W + "tbl":
                yield from self._table(element)
            elif element.tag in _WRAPPERS:
                yield from self.blocks(element)

    def notes(self, root: Any, tag: str, prefix: str) -> Iterator[Block]:
        for note in _children(root, _W + tag):
            text = self._line(note)
            # Notes with a type are the separator lines above the real ones.
            if text and note.get(_W + "type") is None:
                yield Block(f"[{prefix}{note.get(_W + 'id')}] {text}", listed=True)

    def _paragraph(self, element: Any) -> Block:
        text = "".join(_inline(element)).strip()
        style = element.find(f"{_W}pPr/{_W}pStyle")
        name = "" if style is None else style.get(_W + "val")
        marked = name in self.lists or element.find(_NUMBERED) is not None
        if text and marked and name not in self.headings:
            return Block(f"- {text}", listed=True)
        return Block(text)

    def _table(self, element: Any) -> Iterator[Block]:
        table = [list(_children(row, _W + "tc")) for row in _children(element, _W + "tr")]
        if all(len(row) == 1 for row in table):
            # One column is a frame around a layout.
            for row in table:
                yield from self.blocks(row[0])
        else:
            yield rows([self._line(cell) for cell in row] for row in table)

    def _line(self, container: Any) -> str:
        return " ".join(block.text for block in self.blocks(container) if block.text)


def _inline(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == _W + "t":
            yield child.text or ""
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag == _W + "footnoteReference":
            yield f"[{child.get(_W + 'id')}]"
        elif child.tag == _W + "endnoteReference":
            yield f"[e{child.get(_W + 'id')}]"
        elif child.tag not in _UNSEEN and child.find(f"{_W}rPr/{_W}vanish") is None:
            yield from _inline(child)


def _children(element: Any, tag: str) -> Iterator[Any]:
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)
