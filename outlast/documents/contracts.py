"""Files that people hand in, and the text in them."""

from outlast.contracts import Content, Contract


class DocumentSource(Contract):
    """A file that a person handed in."""

    name: str
    """File name, by which results refer to it."""
    ref: str
    """Key of its bytes in the content store (sha-256, hex)."""
    size: int
    """Size in bytes."""
    media_type: str = ""
    """Media type where it is known; empty: it is told from the name and the content."""


class ExtractRequest(Contract):
    """A document to turn into text."""

    document: DocumentSource
    """The file to read."""
    part_characters: int
    """Most characters of one part of the text."""


class ExtractedText(Contract):
    """A document's text, split at paragraph borders where it is longer than one part."""

    parts: tuple[Content, ...]
    """The text, in order."""
    characters: int
    """Characters of the whole text."""
    media_type: str
    """Media type by which the file was read."""
    pages: int | None = None
    """Count of pages; None where the format has none."""
