"""A shop to refund from: a real SQLite database, mail server and ledger, and what people and the agent say."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from outlast.client import Settings
from outlast.contracts import Part
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from samples.refund.contracts import RefundRequest
from samples.refund.workflow import RefundWorkflow
from tests.real_process import PROJECT, free_port
from tests.workflow.choosing.routing import is_classifier
from tests.workflow.conftest import Runner

REFUND = RefundWorkflow.run
SHOP = PROJECT / "samples" / "refund" / "shop.sql"
TEXT = "The lamp arrived broken; please refund 180.00."
EDIT: dict[str, Any] = {
    "table": "refunds",
    "values": {"order_id": "ORD-1001", "amount_cents": 15_000, "reason": "the shade"},
}


class Sink:
    """A mail server that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 kept"


@dataclass(frozen=True)
class Shop:
    """The sample shop's database and a mail server; `settings` make a worker able to refund."""

    sink: Sink
    database: Path
    settings: Mapping[str, str]

    @property
    def refunds(self) -> list[tuple[str, int, str]]:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute("SELECT order_id, amount_cents, reason FROM refunds").fetchall()

    def equipped(self, runner: Runner) -> Runner:
        """Give a runner's worker the tools of a refund."""
        known = runner.settings.model_dump(exclude_unset=True)
        given = {name.lower(): value for name, value in self.settings.items()}
        return Runner(runner.env, Settings(**(known | given), _env_file=None), runner.store)


@contextmanager
def shop_in(directory: Path, ledger: str = "") -> Iterator[Shop]:
    """Open the sample shop in a folder, with a mail server; bookings at `ledger` can be taken back."""
    database = directory / "shop.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SHOP.read_text())
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings = {
        "DATABASE_URL": f"sqlite:///{database}",
        "DATABASE_WRITE_TABLES": "refunds",
        "SMTP_URL": f"smtp://127.0.0.1:{controller.port}",
        "MAIL_FROM": "shop@example.org",
        "HTTP_CALL_ALLOW": "127.0.0.1,localhost",
        "HTTP_CALL_PRIVATE": "true",
        "HTTP_CALL_UNDO": f"PUT {ledger}/{{order}} => DELETE {ledger}/{{order}}" if ledger else "",
    }
    try:
        yield Shop(sink, database, settings)
    finally:
        controller.stop()


def wanted(order: str = "ORD-1001", **fields: Any) -> RefundRequest:
    return RefundRequest(order=order, text=Part(text=TEXT), **fields)


def clerk(amount: Any = 180, category: str = "billing") -> Script:
    """Route to a category, and propose an amount."""

    def script(call: ModelCall) -> str:
        said = (
            {"category": category, "confidence": 0.9} if is_classifier(call) else {"amount": amount, "reason": "broken"}
        )
        return json.dumps(said)

    return script
