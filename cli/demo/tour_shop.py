"""The shop that the tour refunds from: a database and a mail folder to throw away, and a ledger that is broken.

What a person has configured (a database, a mail server, channels, approvers) must not be touched by a tour. So the tour has
workers of its own, whose settings win over theirs.
"""

import asyncio
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from cli import PROJECT
from outlast.client import Settings
from outlast.devstack.ports import HOST

SCHEMA = PROJECT / "samples" / "refund" / "shop.sql"


@dataclass(frozen=True)
class Shop:
    """An open shop; `secret` is what its approvers' tokens are made with, `ledger` the address that bookings fail at."""

    database: Path
    mails: Path
    ledger: str
    secret: str

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of a worker that refunds from this shop."""
        return {
            "DATABASE_URL": f"sqlite:///{self.database}",
            "DATABASE_WRITE_TABLES": "refunds",
            "SMTP_URL": self.mails.as_uri().replace("file:", "maildir:", 1),
            "MAIL_FROM": "shop@example.org",
            "HTTP_CALL_ALLOW": HOST,
            "HTTP_CALL_PRIVATE": "true",
            "TOOL_WAIT": "2",  # the ledger is broken on purpose
            "HTTP_CALL_UNDO": f"PUT {self.ledger}/{{order}} => DELETE {self.ledger}/{{order}}",
            "APPROVER_SECRET": self.secret,
            "NOTIFY_URLS": ",",  # nobody is notified of a tour; empty would fall back to .env
        }

    def refunds(self) -> list[str]:
        """Return the orders that are refunded, as the database has them now."""
        with closing(sqlite3.connect(self.database)) as connection:
            return [order for (order,) in connection.execute("SELECT order_id FROM refunds")]

    def sent(self) -> int:
        """Count the mails that went out."""
        return len(list((self.mails / "new").glob("*")))


@asynccontextmanager
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """Open a new shop in the state folder, and close its ledger afterwards."""
    folder = settings.state_dir.resolve() / "tour"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ledger = await asyncio.start_server(_broken, HOST, 0)
    opened = Shop(
        database=folder / "shop.db",
        mails=folder / "mails",
        ledger=f"http://{HOST}:{ledger.sockets[0].getsockname()[1]}/bookings",
        secret=secrets.token_hex(32),
    )
    with closing(sqlite3.connect(opened.database)) as connection:
        connection.executescript(SCHEMA.read_text())
    try:
        yield opened
    finally:
        ledger.close()


async def _broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a ledger that is broken: 503 to a booking, 404 to a request to delete one."""
    request = await reader.readline()
    while (await reader.readline()).strip():
        pass
    status = "404 Not Found" if request.startswith(b"DELETE") else "503 Service Unavailable"
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    writer.close()
