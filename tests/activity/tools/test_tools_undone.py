"""Tools that change files, services and mailboxes: done, done again after a crash, undone, and what nothing takes back."""

import asyncio
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from temporalio.exceptions import ApplicationError

from outlast.contracts import Effect
from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore
from outlast.tools.standard.files import file_tools
from outlast.tools.standard.mail import mail_tools, message_id
from outlast.tools.standard.restoring import restoring_tools
from outlast.tools.standard.workspace import Workspace
from tests.activity.tools.calling_tools import Calls
from tests.real_process import free_port


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.md").write_text("one two")
    return folder


@pytest.fixture
def files(root: Path, store: ContentStore) -> Calls:
    workspace = Workspace(root)
    return Calls(store, [*file_tools(workspace), *restoring_tools(workspace, store)])


FILE_CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("write_file", {"path": "a.md", "content": "three"}),
    ("write_file", {"path": "new/b.md", "content": "four"}),
    ("edit_file", {"path": "a.md", "old": "two", "new": "2"}),
]


def content(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.rglob("*.md")}


@pytest.mark.parametrize(("tool", "arguments"), FILE_CHANGES)
async def test_a_file_changed_by_a_worker_that_died_is_changed_once_and_undone_once(
    files: Calls, root: Path, monkeypatch: pytest.MonkeyPatch, tool: str, arguments: dict[str, Any]
) -> None:
    before = content(root)
    await files.crash_before_report(monkeypatch, tool, "run/s/1", **arguments)
    changed = content(root)
    assert changed != before
    assert await files.done(tool, "run/s/1", attempt=2, **arguments)
    assert content(root) == changed
    assert (await files.undo(tool, "run/s/1")).happened
    assert content(root) == before
    assert (await files.undo(tool, "run/s/1", attempt=2)).happened
    assert content(root) == before


async def test_a_file_that_was_never_changed_is_left_alone_and_stays_so(files: Calls, root: Path) -> None:
    assert not (await files.undo("write_file", "run/s/1")).happened
    assert "rolled back" in await files.refused("write_file", "run/s/1", path="a.md", content="late")
    assert content(root) == {"a.md": "one two"}


async def test_a_file_that_somebody_else_changed_since_is_left_as_it_stands(files: Calls, root: Path) -> None:
    await files.done("write_file", "run/s/1", path="a.md", content="three")
    (root / "a.md").write_text("by hand")
    error = await files.undo_fails("write_file", "run/s/1")
    assert (error.type, error.non_retryable) == (ErrorKind.UNDO_REFUSED, True)
    assert content(root) == {"a.md": "by hand"}


async def test_an_undo_that_somebody_made_up_is_refused(files: Calls, root: Path, store: ContentStore) -> None:
    """Whoever starts a rollback can write any change: only the record of its call says what is undone, and how."""
    theirs = await store.put(b"planted")
    error = await files.undo_fails("write_file", "run/s/1", path="a.md", ref=theirs)
    assert (error.type, error.non_retryable) == (ErrorKind.UNDO_REFUSED, True)
    await files.done("write_file", "run/s/2", path="b.md", content="three")
    assert (await files.undo("write_file", "run/s/2", path="a.md", ref=theirs)).happened
    assert content(root) == {"a.md": "one two"}


async def test_the_id_of_a_call_cannot_be_used_for_another_change(files: Calls, root: Path) -> None:
    await files.done("write_file", "run/s/1", path="a.md", content="three")
    result = await files.call("write_file", "run/s/1", path="a.md", content="four")
    assert (result.failed, result.undo) == (True, {})
    assert content(root) == {"a.md": "three"}


async def test_an_edit_that_meets_its_own_work_of_a_dead_worker_does_not_fail(
    files: Calls, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look at what stands there, the old text is gone and the model is told that its edit failed."""
    await files.crash_before_report(monkeypatch, "edit_file", "run/s/1", **FILE_CHANGES[2][1])
    assert await files.done("edit_file", "run/s/1", attempt=2, **FILE_CHANGES[2][1]) == "a.md edited"
    assert content(root) == {"a.md": "one 2"}


class Mailbox:
    """A mail server that keeps what it gets, and refuses one address."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.answer = "250 kept"

    async def handle_RCPT(  # noqa: N802 - the sink calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content))
        return self.answer


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"smtp://127.0.0.1:{port}"
    controller.stop()


MAIL: dict[str, Any] = {"to": ["ann@example.org"], "subject": "Grüße", "text": "High tide at noon – bring boots."}


async def test_a_mail_goes_out_at_least_once_and_two_of_them_are_seen_to_be_one(
    store: ContentStore, mailbox: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, url = mailbox
    mail = Calls(store, mail_tools(url, "agent@example.org"))
    assert mail.tools[0].effect is Effect.IRREVERSIBLE
    await mail.crash_before_report(monkeypatch, "send_mail", "run/s/1", **MAIL)
    assert await mail.done("send_mail", "run/s/1", attempt=2, **MAIL) == "sent to ann@example.org"
    assert await mail.done("send_mail", "run/s/1", attempt=3, **MAIL)
    assert [each["Message-ID"] for each in box.mails] == [message_id("run/s/1", "example.org")] * 2
    await mail.done("send_mail", "run/s/2", **MAIL)
    assert box.mails[2]["Message-ID"] != box.mails[0]["Message-ID"]
    assert "boots" in bytes(box.mails[0].get_payload(decode=True)).decode()


async def test_what_a_mail_server_says_reaches_the_model_or_is_tried_again(
    store: ContentStore, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    mail = Calls(store, mail_tools(url, "agent@example.org"))
    assert "takes none" in await mail.refused("send_mail", "k/1/1", **MAIL | {"to": ["nobody@example.org"]})
    both = MAIL | {"to": ["nobody@example.org", "ann@example.org"]}
    assert await mail.done("send_mail", "k/1/2", **both) == (
        "sent to ann@example.org; the server refused nobody@example.org"
    )
    assert "is not a mail address" in await mail.refused("send_mail", "k/1/3", **MAIL | {"to": ["ann"]})
    await mail.refused("send_mail", "k/1/4", **MAIL | {"subject": "a\nBcc: all@example.org"})
    box.answer = "554 too much"
    assert "says 554: too much" in await mail.refused("send_mail", "k/1/5", **MAIL)
    box.answer = "451 later"
    with pytest.raises(ApplicationError, match="451") as caught:
        await mail.call("send_mail", "k/1/6", **MAIL)
    assert not caught.value.non_retryable
    assert len(box.mails) == 1


async def test_a_call_that_changes_something_ends_and_reports_though_it_is_cancelled(
    files: Calls, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled in the middle, it would leave a change that nobody knows of."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    keep = files.store.remember

    async def slowly(name: str, data: bytes, **given: bool) -> None:
        if name.startswith("undo/"):
            begun.set()
            await go_on.wait()
        await keep(name, data, **given)

    monkeypatch.setattr(files.store, "remember", slowly)
    calling = asyncio.create_task(files.call("write_file", "run/s/1", path="a.md", content="three"))
    await begun.wait()
    calling.cancel()
    go_on.set()
    result = await calling
    assert (result.failed, content(root)) == (False, {"a.md": "three"})
