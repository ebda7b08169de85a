"""Notices about a gate: what the activity that sends them gets.

Agent, tool, target and arguments were written by a model. They are data here and are quoted wherever they are shown.
"""

from datetime import datetime

from pydantic import Field

from outlast.contracts.base import Contract


class Notice(Contract):
    """One piece of news about a gate."""

    workflow_id: str
    """Workflow id of the run."""
    gate: str
    """Name of the gate."""
    kind: str
    """What happened: `opened`, `reminded`, `escalated`, `approved` …"""
    what: str
    """What shall be done, in words."""
    deadline: datetime
    """When the gate's time ends (UTC)."""
    digest: str
    """Digest of the action: sha-256, hex."""
    risk: str = ""
    """How bad a wrong approval would be: `low`, `medium` or `high`."""
    tool: str = ""
    """Name of the tool to call."""
    target: str = ""
    """What the action changes: an account, a path, an address."""
    arguments: str = ""
    """The arguments as JSON, cut where they are not `whole`."""
    requester: str = ""
    """Who asked for the run; empty where it names nobody."""
    pending: bool = True
    """Whether people can still decide."""
    signed: bool = False
    """Whether decisions need a signed token."""
    to: tuple[str, ...] = ()
    """Names of those who are notified; empty: all channels."""
    whole: bool = True
    """Whether `arguments` holds all of them."""
    size: int = 0
    """Size of all arguments as JSON, in bytes."""
    counts: tuple[str, ...] = ()
    """How much is in the arguments, as `to: 2 items`."""
    ref: str | None = None
    """Key of the whole arguments in the content store; None where they are inline."""


class NoticeRequest(Contract):
    """Asks to notify people by one channel."""

    channel: int = Field(ge=1)
    """Number of the channel, from 1 on, in the order of NOTIFY_URLS."""
    notice: Notice
    """What to send."""


class NoticeSent(Contract):
    """The channel took the notice."""

    scheme: str
    """What kind of channel it is: `mailto`, `slack`, `json` …"""
