"""Files of this product that are for its user alone: the state directory with its database, logs and texts."""

import os
import stat
from pathlib import Path

PRIVATE = 0o077
"""The umask of our processes: what they write is for their user alone."""


def private_folder(folder: Path) -> Path:
    """Make the state directory, for its user alone; one that others could read so far is closed, with the files in it.

    Left as it is: a directory of somebody else, and one that serves other ends too (the current one, a home, one with a sticky
    bit such as /tmp).
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    shared = folder.resolve() in (Path.cwd(), Path.home(), Path("/")) or about.st_mode & stat.S_ISVTX
    if shared or about.st_uid != os.geteuid():
        return folder
    if about.st_mode & PRIVATE:
        folder.chmod(0o700)
    for file in (*folder.iterdir(), *(folder / "logs").glob("*")):
        if file.is_file() and not file.is_symlink() and file.stat().st_mode & PRIVATE:
            file.chmod(0o600)
    return folder
