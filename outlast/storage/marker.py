"""Tells a content store that is away from one that is new or empty: a marker file in its root, and a note that it was made.

A directory that is not mounted looks like an empty store. Whatever is written there is hidden when the mount returns, and
whatever is looked for there seems never to have existed. So a store counts as there only while its marker is.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

MARKER = ".content-store"
MARKER_TEXT = (
    "This file says that the content store is here. Without it nothing is read or written: leave it where it is.\n"
)
NOTES = "stores"


@dataclass
class StoreMarker:
    """The marker of a store in a directory; `note` is where the machine keeps in mind that the store was made once."""

    root: Path
    note: Path | None = None
    used: bool = False

    @classmethod
    def of(cls, root: Path, url: str, state_dir: Path | None) -> "StoreMarker":
        """Find the marker of the store at a URL, and make root and marker where no store was ever made.

        Raises OSError where a new store cannot be made.
        """
        note = None if state_dir is None else state_dir / NOTES / hashlib.sha256(url.encode()).hexdigest()[:16]
        marker = cls(root, note)
        if note is not None and note.exists() and not marker.present:
            marker.used = True  # it was made once, so it is away now
            return marker
        root.mkdir(parents=True, exist_ok=True)
        marker._make()
        return marker

    @cached_property
    def _file(self) -> Path:
        """The marker; every operation of the store looks for it, and to build a path costs more than the look."""
        return self.root / MARKER

    @property
    def present(self) -> bool:
        """Whether the marker is where it belongs."""
        try:
            return self._file.exists()
        except OSError:  # a stale or unreadable mount
            return False

    @property
    def away(self) -> bool:
        """Whether the store was made once, and is not there now."""
        return self.used and not self.present

    def why(self) -> str:
        """Return what is missing, and what to do where the store was given up on purpose."""
        what = "its marker file is missing" if self.root.is_dir() else "the directory is missing"
        return f"{what}: mount or restore it" + (f", or delete {self.note} to begin an empty one" if self.note else "")

    def _make(self) -> None:
        # A store that can only be read is read without a marker.
        with suppress(OSError):
            if not self.present:
                self._file.write_text(MARKER_TEXT)
            self.used = True
            if self.note is not None and not self.note.exists():
                self.note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.note.write_text(f"{self.root}\n")
