"""The folder that agents work in: no path and no link leads out of it.

A path that was checked can become a link before it is opened. So files are opened without following links, step by
step from the folder down, and what was opened is what was checked.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from outlast.file_names import original, readable
from outlast.tools.tool import ToolError

READ_LIMIT = 1_000_000
"""Largest file that is read or written, in bytes."""


_ABSENT = (errno.ENOENT, errno.ELOOP)
UNDO_LIMIT = 50_000_000
"""Largest file that may be replaced, in bytes: its former bytes are kept for the undo."""


def check_apart(root: Path, protected: Mapping[str, Path], example: Path) -> None:
    """Refuse a workspace that is, holds or lies within something that agents must not change; links are resolved.

    `protected` are those places by what they are, there or not: an agent could make a file that is read at the next start. Raises
    ValueError that names WORKSPACE_DIR; `example` is a folder that would do.
    """
    folder = root.resolve()
    for what, place in protected.items():
        other = place.resolve()
        where = "is" if folder == other else "holds" if folder in other.parents else "lies within"
        if folder == other or folder in other.parents or other in folder.parents:
            raise ValueError(
                f"WORKSPACE_DIR={folder}: it {where} {what} ({other}), which agents must not change; "
                f"name a folder of its own, for instance {example}"
            )


class NoSuchFileError(ToolError):
    """The file is not there, or it is a link."""


class Workspace:
    """Opens files below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, pattern: str) -> list[str]:
        """List the files that match a glob, as paths within the workspace, links left out."""
        if pattern.startswith("/") or ".." in Path(pattern).parts:
            raise ToolError(f"pattern {pattern!r}: stay within the workspace, for instance **/*.md")
        try:
            found = [path for path in self.root.glob(pattern) if path.is_file() and not self._linked(path)]
        except (ValueError, NotImplementedError, IndexError) as error:
            raise ToolError(f"pattern {pattern!r}: {error}; write a glob such as **/*.md") from None
        return sorted(readable(path.relative_to(self.root).as_posix()) for path in found)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """Return a file's bytes; raises ToolError, also for more than `limit` bytes."""
        with self._open(path, os.O_RDONLY) as handle:
            if os.fstat(handle).st_size > limit:
                raise ToolError(f"{path} is larger than {limit} bytes")
            with os.fdopen(os.dup(handle), "rb") as file:
                return file.read()

    def former(self, path: str) -> bytes | None:
        """Return the bytes that a write would replace; None where there is no file (a link is replaced, never followed)."""
        try:
            return self.read(path, UNDO_LIMIT)
        except (NoSuchFileError, FileNotFoundError):
            return None

    def restore(self, path: str, data: bytes | None) -> None:
        """Give a file its former bytes; None removes it, and a file that is gone already is no error."""
        if data is not None:
            self._replace(path, data)
            return
        *folders, name = self._parts(path)
        with suppress(NoSuchFileError, FileNotFoundError), self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)

    def write(self, path: str, data: bytes) -> None:
        """Replace a file's bytes at once: a crash leaves the old file or the new one, never half of it."""
        if len(data) > READ_LIMIT:
            raise ToolError(f"{path}: {len(data)} bytes are more than {READ_LIMIT}; write less")
        self._replace(path, data)

    def _replace(self, path: str, data: bytes) -> None:
        *folders, name = self._parts(path)
        self.root.mkdir(parents=True, exist_ok=True)
        with self._folder(folders, make=True) as folder:
            fresh = f".{name}.{os.getpid()}.part"
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644, dir_fd=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            try:
                os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
            except IsADirectoryError:
                os.unlink(fresh, dir_fd=folder)
                raise ToolError(f"{path} is a folder") from None

    @contextmanager
    def _open(self, path: str, flags: int) -> Iterator[int]:
        *folders, name = self._parts(path)
        with self._folder(folders) as folder:
            try:
                handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError as error:
                kind = NoSuchFileError if error.errno in _ABSENT else ToolError
                raise kind(f"{path} cannot be opened: {error.strerror}; list_files shows what is there") from None
            try:
                if not os.path.isfile(f"/dev/fd/{handle}") and os.path.isdir(f"/dev/fd/{handle}"):
                    raise ToolError(f"{path} is a folder; list_files shows what is in it")
                yield handle
            finally:
                os.close(handle)

    @contextmanager
    def _folder(self, folders: list[str], *, make: bool = False) -> Iterator[int]:
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in folders:
                try:
                    if make and not os.path.lexists(f"/dev/fd/{handle}/{name}"):
                        os.mkdir(name, dir_fd=handle)
                    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                except OSError as error:
                    kind = NoSuchFileError if error.errno == errno.ENOENT else ToolError
                    raise kind(f"{name} is not a folder of the workspace ({error.strerror})") from None
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    def _parts(self, path: str) -> list[str]:
        parts = [part for part in Path(original(self.root, path) if "\0" not in path else path).parts if part != "."]
        if not parts or Path(path).is_absolute() or ".." in parts or "\0" in path:
            raise ToolError(f"path {path!r}: name a file within the workspace, for instance notes/today.md")
        return parts

    def _linked(self, path: Path) -> bool:
        inner = path.relative_to(self.root)
        return any((self.root / Path(*inner.parts[: depth + 1])).is_symlink() for depth in range(len(inner.parts)))
