"""What every page of a result has, and the reader that follows its references into the content store."""

from collections.abc import Iterable
from typing import Any, Protocol

from rich.console import RenderableType
from temporalio.exceptions import ApplicationError

from outlast.cli.leaving import UNSERVED, WRONG, LeavingError
from outlast.client import Settings
from outlast.command_line import command
from outlast.contracts import (
    CUT_NOTE,
    Content,
    RunResult,
    RunState,
)
from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore

LONGEST = 12_000
"""Characters of one text that a report shows; the command `result` shows all of it."""

SHOWN = 5
"""How many missing tools a complaint names; the page shows all."""


def without_tools(result: object) -> str:
    """Return a warning that agents lacked tools that their files name; "" where none did."""
    missing = result.tools_missing if isinstance(result, RunResult) else ()
    if not missing:
        return ""
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return f"the run is {RunState.PARTIAL}, because tools were missing: {'; '.join(missing[:SHOWN])}{more}"


class Page(Protocol):
    """A result with its texts: for people as lines, for programs as data."""

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed, or ""."""
        ...

    @property
    def headline(self) -> str:
        """What came out, in a line or two."""
        ...

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        ...

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        ...

    def lines(self) -> list[RenderableType]:
        """Show it."""
        ...


def texts_of(page: Page) -> tuple[tuple[str, str], ...]:
    """Return what a run came to by title, as the report begins with it: without empty texts, and bounded."""
    return tuple((title, _bounded(text)) for title, text in page.texts() if text.strip())


def cut(notes: Iterable[str]) -> str:
    """Mark an answer that ends where its token limit was: it is a part of one."""
    return " · cut off at its token limit" if any(CUT_NOTE in note for note in notes) else ""


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … (the rest: {command('result')})"


class Reader:
    """Follows references into the content store of the starter."""

    def __init__(self, store: ContentStore, settings: Settings, workflow_id: str) -> None:
        self._store = store
        self._url = settings.store_url
        self._id = workflow_id

    @property
    def run_id(self) -> str:
        """The run whose result is read."""
        return self._id

    async def text(self, content: Content | None) -> str:
        """Return the text of a content ("" for none); raises LeavingError naming CONTENT_STORE_URL if it is not there."""
        if content is None:
            return ""
        try:
            return await self._store.text(content)
        except ApplicationError as error:
            if error.type == ErrorKind.CONTENT_UNAVAILABLE:
                message = (
                    f"the run has ended, but its texts cannot be read yet: {error.message} "
                    f"Then: {command('result', self._id)}"
                )
                raise LeavingError(UNSERVED, message) from error
            if error.type != ErrorKind.CONTENT_MISSING:
                raise
            message = (
                f"the run has ended, but its texts are not in this starter's content store ({self._url}): the worker "
                f"uses another one. Set CONTENT_STORE_URL to the same URL for both, then: {command('result', self._id)}"
            )
            raise LeavingError(WRONG, message) from error
