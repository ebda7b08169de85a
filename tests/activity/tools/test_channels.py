"""Channels, against a real SMTP server."""

import socket
from datetime import UTC, datetime

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from outlast.contracts import Notice
from outlast.notices.channels import channels, send

NOTICE = Notice(
    workflow_id="run-1",
    gate="refund",
    kind="opened",
    what="Pay",
    deadline=datetime(2026, 1, 2, tzinfo=UTC),
    digest="abcdef0123456789",
)


class Sink(Message):
    """Keeps the text parts of each mail."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_message(self, message) -> None:  # type: ignore[no-untyped-def]
        self.texts.append("".join(p.get_payload(decode=True).decode() for p in message.walk() if not p.is_multipart()))


async def test_mail_arrives_and_a_dead_server_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (mail,) = channels(f"mailto://127.0.0.1:{port}?from=a@example.org&to=b@example.org")
    assert not await send(mail, NOTICE)
    sink = Sink()
    server = Controller(sink, hostname="127.0.0.1", port=port)
    server.start()
    try:
        assert await send(mail, NOTICE)
    finally:
        server.stop()
    assert len(sink.texts) == 1
    assert "abcdef012345" in sink.texts[0]
    assert "python starter.py approve run-1 refund" in sink.texts[0]


def test_a_lone_comma_is_no_channel() -> None:
    assert channels(",") == channels("") == ()


def test_a_wrong_url_is_named_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"NOTIFY_URLS: URL 2 \(nope\)") as told:
        channels("json://127.0.0.1, nope://me:secret@host")
    assert "secret" not in str(told.value)
    with pytest.raises(ValueError, match=r"URL 2 \(carrier-pigeon\)"):
        channels("json://127.0.0.1, carrier-pigeon://home")
