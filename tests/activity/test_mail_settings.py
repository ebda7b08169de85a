"""Where mail goes: settings that are wrong, and a folder that keeps it instead, on the real file system."""

import mailbox
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.content import ContentStore
from activities.toolbox.mail import mail_tools, message_id
from tests.activity.calling_tools import Calls

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
        ("mail.example.org", "a@b.c", "SMTP_URL is no mail server"),
        ("smtp://u:secret@h:port", "a@b.c", "SMTP_URL is no mail server"),
        ("maildir:relative/folder", "a@b.c", "SMTP_URL is no mail server"),
        ("maildir://host/folder", "a@b.c", "SMTP_URL is no mail server"),
        ("smtp://h", "agent", "MAIL_FROM: 'agent' is no mail address"),
        ("smtp://h", "", "MAIL_FROM: '' is no mail address"),
    ],
)
def test_a_wrong_mail_setting_is_named(url: str, sender: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        mail_tools(url, sender)
    assert "secret" not in str(caught.value)
