"""The index of a folder of documents: SQLite's full text search over passages, kept in a file and brought up to date by file.

Reading a folder of PDFs takes minutes, more than a search may. Each file is committed on its own, so the next attempt
goes on where this one was stopped, and only files that changed are read again.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.exceptions import ApplicationError

from outlast.documents.activities import read_document_blocking
from outlast.errors import text_of
from outlast.file_names import original, readable
from outlast.storage.activities import reference

SUFFIXES = frozenset({".md", ".markdown", ".txt", ".html", ".htm", ".pdf", ".docx"})
MOST_FILES = 10_000
PASSAGE_CHARACTERS = 1500
BUSY_SECONDS = 20.0
"""How long one worker waits for another that writes to the same index."""
TITLE_WEIGHT = 4.0

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, problem TEXT NOT NULL)",
    """CREATE VIRTUAL TABLE IF NOT EXISTS passages USING fts5(
    title, body, path UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2')""",
)
_SEARCH = """
SELECT path, title, body FROM passages WHERE passages MATCH ?
ORDER BY bm25(passages, ?, 1.0, 0.0), rowid LIMIT ?
"""
_PROBLEMS = "SELECT path, problem FROM files WHERE problem <> '' ORDER BY path"


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; `path` is relative to the folder."""

    path: str
    title: str
    body: str


class LibraryIndex:
    """The index of one folder; all methods block, so they belong into a thread."""

    def __init__(self, folder: Path, directory: Path, max_bytes: int) -> None:
        self._folder = folder
        # A folder at another place is another index, and so is another schema.
        self._file = directory / f"library-1-{reference(str(folder.resolve()).encode())[:16]}.sqlite"
        self._max_bytes = max_bytes

    def refresh(self, stop: threading.Event) -> list[str]:
        """Bring the index up to date; returns what is wrong with which file. Ends between two files once `stop` is set."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._refresh(stop)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            # It can be made anew at any time, so a damaged one is not worth an error.
            self._file.unlink(missing_ok=True)
            return self._refresh(stop)

    def search(self, words: list[str], limit: int) -> list[Passage]:
        """Return passages that hold any of the words, best first."""
        # Each word is quoted, so that nothing in it is an operator of the query language.
        query = " OR ".join('"' + word.replace('"', '""') + '"' for word in words)
        with self._open() as database:
            return [Passage(*row) for row in database.execute(_SEARCH, (query, TITLE_WEIGHT, limit))]

    def _refresh(self, stop: threading.Event) -> list[str]:
        with self._open() as database:
            # An index that is up to date is read, also where nothing can be written: a disk is full at times.
            if (
                len(database.execute("SELECT name FROM sqlite_master WHERE name IN ('files', 'passages')").fetchall())
                < 2
            ):
                with _writing(database):
                    for statement in _SCHEMA:
                        database.execute(statement)
            known = dict(database.execute("SELECT path, stamp FROM files"))
            present = dict(self._files())
            for path in sorted(known.keys() - present.keys()):
                with _writing(database):
                    _forget(database, path)
            for path, stamp in present.items():
                if stop.is_set():
                    break
                if known.get(path) != stamp:
                    self._index(database, path, stamp)
            return [f"{path}: {problem}" for path, problem in database.execute(_PROBLEMS)]

    def _index(self, database: sqlite3.Connection, path: str, stamp: str) -> None:
        title, problem = path, ""
        parts: tuple[str, ...] = ()
        try:
            title, parts = self._read(path)
        except ApplicationError as error:
            problem = text_of(error)[:300]
        except OSError as error:
            problem = f"cannot be opened: {error.strerror}"
        with _writing(database):
            _forget(database, path)
            database.execute("INSERT INTO files VALUES (?, ?, ?)", (path, stamp, problem))
            database.executemany("INSERT INTO passages VALUES (?, ?, ?)", [(title, part, path) for part in parts])

    def _read(self, path: str) -> tuple[str, tuple[str, ...]]:
        file = self._folder / original(self._folder, path)
        size = file.stat().st_size
        if size > self._max_bytes:
            raise OSError(0, f"{size:,} bytes are more than {self._max_bytes:,}")
        parts = read_document_blocking(file.read_bytes(), path, part_characters=PASSAGE_CHARACTERS).texts
        first = parts[0].splitlines()[0].lstrip("# ").strip()
        return first[:150] or path, parts

    def _files(self) -> Iterator[tuple[str, str]]:
        """Yield every readable document below the folder with its stamp; links that lead out of it are left alone."""
        root = self._folder.resolve()
        found = sorted(path for path in self._folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        for path in found[:MOST_FILES]:
            relative = path.relative_to(self._folder)
            hidden = any(part.startswith(".") for part in relative.parts)
            if not hidden and path.is_file() and path.resolve().is_relative_to(root):
                stat = path.stat()
                yield readable(relative.as_posix()), f"{stat.st_mtime_ns}-{stat.st_size}"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)) as database:
            yield database


@contextmanager
def _writing(database: sqlite3.Connection) -> Iterator[None]:
    # At once: a transaction that begins by reading is refused, not kept waiting, where another worker writes first.
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _forget(database: sqlite3.Connection, path: str) -> None:
    database.execute("DELETE FROM passages WHERE path = ?", (path,))
    database.execute("DELETE FROM files WHERE path = ?", (path,))
