"""The shop that the tour refunds from: a database and a mail folder to throw away, a ledger that is broken, and a worker.

The trap: what a person has configured (a database, a mail server, channels, approvers) must not be touched by a showing. So the
shop has a worker of its own, on a task queue of its own, whose settings win over theirs.
"""

import asyncio
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from cli import PROJECT
from outlast.client import Settings
from outlast.devstack.health import answers
from outlast.devstack.parts import worker_part
from outlast.devstack.ports import HOST, choose_ports
from outlast.devstack.process import Process, rotate
from outlast.devstack.state import StackState

SCHEMA = PROJECT / "samples" / "refunds" / "shop.sql"
PORTS = ("worker health", "metrics")
READY_WITHIN = 90.0
"""Seconds that the shop's worker may take to get healthy, beside everything else that runs."""


@dataclass(frozen=True)
class Shop:
    """An open shop; `secret` is what its approvers' tokens are made with, `ledger` the address that bookings fail at."""

    task_queue: str
    database: Path
    mails: Path
    ledger: str
    secret: str

    def refunds(self) -> list[str]:
        """Return the orders that are refunded, as the database has them now."""
        with closing(sqlite3.connect(self.database)) as connection:
            return [order for (order,) in connection.execute("SELECT order_id FROM refunds")]

    def sent(self) -> int:
        """Count the mails that went out."""
        return len(list((self.mails / "new").glob("*")))


class ShopClosedError(Exception):
    """A process of the tour did not start; the message says why."""


@asynccontextmanager
async def shop(settings: Settings, state: StackState, more: Mapping[str, str]) -> AsyncIterator[Shop]:
    """Open a new shop in the state folder, and end its worker and ledger afterwards; `more` is for the worker's environment.

    Raises ShopClosedError.
    """
    folder = settings.state_dir.resolve() / "tour"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ledger = await asyncio.start_server(_broken, HOST, 0)
    opened = Shop(
        task_queue=f"{state.task_queue or settings.task_queue}-tour",
        database=folder / "shop.db",
        mails=folder / "mails",
        ledger=f"http://{HOST}:{ledger.sockets[0].getsockname()[1]}/bookings",
        secret=secrets.token_hex(32),
    )
    with closing(sqlite3.connect(opened.database)) as connection:
        connection.executescript(SCHEMA.read_text())
    worker = _worker(settings, state, opened, more)
    try:
        await healthy(worker)
        yield opened
    finally:
        await worker.end(lambda: False)
        ledger.close()


def _worker(settings: Settings, state: StackState, opened: Shop, more: Mapping[str, str]) -> Process:
    ports = choose_ports(PORTS, {}, {})
    part = worker_part(settings, {**state.ports, **ports})
    part = replace(
        part,
        name="shop",
        command=(*part.command, "--task-queue", opened.task_queue),
        environment={
            **part.environment,
            "DATABASE_URL": f"sqlite:///{opened.database}",
            "DATABASE_WRITE_TABLES": "refunds",
            "SMTP_URL": opened.mails.as_uri().replace("file:", "maildir:", 1),
            "MAIL_FROM": "shop@example.org",
            "HTTP_CALL_ALLOW": HOST,
            "HTTP_CALL_PRIVATE": "true",
            "TOOL_WAIT": "2",  # the ledger is away on purpose
            "HTTP_CALL_UNDO": f"PUT {opened.ledger}/{{order}} => DELETE {opened.ledger}/{{order}}",
            "APPROVER_SECRET": opened.secret,
            "NOTIFY_URLS": ",",  # nobody is told of a showing; empty would fall back to .env
            **more,
        },
        log=part.log.with_name("shop.log"),
    )
    rotate(part.log)
    return Process(part)


async def healthy(worker: Process) -> None:
    """Wait until a process answers its check; raises ShopClosedError with its last words."""
    (check,) = worker.part.checks.values()
    deadline = asyncio.get_running_loop().time() + READY_WITHIN
    while worker.running and asyncio.get_running_loop().time() < deadline:
        if await answers(check):
            return
        await asyncio.sleep(0.2)
    raise ShopClosedError(
        f"{worker.part.name} did not start: {' '.join(worker.last_lines()[-2:])}; log: {worker.part.log}"
    )


async def _broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a ledger that is broken: 503 to a booking, 404 to whoever takes one back."""
    asked = await reader.readline()
    while (await reader.readline()).strip():
        pass
    status = "404 Not Found" if asked.startswith(b"DELETE") else "503 Service Unavailable"
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    writer.close()
