"""The text of a file, whatever its format: a pure function of its bytes, so its callers bound what it costs."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio.exceptions import ApplicationError

from outlast.documents.formats.detection import FileFormat, detect
from outlast.documents.formats.text import close_gaps, decode, tidy
from outlast.errors import ErrorKind, non_retryable
from outlast.extras import MissingExtraError, require


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """A document's text, what it was found to be, and its pages where the format has them."""

    text: str
    media_type: str
    pages: int | None = None


def extract(
    data: bytes, name: str, media_type: str = "", on_page: Callable[[int], None] = lambda _: None
) -> ExtractedDocument:
    """Read a file's text; `on_page` is called at each PDF page, and ends the reading with a CancelledError.

    Raises Document{Encrypted,Scanned,Empty,TooLarge,Unsupported,Unreadable}, each naming the file and the fix.
    """
    found = detect(data, name, media_type)
    try:
        text, pages = _read(found, data, name, on_page)
    except (ApplicationError, MemoryError):
        raise
    except RecursionError:
        raise non_retryable(
            ErrorKind.DOCUMENT_UNREADABLE,
            f"{name} is nested too deeply to be read as {found.name}; open it in its own program and save it again.",
        ) from None
    except Exception as error:  # What a damaged file makes a parser raise has no common class.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if "emory allocation" in reason:  # lxml's words for it
            raise MemoryError from error
        raise non_retryable(
            ErrorKind.DOCUMENT_UNREADABLE,
            f"{name} is damaged, it cannot be read as {found.name} ({reason}); get a fresh copy, or "
            f"open it in its own program and save it again.",
        ) from error
    text = tidy(text)
    if not text:
        raise non_retryable(ErrorKind.DOCUMENT_EMPTY, f"{name} holds no text; hand in a file that does.")
    return ExtractedDocument(text, found.value, pages)


def _read(found: FileFormat, data: bytes, name: str, on_page: Callable[[int], None]) -> tuple[str, int | None]:
    if found in (FileFormat.PDF, FileFormat.DOCX, FileFormat.HTML):
        try:
            require("documents", f"reading {name} as {found.name}")
        except MissingExtraError as error:
            raise non_retryable(ErrorKind.DOCUMENT_UNSUPPORTED, str(error)) from error
    # A process that reads one format needs the libraries of no other.
    match found:
        case FileFormat.PDF:
            from outlast.documents.formats.pdf import read_pdf

            text, pages = read_pdf(data, name, on_page)
            return close_gaps(text), pages
        case FileFormat.DOCX:
            from outlast.documents.formats.html import read_html
            from outlast.documents.formats.word import read_docx

            return close_gaps(read_docx(data, read_html)), None
        case FileFormat.HTML:
            from outlast.documents.formats.html import read_html

            return close_gaps(read_html(data, name)), None
        case _:
            return decode(data, name), None
