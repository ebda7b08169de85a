"""A real PostgreSQL server of a test's own: in a folder of its own, on a socket of its own, ended with its block."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.parts import POSTGRESQL, needed
from tests.real_process import RealProcess, clean_environment, free_port

OTHER_USERS = ("postgres", "nobody")
"""Who may run the server where the tests run as root, which PostgreSQL refuses: the first that there is."""


@dataclass
class PostgreSql(RealProcess):
    """A running server; `kill()` then `start()` brings it back with everything that was committed."""

    socket: Path = Path()
    port: int = 0
    user: str = ""

    @property
    def url(self) -> str:
        """The address for SQLAlchemy."""
        return f"postgresql+psycopg://{self.user}@/postgres?host={self.socket}&port={self.port}"

    def connect(self) -> "psycopg.Connection[Any]":
        """Connect, each statement a transaction of its own."""
        return psycopg.connect(
            host=str(self.socket), port=self.port, user=self.user, dbname="postgres", autocommit=True
        )

    def start(self) -> None:
        super().start()
        self.wait_until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """Run a server with a database of its own; without PostgreSQL the test is skipped, and the end of the run says so."""
    initdb = Path(needed(POSTGRESQL))
    root = os.geteuid() == 0
    user = _other_user() if root else pwd.getpwuid(os.geteuid()).pw_name
    # Not below pytest's folder: that is closed to the other user.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        if root:
            shutil.chown(directory, user)
        as_user = ["runuser", "-u", user, "--"] if root else []
        data = directory / "data"
        made = subprocess.run(
            [*as_user, str(initdb), "-D", str(data), "-A", "trust", "-U", user, "-E", "UTF8", "--no-sync"],
            cwd=directory, env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        port = free_port()
        # Durable as in earnest: a test that kills the server wants to find everything again.
        options = ["-k", str(directory), "-p", str(port), "-c", "listen_addresses="]
        server = PostgreSql(
            command=[*as_user, str(initdb.with_name("postgres")), "-D", str(data), *options],
            log=directory / "postgresql.log",
            env=clean_environment(),
            cwd=directory,
            socket=directory,
            port=port,
            user=user,
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _other_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in OTHER_USERS if name in known)
