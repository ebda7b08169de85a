"""Sends a mail, which cannot be undone.

A worker that dies after the mail went out sends it again. That cannot be ruled out, so delivery is at least once, and the
`Message-ID` is made of the call's key: a mail program sees that two of them are the same.
"""

import hashlib
import mailbox
import smtplib
import unicodedata
from collections.abc import Sequence
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, Field

from outlast.contracts import Effect
from outlast.tools.tool import Tool, ToolError, tool

MAIL_SECONDS = 30.0
MOST_RECIPIENTS = 20
PORTS = {"smtp": 25, "smtps": 465}
FOLDER = "maildir"
"""The scheme of a folder that keeps mails instead of sending them, for trying things out."""


class SendMail(BaseModel):
    """Arguments of send_mail."""

    to: list[str] = Field(min_length=1, max_length=MOST_RECIPIENTS, description="addresses of those who get it")
    bcc: list[str] = Field(
        default=[], max_length=MOST_RECIPIENTS, description="addresses of those who get it without the others seeing"
    )
    subject: str = Field(max_length=500, description="one line")
    text: str = Field(max_length=200_000, description="the mail itself, as plain text")


def mail_tools(url: str, sender: str) -> list[Tool]:
    """Make the tool that sends mail through `smtp://user:password@host:port` (`smtps://` for TLS from the first byte).

    `maildir:///folder` sends nothing, and keeps each mail in that folder.

    Raises ValueError that names SMTP_URL or MAIL_FROM, without the password.
    """
    server = _server(url)
    domain = _address(sender, "MAIL_FROM").domain

    @tool(effect=Effect.IRREVERSIBLE, timeout=2 * MAIL_SECONDS)
    def send_mail(arguments: SendMail, key: str) -> str:
        """Send a mail. It cannot be taken back."""
        mail = EmailMessage()
        try:
            mail["From"] = sender
            mail["To"] = [_address(each, "to") for each in arguments.to]
            hidden = [_address(each, "bcc").addr_spec for each in arguments.bcc]  # in the envelope, never in a header
            mail["Subject"] = _subject(arguments.subject)
            mail["Message-ID"] = message_id(key, domain)
            mail.set_content(arguments.text)
        except ValueError as error:
            raise ToolError(str(error)) from None
        visible = [_address(each, "to").addr_spec for each in arguments.to]
        refused = _send(server, mail, [*visible, *hidden])
        taken = [each for each in (*visible, *hidden) if each not in refused]
        return f"sent to {', '.join(taken)}" + (f"; the server refused {', '.join(refused)}" if refused else "")

    return [send_mail]


def message_id(key: str, domain: str) -> str:
    """Name a mail after the call that sends it, the same in every attempt."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def _subject(text: str) -> str:
    """Return a subject; raises ValueError where it, or what a mail program reads out of it, is more than one line of text."""
    read = str(make_header(decode_header(text))) if "=?" in text else text
    again = str(make_header(decode_header(read))) if "=?" in read else read
    if any(unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cs") for each in text + read + again):
        raise ValueError("subject: has a line break or another control character; write one line of plain text")
    return text


def _send(server: SplitResult, mail: EmailMessage, recipients: Sequence[str]) -> list[str]:
    """Hand a mail over to all recipients; returns the addresses that the server refused.

    Raises ToolError for what cannot be sent, ConnectionError where waiting may help.
    """
    if server.scheme == FOLDER:
        return _keep(Path(unquote(server.path)), mail)
    kind: Any = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
    try:
        with kind(server.hostname, server.port or PORTS[server.scheme], timeout=MAIL_SECONDS) as session:
            session.ehlo()
            if server.scheme == "smtp" and session.has_extn("starttls"):
                session.starttls()
                session.ehlo()
            if server.username:
                session.login(unquote(server.username), unquote(server.password or ""))
            return list(session.send_message(mail, to_addrs=list(recipients)))
    except smtplib.SMTPRecipientsRefused as error:
        raise ToolError(f"the mail server takes none of the addresses: {', '.join(error.recipients)}") from None
    except smtplib.SMTPResponseException as error:
        text = f"the mail server says {error.smtp_code}: {_words(error.smtp_error)}"
        raise (ToolError(text) if error.smtp_code >= 500 else ConnectionError(text)) from None
    except (smtplib.SMTPException, OSError) as error:
        raise ConnectionError(f"the mail server does not answer: {error}") from None


def _keep(folder: Path, mail: EmailMessage) -> list[str]:
    try:
        mailbox.Maildir(folder).add(mail)
    except OSError as error:
        raise ConnectionError(f"the mail folder cannot be written: {error}") from None
    return []


def _server(url: str) -> SplitResult:
    try:
        server = urlsplit(url)
        known = server.scheme in PORTS and server.hostname and (server.port or True)
        known = known or (server.scheme == FOLDER and not server.netloc and server.path[:1] == "/" != server.path)
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            "SMTP_URL is not a mail server; write smtp://user:password@host:port, smtps://…, or maildir:///folder"
        )
    return server


def _address(text: str, name: str) -> Address:
    try:
        address = Address(addr_spec=text.strip())
    except (ValueError, IndexError):
        address = Address()
    if not address.username or not address.domain:
        raise ValueError(f"{name}: {text[:100]!r} is not a mail address; write name@example.org")
    return address


def _words(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
