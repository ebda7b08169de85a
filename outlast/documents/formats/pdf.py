"""Text out of PDF files.

`pypdf` returns an empty page rather than an error. A broken stream, a scan and a blank page all come out as
"", and only its log tells them apart; a person who gets a summary of nothing would never know.
"""

import io
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, LimitReachedError

from outlast.documents.formats.pdf_forms import annotations, form_text
from outlast.errors import ErrorKind, non_retryable

FEW_LETTERS = 25
"""A page with a picture and fewer visible characters than this was most likely scanned."""
FEW_LETTERS_ON_AVERAGE = 100
"""A file of such pages, mostly, is a scan if it has fewer visible characters for each page than this."""
MOST_PAGES = 5000
"""Longest file that is read, in pages."""

_complaints: ContextVar[list[str] | None] = ContextVar("_complaints", default=None)


class _Complaints(logging.Handler):
    """Gathers what pypdf would print to stderr, apart for each file that is being read."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line if a PDF is being read in this context."""
        gathered = _complaints.get()
        if gathered is not None:
            gathered.append(record.getMessage())


# Without a handler of its own the library's warnings about crooked files go to the worker's stderr.
logging.getLogger("pypdf").addHandler(_Complaints())
logging.getLogger("pypdf").propagate = False


def read_pdf(data: bytes, name: str, on_page: Callable[[int], None]) -> tuple[str, int]:
    """Return a PDF's text and its number of pages; `on_page` is called with each page's number and may raise to stop.

    Raises Document{Encrypted,Scanned,TooLarge,Unreadable}, and pypdf's own errors for damaged files.
    """
    complaints: list[str] = []
    token = _complaints.set(complaints)
    try:
        reader = _open(data, name)
        _check_length(reader, name)
        read = _read(reader, name, on_page, complaints)
        pages = list(read.texts)
        form = form_text(reader, name, pages)
        if not form:
            _check_scanned(read, name)
    except DependencyError as error:
        raise non_retryable(
            ErrorKind.DOCUMENT_ENCRYPTED,
            f"{name} is encrypted with AES, which this worker cannot undo; install `cryptography` beside the "
            f"worker, or decrypt the file (for example with `qpdf --decrypt in.pdf out.pdf`).",
        ) from error
    except LimitReachedError as error:
        raise non_retryable(
            ErrorKind.DOCUMENT_TOO_LARGE,
            f"{name} unpacks to more than is safe to read ({error}); print it to a new PDF, or split it.",
        ) from error
    finally:
        _complaints.reset(token)
    return "\n\n".join(filter(None, [*pages, form])), len(read.texts)


def _open(data: bytes, name: str) -> PdfReader:
    reader = PdfReader(io.BytesIO(data))
    # Many files open for everyone and only restrict printing: their user password is empty.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise non_retryable(
            ErrorKind.DOCUMENT_ENCRYPTED,
            f"{name} is protected with a password; remove it (for example with "
            f"`qpdf --password=… --decrypt in.pdf out.pdf`) and hand in the result.",
        )
    return reader


def _check_length(reader: PdfReader, name: str) -> None:
    """Refuse too many pages, by what the file says before they are gone through, and by what they are."""
    listed = reader.root_object.get("/Pages")
    declared = listed.get_object().get("/Count") if listed is not None else None
    if (isinstance(declared, int) and declared > MOST_PAGES) or len(reader.pages) > MOST_PAGES:
        raise non_retryable(
            ErrorKind.DOCUMENT_TOO_LARGE, f"{name} has more than {MOST_PAGES:,} pages; split it, and hand in the parts."
        )


class _Read(NamedTuple):
    """The texts of the pages, their visible characters, and how many pages look like pictures of pages."""

    texts: list[str]
    letters: int
    pictures: int


def _read(reader: PdfReader, name: str, on_page: Callable[[int], None], complaints: list[str]) -> _Read:
    texts: list[str] = []
    letters = pictures = 0
    for number, page in enumerate(reader.pages, 1):
        on_page(number)
        text = "\n".join(filter(None, (page.extract_text().strip(), *annotations(page))))
        visible = len("".join(text.split()))
        letters += visible
        if visible < FEW_LETTERS and len(page.images):
            pictures += 1
            text = text or f"[Page {number}: no text found, it may be a picture]"
        elif not visible and any("rror" in complaint for complaint in complaints):
            raise non_retryable(
                ErrorKind.DOCUMENT_UNREADABLE,
                f"{name} is damaged: page {number} cannot be read ({complaints[-1][:200]}); get a fresh "
                f"copy, or repair it (for example with `qpdf in.pdf out.pdf`).",
            )
        texts.append(text)
    if not texts:
        raise non_retryable(ErrorKind.DOCUMENT_UNREADABLE, f"{name} is damaged: it has no page; get a fresh copy.")
    return _Read(texts, letters, pictures)


def _check_scanned(read: _Read, name: str) -> None:
    mostly_pictures = read.pictures * 2 > len(read.texts) and read.letters < FEW_LETTERS_ON_AVERAGE * len(read.texts)
    if not read.letters or mostly_pictures:
        raise non_retryable(
            ErrorKind.DOCUMENT_SCANNED,
            f"{name} has {len(read.texts)} page(s) and almost no text, so it looks scanned; run OCR first "
            f"(for example `ocrmypdf in.pdf out.pdf`) and hand in the result.",
        )
