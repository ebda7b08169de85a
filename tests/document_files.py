"""Files as people hand them in, made for the tests: PDF pages, pictures of pages, locked files, Word markup."""

import io

import docx
from docx.document import Document
from docx.oxml.parser import parse_xml
from fpdf import FPDF
from PIL import Image
from pypdf import PdfReader, PdfWriter

SENTENCE = "The harbour lights went out one by one while the ferry waited for the tide. "
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(*pages: str, picture_on: tuple[int, ...] = ()) -> bytes:
    file = FPDF()
    file.set_font("Helvetica", size=12)
    for number, text in enumerate(pages, 1):
        file.add_page()
        if number in picture_on:
            file.image(Image.new("L", (60, 80), 200), w=100)
        if text:
            file.multi_cell(0, 6, text)
    return bytes(file.output())


def locked(data: bytes, user_password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user_password, owner_password="owner", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def docx_of(body: str) -> bytes:
    """A document whose body is the given WordprocessingML."""
    document = docx.Document()
    for element in parse_xml(f'<w:body xmlns:w="{W}">{body}</w:body>'):
        document.element.body.insert_element_before(element, "w:sectPr")
    return saved(document)


def saved(document: Document) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def paragraph(inside: str) -> str:
    return f"<w:p>{inside}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def pdf_of(*objects: bytes) -> bytes:
    """A PDF file of these objects, numbered from 1, the first being its catalog."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(data))
    return data + table + tail


def stream(data: bytes, filters: bytes = b"", entries: bytes = b"") -> bytes:
    return b"<</Length %d%s%s>>stream\n%s\nendstream" % (len(data), filters and b"/Filter" + filters, entries, data)
