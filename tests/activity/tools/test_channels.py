"""Channels, against a real SMTP server and real web servers."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from temporalio.exceptions import ApplicationError

from outlast.contracts import Notice
from outlast.notices.channels import channels, send
from outlast.notices.teams import TeamsChannel
from tests.workflow.telling.telling import hooks

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


async def test_teams_takes_a_card_or_says_why_not() -> None:
    with hooks({"/busy": 1}) as (web, hook):
        url = hook.replace("json://", "http://")
        assert await send(TeamsChannel(f"{url}/taken", "https://inbox.example"), NOTICE)
        busy = TeamsChannel(f"{url}/busy")
        with pytest.raises(ApplicationError, match="TEAMS_WEBHOOK_URL answered 500") as told:
            await send(busy, NOTICE)
        assert (told.value.type, told.value.non_retryable) == ("ChannelUnavailable", False)
        assert await send(busy, NOTICE)
        (body,) = web.took["/taken"]
        assert body["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert not await send(busy, NOTICE), "nobody answers there"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gone = asyncio.create_task(asyncio.to_thread(_answer_gone, listening))
        with pytest.raises(ApplicationError, match="410: is its flow still there") as told:
            await send(TeamsChannel(f"http://127.0.0.1:{listening.getsockname()[1]}/"), NOTICE)
        assert (told.value.type, told.value.non_retryable) == ("ChannelUnknown", True)
        await gone


def _answer_gone(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_a_lone_comma_is_no_channel() -> None:
    assert channels(",") == channels("") == ()


def test_a_wrong_url_is_named_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"NOTIFY_URLS: URL 2 \(nope\)") as told:
        channels("json://127.0.0.1, nope://me:secret@host")
    assert "secret" not in str(told.value)
    with pytest.raises(ValueError, match=r"URL 2 \(carrier-pigeon\)"):
        channels("json://127.0.0.1, carrier-pigeon://home")
