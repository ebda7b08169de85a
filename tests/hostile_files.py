"""Content that is made to hurt whoever parses it: each file is small, and takes any time or memory of a parser that trusts it."""

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable

from tests.document_files import W, pdf_of, stream

MEGABYTE = 1_000_000
CONTENT_TYPES = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def zip_of(*entries: tuple[str, Iterable[bytes]]) -> bytes:
    """A ZIP file whose entries come in pieces, so that gigabytes of zeros need no memory here."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, pieces in entries:
            with archive.open(name, "w", force_zip64=True) as entry:
                for piece in pieces:
                    entry.write(piece)
    return buffer.getvalue()


def word(body: Iterable[bytes], head: bytes = b"", *more: tuple[str, Iterable[bytes]]) -> bytes:
    start = head + f'<w:document xmlns:w="{W}"><w:body>'.encode()
    return zip_of(("word/document.xml", (start, *body, b"</w:body></w:document>")), *more)


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 840]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>"
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def one_page(content: bytes, form: bytes = FONT) -> bytes:
    return pdf_of(CATALOG, PAGES, PAGE, content, FONT, form)


def deflated(data: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        data = zlib.compress(data, 9)
    return data


def nested_kids(levels: int) -> bytes:
    """Page trees in page trees, each with twice the same child: 2^levels pages in a few objects."""
    trees = [b"<</Type/Pages/Count 1/Kids[%d 0 R %d 0 R]>>" % (2 * (level + 3,)) for level in range(levels)]
    return pdf_of(CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", *trees, b"<</Type/Page/MediaBox[0 0 9 9]>>")


def rss(items: str, head: str = "") -> bytes:
    return f"<?xml version='1.0'?>{head}<rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode()


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
DOCTYPE = f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'
QUADRATIC = f'<!DOCTYPE x [<!ENTITY q "{"q" * 50_000}">]>'

# name, and how its bytes are made (only where it is used: some take half a second)
DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "instructions.html": lambda: b"<html>" + b"<?a" * 100_000,
    "declarations.html": lambda: b"<html>" + b"<![a" * 100_000,
    "comments.html": lambda: b"<html>" + b"<!--" * 200_000,
    "comment-ends.html": lambda: b"<html><!--" + b"--!" * 300_000,
    "bogus-comments.html": lambda: b"<html>" + b"<!a" * 50_000,
    "doctypes.html": lambda: b"<html>" + b"<!DOCTYPE " * 25_000,
    "nested.html": lambda: b"<html>" + b"<div>" * 1_000_000,
    "nested-tables.html": lambda: b"<html>" + b"<table><tr><td>" * 8_000,
    "nested-lists.html": lambda: b"<html>" + b"<ul><li>x" * 8_000,
    "nested-hidden.html": lambda: b"<html>" + b"<p hidden>" * 20_000,
    "attributes.html": lambda: b"<html><p " + b"a=1 " * 150_000 + b">x",
    "open-attribute.html": lambda: b"<html>" + b"<p a='" * 200_000,
    "open-tags.html": lambda: b"<html>" + b"<a" * 500_000,
    "end-tags.html": lambda: b"<html>" + b"<b>" * 15_000 + b"</i>" * 15_000,
    "entities.html": lambda: b"<html>" + b"&" * 150_000,
    "script.html": lambda: b"<html>" + b"<script>" * 100_000,
    "cdata.html": lambda: b"<html>" + b"<![CDATA[" * 100_000,
    "style.html": lambda: b"<html>" + b"<p style='" + b";display" * 300_000 + b"'>x",
    "spaces.txt": lambda: b"x" + b" \n" * 5_000_000 + b"x",
    "no-border.txt": lambda: b"x" * 8 * MEGABYTE,
    "mimetype.odt": lambda: zip_of(("mimetype", (bytes(MEGABYTE),) * 560)),
    "media.docx": lambda: word([], b"", ("word/media/a.bin", (bytes(MEGABYTE),) * 300)),
    "body.docx": lambda: word((b" " * MEGABYTE,) * 60),
    "empty-paragraphs.docx": lambda: word((b"<w:p/>" * 100_000,) * 75),
    "paragraphs.docx": lambda: word([b"<w:p/>" * 100_000]),
    "deep.docx": lambda: word([b"<w:sdt>" * 100_000]),
    "deep-boxes.docx": lambda: word([b"<w:p><w:r><w:txbxContent>" * 60, b"</w:txbxContent></w:r></w:p>" * 60]),
    "laughs.docx": lambda: word([b"<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>"], DOCTYPE.encode()),
    "quadratic.docx": lambda: word([b"<w:p><w:r><w:t>" + b"&q;" * 10_000 + b"</w:t></w:r></w:p>"], QUADRATIC.encode()),
    "external.docx": lambda: word([b"<w:p>&x;</w:p>"], b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "comments.docx": lambda: word([b"<!--x-->" * 500_000]),
    "attributes.docx": lambda: word([b"<w:p " + b" ".join(b"a%d='1'" % n for n in range(100_000)) + b"/>"]),
    "table.docx": lambda: word(
        [b"<w:tbl><w:tr>", b"<w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc>" * 30_000, b"</w:tr></w:tbl>"]
    ),
    "numbers.docx": lambda: word([b"<w:p/>"], b"", *((f"word/{n}.xml", [b"<x/>"]) for n in range(20_000))),
    "pages.pdf": lambda: pdf_of(
        CATALOG, b"<</Type/Pages/Count 60000/Kids[%s]>>" % (b"3 0 R " * 60_000), b"<</Type/Page/MediaBox[0 0 9 9]>>"
    ),
    "more-pages-than-it-says.pdf": lambda: nested_kids(16),
    "page-tree.pdf": lambda: nested_kids(40),
    "page-cycle.pdf": lambda: pdf_of(CATALOG, b"<</Type/Pages/Count 1/Kids[2 0 R]>>"),
    "form-cycle.pdf": lambda: one_page(
        stream(b"/X Do"), stream(b"/X Do /X Do", b"", b"/Type/XObject/Subtype/Form/Resources<</XObject<</X 6 0 R>>>>")
    ),
    "deflated.pdf": lambda: one_page(stream(deflated(b" " * 60 * MEGABYTE, 2), b"[/FlateDecode/FlateDecode]")),
    "run-lengths.pdf": lambda: one_page(stream(deflated(b"\x81 " * MEGABYTE), b"[/FlateDecode/RunLengthDecode]")),
    "lzw.pdf": lambda: one_page(stream(deflated(b"\x80\x0b\x60\x50\x22\x0c" * 3 * MEGABYTE), b"[/FlateDecode/LZWDecode]")),
    "operators.pdf": lambda: one_page(stream(deflated(b"BT (x) Tj ET " * 2 * MEGABYTE), b"/FlateDecode")),
    "arrays.pdf": lambda: one_page(stream(b"[" * 200_000)),
    "dictionaries.pdf": lambda: pdf_of(b"<</a" * 20_000),
    "unended-string.pdf": lambda: pdf_of(b"(" * 500_000),
    "reference-chain.pdf": lambda: pdf_of(
        b"<</Type/Catalog/Pages 3 0 R>>", *(b"%d 0 R" % (n + 1) for n in range(2, 30_000))
    ),
    "no-table.pdf": lambda: b"%PDF-1.4\n" + b"1 0 obj" * 100_000 + b"\nstartxref\n0\n%%EOF",
    "table-chain.pdf": lambda: b"%PDF-1.4\nxref\n0 0\ntrailer<</Prev 9/Root 1 0 R>>\nstartxref\n9\n%%EOF",
    "fields.pdf": lambda: pdf_of(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]>>>>", PAGES, PAGE, stream(b""), FONT,
        b"<</T(a)/Kids[6 0 R 6 0 R 7 0 R 7 0 R]>>", b"<</T(b)/Kids[6 0 R 6 0 R 7 0 R]>>",
    ),
}  # fmt: skip

FEEDS: dict[str, Callable[[], bytes]] = {
    "laughs": lambda: rss("<item><title>&l9;</title></item>", DOCTYPE),
    "quadratic": lambda: rss("<item><title>" + "&q;" * 20_000 + "</title></item>", QUADRATIC),
    "utf-16 laughs": lambda: rss("<item><title>&l9;</title></item>", DOCTYPE).decode().encode("utf-16"),
    "items": lambda: rss("<item/>" * 640_000),
    "titles": lambda: rss("<item><title>a &lt;b&gt; c</title><description>&lt;p&gt;x</description></item>" * 50_000),
    "tags": lambda: rss("<item><description>" + "&lt;p " * 150_000 + "</description></item>"),
    "comments": lambda: rss("<item><description>" + "&lt;!--" * 200_000 + "</description></item>"),
    "deep": lambda: b"<rss><channel>" + b"<a>" * 1_500_000,
    "brackets": lambda: b"<rss>" + b"<" * 300_000,
    "doctype": lambda: b"<!DOCTYPE " + b"[<!" * 1_500_000,
    "prologue": lambda: b"<?a" * 1_500_000,
    "dates": lambda: rss("<item><pubDate>" + "1" * 4_000_000 + "</pubDate></item>"),
}

SCHEMAS: dict[str, tuple[object, object]] = {
    "pattern": ("a" * 40 + "!", {"pattern": "^(a+)+$"}),
    "property pattern": ({"a" * 40 + "!": 1}, {"patternProperties": {"^(a|a)*$": {}}}),
    "references": (
        1,
        {
            "$ref": "#/$defs/d0",
            "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}},
        },
    ),
    "circle": (1, {"$ref": "#"}),
    "unique": ([{"a": n} for n in range(30_000)], {"uniqueItems": True}),
    "deep": (
        json.loads("[" * 900 + "]" * 900),
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
    ),
    "wide": ([0] * 50_000, {"items": {"anyOf": [{"const": n} for n in range(1, 2_000)]}}),
}
