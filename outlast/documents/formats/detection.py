"""What kind of file it is: decided by its bytes, and by its name only where the bytes leave it open.

Names and media types lie (a `.pdf` that is a login page, a `.doc` that is HTML), and a text that
mentions `%PDF` or `<html>` is still text. So each test below looks at where a mark stands, too.
"""

import io
import re
import zipfile
import zlib
from enum import StrEnum
from pathlib import PurePath
from typing import NoReturn

from outlast.documents.formats.text import bom_encoding
from outlast.errors import ErrorKind, non_retryable


class FileFormat(StrEnum):
    """The formats that can be read, as media types."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"


SUPPORTED = "PDF, DOCX, HTML, Markdown and plain text"
UNPACKED_LIMIT = 256 * 1024 * 1024
"""Most bytes that a DOCX may unpack to."""
UNPACKED_XML_LIMIT = 48 * 1024 * 1024
"""Most bytes of XML in a DOCX: a parsed tree takes many times its source in memory."""

_HEAD = 4096
_OCR = "run OCR first (for example `ocrmypdf --image-dpi 300 scan.png scan.pdf`)"
_SAVE_AS = "open it in its own program and save it as PDF or DOCX"
_UNPACK = "unpack it and hand in the documents one by one"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image", _OCR),
    (b"\xff\xd8\xff", "a JPEG image", _OCR),
    (b"GIF87a", "a GIF image", _OCR),
    (b"GIF89a", "a GIF image", _OCR),
    (b"II*\x00", "a TIFF image", _OCR),
    (b"MM\x00*", "a TIFF image", _OCR),
    (b"{\\rtf", "an RTF document", _SAVE_AS),
    (b"%!PS", "a PostScript file", "convert it to PDF (for example with `ps2pdf`)"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
)
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_CONTROL_BYTES = bytes(set(range(0x20)) - set(b"\t\n\v\f\r\x1b"))
_HTML_DOCUMENT = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
MAIN_PART = re.compile(r"/?word/(document|main)\d*\.xml", re.IGNORECASE)
"""Where a Word file usually has its body; programs other than Word use other names, too, and say so within the file."""
_WORD_TYPE = re.compile(rb"(?:wordprocessingml|ms-word)[\w.]*main\+xml")
_HTML_FRAGMENT = re.compile(r"\s*<(?:div|p|table|h[1-6]|section|article|main|title|meta)\b[^>]*>", re.I)
_ANY_TAG = re.compile(r"<[a-z][^>]*>", re.I)


def detect(data: bytes, name: str, media_type: str = "") -> FileFormat:
    """Detect the format of a file; raises DocumentEmpty, -Encrypted, -Unsupported, -TooLarge or -Unreadable."""
    if not data or data.isspace():
        raise non_retryable(ErrorKind.DOCUMENT_EMPTY, f"{name} is empty; hand in a file that holds text.")
    if _is_pdf(data):
        return FileFormat.PDF
    if data.startswith(_ZIP):
        return _detect_zip(data, name)
    if data.startswith(_COMPOUND_FILE):
        _refuse_compound_file(data, name)
    for magic, what, fix in _MAGIC:
        if data.startswith(magic):
            _refuse(name, what, fix)
    if bom_encoding(data) is None and _is_binary(data[: 16 * _HEAD]):
        _refuse(name, "binary data of an unknown kind", "convert it to one of these")
    return _detect_text(data, name, media_type)


def _is_pdf(data: bytes) -> bool:
    if data.lstrip().startswith(b"%PDF-"):
        return True
    # Mail and scanner software puts lines before the header; readers accept that within the first 1024 bytes.
    return b"%PDF-" in data[:1024] and b"startxref" in data[-2048:]


def _detect_zip(data: bytes, name: str) -> FileFormat:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            declared = _beginning(archive, "mimetype", 64)
            word = _WORD_TYPE.search(_beginning(archive, "[Content_Types].xml", 64 * 1024)) is not None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise non_retryable(
            ErrorKind.DOCUMENT_UNREADABLE,
            f"{name} is damaged: its ZIP container cannot be opened ({error}); get a fresh copy, this "
            f"one may have been cut off.",
        ) from error
    if word or any(MAIN_PART.fullmatch(entry.filename.replace("\\", "/")) for entry in entries):
        _check_unpacked_size(entries, name)
    else:
        _refuse_zip({entry.filename.split("/")[0] for entry in entries}, declared, name)
    return FileFormat.DOCX


def _beginning(archive: zipfile.ZipFile, name: str, length: int) -> bytes:
    """Read no more than the beginning: what it unpacks to is up to the author of the file."""
    if name not in archive.namelist():
        return b""
    with archive.open(name) as file:
        return file.read(length)


def _check_unpacked_size(entries: list[zipfile.ZipInfo], name: str) -> None:
    # zipfile never reads past the size that the directory declares, so declared sizes are a bound.
    unpacked = sum(entry.file_size for entry in entries)
    xml = sum(entry.file_size for entry in entries if entry.filename.lower().endswith((".xml", ".rels")))
    if unpacked > UNPACKED_LIMIT or xml > UNPACKED_XML_LIMIT:
        raise non_retryable(
            ErrorKind.DOCUMENT_TOO_LARGE,
            f"{name} unpacks to {unpacked:,} bytes ({xml:,} of them XML), over the limit of "
            f"{UNPACKED_LIMIT:,} ({UNPACKED_XML_LIMIT:,} XML); split it, or save it as plain text.",
        )


def _refuse_zip(folders: set[str], declared: bytes, name: str) -> NoReturn:
    if "xl" in folders:
        _refuse(name, "an Excel workbook", _SAVE_AS)
    if "ppt" in folders:
        _refuse(name, "a PowerPoint presentation", _SAVE_AS)
    if b"opendocument" in declared:
        _refuse(name, "an OpenDocument file", _SAVE_AS)
    if b"epub" in declared:
        _refuse(name, "an EPUB book", "convert it to PDF or HTML (for example with `pandoc`)")
    _refuse(name, "a ZIP archive", _UNPACK)


def _refuse_compound_file(data: bytes, name: str) -> NoReturn:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise non_retryable(
            ErrorKind.DOCUMENT_ENCRYPTED,
            f"{name} is protected with a password; open it in Word, remove the password and save it again.",
        )
    legacy_word = "WordDocument".encode("utf-16-le") in data
    _refuse(name, "a legacy Word document (.doc)" if legacy_word else "a legacy Office file", _SAVE_AS)


def _refuse(name: str, what: str, fix: str) -> NoReturn:
    raise non_retryable(ErrorKind.DOCUMENT_UNSUPPORTED, f"{name} is {what}; supported are {SUPPORTED}: {fix}.")


def _is_binary(sample: bytes) -> bool:
    controls = len(sample) - len(sample.translate(None, _CONTROL_BYTES))
    return b"\0" in sample or controls > max(8, len(sample) // 50)


def _detect_text(data: bytes, name: str, media_type: str) -> FileFormat:
    head = data[:_HEAD].decode(bom_encoding(data) or "latin-1", errors="ignore")
    suffix, hint = PurePath(name).suffix.lower(), media_type.split(";")[0].strip().lower()
    if _HTML_DOCUMENT.match(head):
        return FileFormat.HTML
    if suffix in {".md", ".markdown", ".mdown", ".mkd"} or hint in {"text/markdown", "text/x-markdown"}:
        # READMEs like to begin with a tag or two.
        return FileFormat.MARKDOWN
    named_html = suffix in {".html", ".htm", ".xhtml"} or hint in {"text/html", "application/xhtml+xml"}
    if _HTML_FRAGMENT.match(head) or (named_html and _ANY_TAG.search(head)):
        return FileFormat.HTML
    return FileFormat.TEXT
