"""Notices about a gate: what the activity that sends them gets.

Agent, tool, target and arguments were written by a model. They are data here and are quoted wherever they are shown.
"""

from datetime import datetime

from pydantic import Field

from outlast.contracts.base import Contract


class Notice(Contract):
    """One piece of news about a gate: `kind` says what happened, `arguments` are JSON, `digest` is hex.

    Where the arguments are not `whole`, they are cut, `size` is that of all of them in bytes, `counts` what is in them, and `ref`
    where they are kept.
    `signed` says that decisions need a token, `to` names who is notified (none: all channels).
    """

    workflow_id: str
    gate: str
    kind: str
    what: str
    deadline: datetime
    digest: str
    risk: str = ""
    tool: str = ""
    target: str = ""
    arguments: str = ""
    requester: str = ""
    pending: bool = True
    signed: bool = False
    to: tuple[str, ...] = ()
    whole: bool = True
    size: int = 0
    counts: tuple[str, ...] = ()
    ref: str | None = None


class NoticeRequest(Contract):
    """Asks to notify people by one channel; `channel` counts from 1, in the order of NOTIFY_URLS."""

    channel: int = Field(ge=1)
    notice: Notice


class NoticeSent(Contract):
    """The channel took the notice; `scheme` says what kind of channel it is (`mailto`, `slack`, `json`, …)."""

    scheme: str
