"""What a source of findings is, and what it gives."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found: where it is, when it was published (ISO date or ""), and what it says, as plain text.

    `page` holds passages of the page itself, where it was read.
    """

    title: str
    url: str = ""
    published: str = ""
    text: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a source gave, best first; `notes` tell people what was not as it should be.

    `whole` is False where a part of the source did not answer, so that a later search may find more.
    """

    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()
    whole: bool = True


class Source(Protocol):
    """A place to look things up."""

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one configuration of this source from another; None says that answers are not worth remembering."""
        ...

    async def search(self, query: str, limit: int) -> Answered:
        """Look up a question in plain words; raises SourceUnavailable or SourceNotConfigured."""
        ...
