import base64
import io
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import docx
import pytest
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, NameObject
from temporalio.exceptions import ApplicationError

from outlast.documents.formats.extraction import extract
from outlast.errors import ErrorKind, kind_of
from tests.document_files import SENTENCE, docx_of, locked, paragraph, pdf, run, saved

# A page that opens with an empty password, AES-256; pypdf made it, beside `cryptography`, which is no dependency here.
AES_PDF = (
    "c-oCqJ#QRU6h%NaNFdQc^%~QWdEXysapc%*870xKydesTT)dC_oQ>=mYj!p`6d<LG5~bo7P>>=iQt$^-ArO*_L`g>x=#c0^LgLP@"
    "vsqXQM)Rci&b#-XGk4Bi8*XiX$j*pj?Zq!APYOmTsl)Z6*DK0lQ>ST!hV+tiPEe^;h=CersLVRbpsiL(2H{1NiW|I1Dw-U5w2`_b"
    "Db<2&pZt2UzFt6;y2^Zs;nK|`Amz~S!=xxT>uJ>zR+Q(*X+o|NiGjOhZz)x*q;C4wAJqHByawrN?=B_C|KuvlU6|C<CSpc+vt1+a"
    "Y(riJc3@GCrlFl3I}oLv^AnhbmpgE91KM%)9o_sbFG3pobM-Nbr)TJFaXMdnox}z(bFLA;wrcS>A?jb6)sp55Q0=$Zh^5{Aq;0?-"
    "7SF5aFaCJ%x3|Cg^=WC}xqJJEKVSRi>gR8M`|)RIf4VnR*B^X;<*!@sp8URdeEv~ge)Rgo_YXIY9zPEEzWjM|cIVj#ZwzkTzm&he"
    "6L;XdA5Zq)>Ud8}pDNHx3N90c?IL=ig)7_-iR4Z?ZMfsuw(&uWE-6Q?uaa+4Q4UB?h~OxdHaN$eQ4|6LsZ10O80E<_w2AgXXcd`Z"
    "!9*vS)EsiuOo8-LLUcA|<|R|Xamt+6LQ<==O_-1E{*?5xpu(}JtnVnaFquY`xC78iE8{W`z>p+Bw9=a-Kyk+KhwwzXFo15g&H%O9"
    ")8vBEA|}NnN{0+iC1ly0yJFO))7{3jz1F|c{mOEyj)Nnpx}b}s+~|)ki$$XZe`$+Rd$>*J1-e7?>M-b&o=%$Oz;iG%a3PcmSy%^>"
    "qY~+X`>d5^O1dDdww@Xll2+0RXF0babdA6=JZP;0bu?0zeWr$H8L?e9I+u;637cRbMXmydMx;rCs@PQ(&M?3-Lud|hB7%_4QX50U"
    "mS+`k+_l3Xp0np7{$rSr8^{GErl5<5Xr+WAnJh4dmY&^I3yd+biW$Cwan4pSNmnr?maw+*;{#}B{vD0K0F+nm)^$t7eDpr4a!uIj"
    "ehY`S=e-nBL<^oJKzl_gST@EohbHuquK%A99Pxe?o0~^1(JyCu()y;IHHlHHi?y}>V7vGmXr+I3"
)


def refused(data: bytes, name: str, media_type: str = "") -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        extract(data, name, media_type)
    assert caught.value.non_retryable
    assert name in caught.value.message
    return caught.value


def zipped(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), "teal").save(buffer, kind)
    return buffer.getvalue()


def compound(entry: str) -> bytes:
    """As much of an OLE compound file as tells its kind: the signature and a directory entry."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + entry.encode("utf-16-le") + bytes(400)


def with_broken_stream(data: bytes) -> bytes:
    start = data.index(b"stream") + 40
    return data[:start] + b"\0" * 60 + data[start + 60 :]


@pytest.mark.parametrize(
    ("data", "name", "kind", "says"),
    [
        (locked(pdf(SENTENCE), "secret"), "locked.pdf", ErrorKind.DOCUMENT_ENCRYPTED, "qpdf"),
        (compound("EncryptedPackage"), "locked.docx", ErrorKind.DOCUMENT_ENCRYPTED, "remove the password"),
        (pdf("", "", picture_on=(1, 2)), "scan.pdf", ErrorKind.DOCUMENT_SCANNED, "ocrmypdf"),
        (pdf("p. 1", "p. 2", picture_on=(1, 2)), "numbered.pdf", ErrorKind.DOCUMENT_SCANNED, "2 page(s)"),
        (pdf(""), "blank.pdf", ErrorKind.DOCUMENT_SCANNED, "OCR"),
        (b"", "nothing.txt", ErrorKind.DOCUMENT_EMPTY, "empty"),
        (b" \r\n\t", "spaces.pdf", ErrorKind.DOCUMENT_EMPTY, "empty"),
        (" \n".encode("utf-16"), "spaces.txt", ErrorKind.DOCUMENT_EMPTY, "no text"),
        (saved(docx.Document()), "empty.docx", ErrorKind.DOCUMENT_EMPTY, "no text"),
        (b"<html><script>x</script></html>", "empty.html", ErrorKind.DOCUMENT_EMPTY, "no text"),
        (picture("PNG"), "photo.png", ErrorKind.DOCUMENT_UNSUPPORTED, "a PNG image"),
        (picture("JPEG"), "photo.pdf", ErrorKind.DOCUMENT_UNSUPPORTED, "a JPEG image"),
        (picture("TIFF"), "fax.tif", ErrorKind.DOCUMENT_UNSUPPORTED, "OCR"),
        (zipped(xl__workbook=b"<x/>"), "sums.xlsx", ErrorKind.DOCUMENT_UNSUPPORTED, "an Excel workbook"),
        (zipped(ppt__a=b"<x/>"), "talk.docx", ErrorKind.DOCUMENT_UNSUPPORTED, "a PowerPoint presentation"),
        (
            zipped(mimetype=b"application/vnd.oasis.opendocument.text"),
            "letter.odt",
            ErrorKind.DOCUMENT_UNSUPPORTED,
            "OpenDocument",
        ),
        (zipped(mimetype=b"application/epub+zip"), "novel.epub", ErrorKind.DOCUMENT_UNSUPPORTED, "pandoc"),
        (zipped(readme=b"hello"), "all.zip", ErrorKind.DOCUMENT_UNSUPPORTED, "a ZIP archive"),
        (compound("WordDocument"), "old.doc", ErrorKind.DOCUMENT_UNSUPPORTED, "legacy Word"),
        (compound("Workbook"), "old.xls", ErrorKind.DOCUMENT_UNSUPPORTED, "legacy Office"),
        (b"{\\rtf1 hello}", "note.rtf", ErrorKind.DOCUMENT_UNSUPPORTED, "an RTF document"),
        (bytes(range(256)) * 40, "tool.bin", ErrorKind.DOCUMENT_UNSUPPORTED, "PDF, DOCX, HTML, Markdown and plain"),
        (pdf(SENTENCE)[:600], "half.pdf", ErrorKind.DOCUMENT_UNREADABLE, "damaged"),
        (b"%PDF-1.7\n" + b"x" * 3000, "noise.pdf", ErrorKind.DOCUMENT_UNREADABLE, "damaged"),
        (with_broken_stream(pdf(SENTENCE * 9)), "torn.pdf", ErrorKind.DOCUMENT_UNREADABLE, "page 1 cannot be read"),
        (docx_of(paragraph(run(SENTENCE)))[:9000], "half.docx", ErrorKind.DOCUMENT_UNREADABLE, "cut off"),
        (zipped(**{"word__document.xml": b"<x/>"}), "odd.docx", ErrorKind.DOCUMENT_UNREADABLE, "read as DOCX"),
        ("Привет, мир! ".encode("cp1251") * 9, "russian.txt", ErrorKind.DOCUMENT_UNREADABLE, "encoding UTF-8"),
        (b"\xff\xfea\0b", "cut.txt", ErrorKind.DOCUMENT_UNREADABLE, "byte order mark"),
    ],
)
def test_each_failure_has_its_kind_and_names_the_mend(data: bytes, name: str, kind: ErrorKind, says: str) -> None:
    error = refused(data, name)
    assert kind_of(error) == kind
    assert says in error.message


def test_word_file_that_unpacks_to_too_much_is_refused_before_it_is_read() -> None:
    bomb = zipped(**{"word__document.xml": bytes(60_000_000)})
    assert len(bomb) < 100_000
    assert kind_of(refused(bomb, "bomb.docx")) == ErrorKind.DOCUMENT_TOO_LARGE


def test_pdf_that_unpacks_to_too_much_is_refused() -> None:
    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    stream = DecodedStreamObject()
    stream.set_data(b" " * 100_000_000)
    page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    buffer = io.BytesIO()
    writer.write(buffer)
    assert kind_of(refused(buffer.getvalue(), "bomb.pdf")) == ErrorKind.DOCUMENT_TOO_LARGE


def test_aes_encryption_is_read_where_cryptography_is_installed_and_named_where_it_is_not() -> None:
    data = zlib.decompress(base64.b85decode(AES_PDF))
    if find_spec("cryptography"):
        assert extract(data, "open.pdf").text == "Open to all, printing refused"
    else:
        error = refused(data, "open.pdf")
        assert kind_of(error) == ErrorKind.DOCUMENT_ENCRYPTED
        assert "cryptography" in error.message


def test_files_read_side_by_side_do_not_blame_each_other() -> None:
    torn, blank = with_broken_stream(pdf(SENTENCE * 9)), pdf("")
    with ThreadPoolExecutor(4) as threads:
        kinds = [kind_of(error) for error in threads.map(lambda data: refused(data, "one.pdf"), [torn, blank] * 20)]
    assert kinds == [ErrorKind.DOCUMENT_UNREADABLE, ErrorKind.DOCUMENT_SCANNED] * 20
