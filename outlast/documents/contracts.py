"""Files that people hand in, and the text in them."""

from outlast.contracts import Content, Contract


class DocumentSource(Contract):
    """A file a person handed in: its name and its bytes in the content store (`size` in bytes)."""

    name: str
    ref: str
    size: int
    media_type: str = ""


class ExtractRequest(Contract):
    """A document to turn into text, in parts of at most `part_characters`."""

    document: DocumentSource
    part_characters: int


class ExtractedText(Contract):
    """A document's text, split at paragraph borders where it is longer than one part; `pages` where the format has them."""

    parts: tuple[Content, ...]
    characters: int
    media_type: str
    pages: int | None = None
