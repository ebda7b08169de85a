"""Text out of PDF files.

The trap: pypdf prefers an empty page to an error. A broken stream, a scan and a blank page all come out as
"", and only its log tells them apart; a person who gets a summary of nothing would never know.
"""

import io
import logging
from collections.abc import Callable
from contextvars import ContextVar

from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, LimitReachedError

from activities.errors import ErrorKind, final

FEW_LETTERS = 25
"""A page with a picture and fewer visible characters than this was most likely scanned."""
FEW_LETTERS_ON_AVERAGE = 100
"""A file of such pages, mostly, is a scan if it has fewer visible characters for each page than this."""

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
    """Return a PDF's text and its number of pages; `on_page` hears each page's number and may raise to stop.

    Raises Document{Encrypted,Scanned,TooLarge,Unreadable}, and pypdf's own errors for damaged files.
    """
    complaints: list[str] = []
    token = _complaints.set(complaints)
    try:
        pages = _pages(_open(data, name), name, on_page, complaints)
    except DependencyError as error:
        raise final(
            ErrorKind.DOCUMENT_ENCRYPTED,
            f"{name} is encrypted with AES, which this worker cannot undo; install `cryptography` beside the "
            f"worker, or decrypt the file (for example with `qpdf --decrypt in.pdf out.pdf`).",
        ) from error
    except LimitReachedError as error:
        raise final(
            ErrorKind.DOCUMENT_TOO_LARGE,
            f"{name} unpacks to more than is safe to read ({error}); print it to a new PDF, or split it.",
        ) from error
    finally:
        _complaints.reset(token)
    return "\n\n".join(filter(None, pages)), len(pages)


def _open(data: bytes, name: str) -> PdfReader:
    reader = PdfReader(io.BytesIO(data))
    # Many files open for everyone and only restrict printing: their user password is empty.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise final(
            ErrorKind.DOCUMENT_ENCRYPTED,
            f"{name} is protected with a password; remove it (for example with "
            f"`qpdf --password=… --decrypt in.pdf out.pdf`) and hand in the result.",
        )
    return reader


def _pages(reader: PdfReader, name: str, on_page: Callable[[int], None], complaints: list[str]) -> list[str]:
    texts: list[str] = []
    letters = pictures = 0
    for number, page in enumerate(reader.pages, 1):
        on_page(number)
        text = page.extract_text().strip()
        visible = len("".join(text.split()))
        letters += visible
        if visible < FEW_LETTERS and len(page.images):
            pictures += 1
            text = text or f"[Page {number}: no text found, it may be a picture]"
        elif not visible and any("rror" in complaint for complaint in complaints):
            raise final(
                ErrorKind.DOCUMENT_UNREADABLE,
                f"{name} is damaged: page {number} cannot be read ({complaints[-1][:200]}); get a fresh "
                f"copy, or repair it (for example with `qpdf in.pdf out.pdf`).",
            )
        texts.append(text)
    if not texts:
        raise final(ErrorKind.DOCUMENT_UNREADABLE, f"{name} is damaged: it has no page; get a fresh copy.")
    mostly_pictures = pictures * 2 > len(texts) and letters < FEW_LETTERS_ON_AVERAGE * len(texts)
    if not letters or mostly_pictures:
        raise final(
            ErrorKind.DOCUMENT_SCANNED,
            f"{name} has {len(texts)} page(s) and almost no text, so it looks scanned; run OCR first "
            f"(for example `ocrmypdf in.pdf out.pdf`) and hand in the result.",
        )
    return texts
