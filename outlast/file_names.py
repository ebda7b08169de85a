"""Where files of a project are looked for, and file names as text.

Bytes that are no UTF-8 are written as `\\xNN`, because JSON, histories and terminals take text alone.
"""

import re
import sys
from pathlib import Path

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
"""A byte that ASCII does not have: so no `/` or `.` can come out of one."""


def readable(text: str) -> str:
    """Return a name, or a text with names in it, that can be encoded: `b\\udcfcro` becomes `b\\xfcro`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if not text.isascii() else text


def original(folder: Path, name: str) -> str:
    """Return the name of a file in a folder that `readable` has made that of; any other name stays as it is."""
    if "\\x" not in name or (folder / name).exists():
        return name
    meant = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode("utf-8", "surrogateescape"))
    there = meant.decode("utf-8", "surrogateescape")
    return there if (folder / there).exists() else name


def program_folder() -> Path | None:
    """Return the folder of the program that was started, such as `worker.py`; None for a module or an installed command."""
    main = sys.modules.get("__main__")
    if main is None or getattr(main, "__spec__", None) is not None or not getattr(main, "__file__", None):
        return None
    folder = Path(str(main.__file__)).resolve().parent
    return None if folder == Path(sys.executable).parent.resolve() else folder


def own_file(name: str) -> Path:
    """Return a file or folder of the project: that of the working folder, else the one beside the program that was started.

    Where neither has it, the one of the working folder, which does not exist.
    """
    here = Path.cwd() / name
    beside = program_folder()
    return beside / name if beside and not here.exists() and (beside / name).exists() else here
