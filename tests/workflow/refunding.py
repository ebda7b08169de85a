"""A shop to refund from: a real SQLite database, mail server and ledger, and what people and the agent say."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from activities.contracts import Part
from activities.llm.base import ModelCall
from activities.llm.scripted import Script
from bootstrap import PROJECT
from tests.real_process import free_port
from tests.workflow.conftest import Runner
from tests.workflow.routing import is_classifier
from workflows.contracts import RefundRequest
from workflows.refund import RefundWorkflow

REFUND = RefundWorkflow.run
SHOP = PROJECT / "samples" / "refunds" / "shop.sql"
TEXT = "The lamp arrived broken; please refund 180.00."
EDIT: dict[str, Any] = {
    "table": "refunds",
    "values": {"order_id": "ORD-1001", "amount_cents": 15_000, "reason": "the shade"},
}
NOWHERE = "http://127.0.0.1:9/bookings"
"""A ledger that is not there: nothing listens on the discard port."""


class Sink:
    """A mail server that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 kept"


class Shop:
    """A runner whose worker may refund, and what is there afterwards."""

    def __init__(self, runner: Runner, sink: Sink, smtp_url: str, database: Path) -> None:
        self.sink = sink
        self.database = database
        equipment = {
            "database_url": f"sqlite:///{database}",
            "database_write_tables": ("refunds",),
            "smtp_url": smtp_url,
            "mail_from": "shop@example.org",
            "http_call_allow": ("127.0.0.1", "localhost"),
            "http_call_private": True,
        }
        known = runner.settings.model_dump(exclude_unset=True)
        settings = type(runner.settings)(**(known | equipment), _env_file=None)
        self.runner = Runner(runner.env, settings, runner.store)

    @property
    def refunds(self) -> list[tuple[str, int, str]]:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute("SELECT order_id, amount_cents, reason FROM refunds").fetchall()


@contextmanager
def shop_of(runner: Runner) -> Iterator[Shop]:
    """Open the sample shop in the runner's own folder, with a mail server."""
    database = runner.settings.state_dir / "shop.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SHOP.read_text())
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield Shop(runner, sink, f"smtp://127.0.0.1:{controller.port}", database)
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
