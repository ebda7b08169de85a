"""Files of one situation each, read: PDF forms, Word files made of their parts, pages, feeds."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from outlast.documents.formats.extraction import extract
from outlast.documents.formats.feed import read_feed
from tests.document_files import SENTENCE, W, docx_of, paragraph, pdf_of, run, stream

FILES = Path(__file__).parent / "documents"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W14 = "http://schemas.microsoft.com/office/word/2010/wordml"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
WAIT = "Please wait... If this message is not eventually replaced by the contents of the document, upgrade your viewer."


def form(fields: str, xfa: str = "", page: str = SENTENCE, *more: bytes, catalog: str = "") -> str:
    """Read a PDF whose objects from 6 on are form fields, by line; returns what follows the text of its page."""
    return _page(f"{catalog}/AcroForm<</Fields[{{kids}}]{xfa}>>", "", page, fields, more)


def noted(notes: str) -> str:
    """Read a PDF whose objects from 6 on are annotations of its page."""
    return _page("", "/Annots[{kids}]", SENTENCE, notes, ())


def _page(catalog: str, entries: str, page: str, lines: str, more: tuple[bytes, ...]) -> str:
    objects = [line.encode() for line in lines.splitlines()]
    kids = " ".join(f"{number} 0 R" for number in range(6, 6 + len(objects)))
    catalog, entries = catalog.replace("{kids}", kids), entries.replace("{kids}", kids)
    data = pdf_of(
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>".encode(),
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 900 840]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>{entries}>>".encode(),
        stream(f"BT /F 10 Tf 20 800 Td ({page}) Tj ET".encode()),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *objects,
        *more,
    )
    return extract(data, "form.pdf").text.removeprefix(SENTENCE.strip()).strip().removeprefix("Form fields:\n")


def xfa(data: str, page: str = WAIT, mark: str = "") -> str:
    packet = (
        f'<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data>{data}</xfa:data></xfa:datasets>'
    )
    return form("", "/XFA[(datasets) 6 0 R]", page, stream(packet.encode()), catalog=mark)


def word(body: str) -> str:
    return extract(docx_of(body), "file.docx").text


def math(inside: str) -> str:
    return word(paragraph(f'<m:oMath xmlns:m="{M}">{inside}</m:oMath>'))


def text(letters: str) -> str:
    return f"<m:r><m:t>{letters}</m:t></m:r>"


def package(
    body: str, parts: dict[str, str | bytes], relations: dict[str, str], main: str = "word/document.xml"
) -> bytes:
    """A Word file made of its parts; `relations` of the main part are written as `kind`: path."""
    folder, _, name = main.rpartition("/")
    listed = "".join(
        f'<Relationship Id="r{number}" Type="{R}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(relations.items(), 1)
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<x><Override PartName="/{main}" ContentType="{TYPE}"/></x>')
        archive.writestr(
            "_rels/.rels", f'<x xmlns="{RELATIONS}"><r Id="r" Type="{R}/officeDocument" Target="/{main}"/></x>'
        )
        archive.writestr(f"{folder}/_rels/{name}.rels", f'<x xmlns="{RELATIONS}">{listed}</x>')
        archive.writestr(main, f'<w:document xmlns:w="{W}" xmlns:r="{R}"><w:body>{body}</w:body></w:document>')
        for path, part in parts.items():
            archive.writestr(path, part)
    return buffer.getvalue()


def parts(body: str, parts: dict[str, str | bytes], relations: dict[str, str], main: str = "word/document.xml") -> str:
    return extract(package(body, parts, relations, main), "file.docx").text


def notes(kind: str, tag: str, inside: str) -> dict[str, str | bytes]:
    return {
        f"word/{kind}.xml": f'<w:{kind} xmlns:w="{W}"><w:{tag} w:id="1" w:author="Ada">{inside}</w:{tag}></w:{kind}>'
    }


def embedded(path: str, data: str | bytes) -> str:
    return parts(f'{paragraph(run("Minutes"))}<w:altChunk r:id="r1"/>', {f"word/{path}": data}, {"aFChunk": path})


def control(checked: int) -> str:
    state = f'<w14:checkbox xmlns:w14="{W14}"><w14:checked w14:val="{checked}"/></w14:checkbox>'
    return f"<w:sdt><w:sdtPr>{state}</w:sdtPr><w:sdtContent>{run('?')}</w:sdtContent></w:sdt>"


def header(said: str) -> str:
    return f'<w:hdr xmlns:w="{W}">{paragraph(run(said))}</w:hdr>'


def box(inside: str) -> str:
    return f"<w:r><w:txbxContent>{inside}</w:txbxContent></w:r>"


def old_field(data: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar></w:r>'


NUMBERING = (
    f'<w:numbering xmlns:w="{W}"><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:lvlText w:val="&#xF0FE;"/><w:rPr>'
    '<w:rFonts w:ascii="Wingdings"/></w:rPr></w:lvl></w:abstractNum><w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0">'
    '<w:lvlText w:val="☐"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2">'
    '<w:abstractNumId w:val="1"/></w:num></w:numbering>'
)


def item(number: int, said: str) -> str:
    return paragraph(f'<w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="{number}"/></w:numPr></w:pPr>{run(said)}')


def html(body: str) -> str:
    return extract(f"<html><body>{body}".encode(), "page.html").text


def rss(inside: str, head: str = "") -> str:
    data = (
        f"<?xml version='1.0'?>{head}<rss version='2.0'><channel><title>t</title><item>{inside}</item></channel></rss>"
    )
    (entry,) = read_feed(data.encode(), "feed").entries
    return f"{entry.title} / {entry.text}"


def atom(inside: str) -> str:
    (entry,) = read_feed(
        f"<feed xmlns='http://www.w3.org/2005/Atom'><entry>{inside}</entry></feed>".encode(), "f"
    ).entries
    return f"{entry.title} / {entry.text}"


def stored(name: str) -> Callable[[], str]:
    return lambda: extract((FILES / name).read_bytes(), name).text


def arxiv() -> str:
    entries = read_feed((FILES / "arxiv.xml").read_bytes(), "arXiv").entries
    return "\n".join(entry.text for entry in entries[:2])
