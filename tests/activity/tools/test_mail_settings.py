"""Where mail goes: settings that are wrong, and a folder that keeps it instead, on the real file system."""

import asyncio
import mailbox
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from outlast.storage.activities import ContentStore
from outlast.tools.standard.mail import mail_tools, message_id
from tests.activity.tools.calling_tools import Calls

MAIL: dict[str, Any] = {"to": ["ann@example.org"], "subject": "Tide", "text": "Bring boots."}


async def test_a_mail_folder_keeps_what_would_be_sent_and_is_tried_again_where_it_cannot(
    store: ContentStore, tmp_path: Path
) -> None:
    mail = Calls(store, mail_tools(f"maildir://{tmp_path}/a%20box", "agent@example.org"))
    await mail.done("send_mail", "run/s/1", **MAIL)
    (kept,) = mailbox.Maildir(tmp_path / "a box", create=False)
    assert (kept["To"], kept["Message-ID"]) == ("ann@example.org", message_id("run/s/1", "example.org"))
    (tmp_path / "file").touch()
    blocked = Calls(store, mail_tools(f"maildir://{tmp_path}/file/box", "agent@example.org"))
    with pytest.raises(ApplicationError, match="mail folder cannot be written") as caught:
        await blocked.call("send_mail", "run/s/2", **MAIL)
    assert not caught.value.non_retryable


@pytest.mark.parametrize(
    ("url", "sender", "said"),
    [
        ("mail.example.org", "a@b.c", "SMTP_URL is not a mail server"),
        ("smtp://u:secret@h:port", "a@b.c", "SMTP_URL is not a mail server"),
        ("maildir:relative/folder", "a@b.c", "SMTP_URL is not a mail server"),
        ("maildir://host/folder", "a@b.c", "SMTP_URL is not a mail server"),
        ("smtp://h", "agent", "MAIL_FROM: 'agent' is not a mail address"),
        ("smtp://h", "", "MAIL_FROM: '' is not a mail address"),
    ],
)
def test_a_wrong_mail_setting_is_named(url: str, sender: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        mail_tools(url, sender)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "subject",
    [
        "Tide\nBcc: evil@example.org",
        "=?utf-8?q?Tide=0d=0aBcc:_evil@example.org?=",
        "=?utf-8?b?VGlkZQ0KQmNjOiBldmls?=",
        "=?utf-8?q?Tide=1b[2J?=",
        "=?utf-8?q?=3d=3futf-8=3fq=3fa=3d0ab=3f=3d?=",
        "Tide\x85",
    ],
)
async def test_a_subject_that_hides_a_line_is_refused(store: ContentStore, tmp_path: Path, subject: str) -> None:
    mail = Calls(store, mail_tools(f"maildir://{tmp_path}/box", "agent@example.org"))
    result = await mail.call("send_mail", "run/s/1", **{**MAIL, "subject": subject})
    assert result.failed
    assert "line break or another control character" in (result.content.text or "").replace("subject: has a ", "")
    assert not (tmp_path / "box").exists()


def test_hidden_recipients_are_in_the_envelope_and_in_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[list[str], str]] = []

    class Server:
        def __init__(self, *_: Any, **__: Any) -> None: ...
        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None: ...
        def ehlo(self) -> None: ...
        def has_extn(self, _: str) -> bool:
            return False

        def send_message(self, mail: Any, to_addrs: list[str]) -> dict[str, Any]:
            sent.append((to_addrs, mail.as_string()))
            return {}

    monkeypatch.setattr("smtplib.SMTP", Server)
    (tool,) = mail_tools("smtp://127.0.0.1", "agent@example.org")
    said = asyncio.run(tool.run(tool.arguments.model_validate(MAIL | {"bcc": ["eve@example.org"]}), "key"))
    ((envelope, written),) = sent
    assert (envelope, said) == (["ann@example.org", "eve@example.org"], "sent to ann@example.org, eve@example.org")
    assert "eve@" not in written
    assert "Bcc" not in written
