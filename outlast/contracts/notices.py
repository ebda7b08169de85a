"""Notices about a gate, and webhooks: what the activities that send them get.

Agent, tool, target and arguments were written by a model. They are data here and are quoted wherever they are shown.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from outlast.contracts.actions import Produced
from outlast.contracts.base import Contract, Summary
from outlast.contracts.gate_views import GateNews
from outlast.contracts.runs import Question


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
    deadline: datetime | None = None
    """Until when people may decide or answer (UTC); None: a question that waits until it is answered."""
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
    parent: str = ""
    """Workflow id of the run that started this one, in which an agent has asked another; empty: no run did."""
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
    before: tuple[Produced, ...] = ()
    """What the steps before the gate produced."""
    question: bool = False
    """Whether it is about a question, whose name is in `gate`."""
    options: tuple[str, ...] = ()
    """The answers to choose from, of a question; empty: any text."""


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


class SlackPost(Contract):
    """Asks to show a gate or a question in the Slack thread of its run."""

    workflow_id: str
    """Workflow id of the run."""
    workflow: str
    """Type of the workflow."""
    chain: str
    """First run id of the run: tells it from another run of the same workflow id."""
    gate: GateNews | None = None
    """What happened at a gate; None: it is about a question."""
    question: Question | None = None
    """The question; None: it is about a gate."""
    options: tuple[str, ...] = ()
    """The answers to choose from, at a gate that is a choice."""
    ended: Summary = ""
    """How the question ended, in words, at most 200 characters; empty while people may answer."""
    reply: bool = False
    """Whether it only reminds: a further message, which leaves the one with the buttons as it is."""
    channel: str = ""
    """Slack's id of the channel in which the thread stands; empty: SLACK_CHANNEL."""
    thread: str = ""
    """Slack's `ts` of the first message of the run; empty: this is the first."""
    message: str = ""
    """Slack's `ts` of the message that is to change; empty: post a new one."""


class SlackPosted(Contract):
    """Slack took the message."""

    channel: str
    """Slack's id of the channel."""
    thread: str
    """Slack's `ts` of the first message of the run."""
    message: str
    """Slack's `ts` of the message."""


class WebhookEvent(StrEnum):
    """What a webhook reports."""

    GATE_OPENED = "gate_opened"
    QUESTION_ASKED = "question_asked"
    RUN_ENDED = "run_ended"


class WebhookBody(Contract):
    """What a webhook says: the body of the request, fields with their default included."""

    delivery: str
    """Id of the delivery: one that comes twice has the same."""
    event: WebhookEvent
    """What happened."""
    workflow_id: str
    """Workflow id of the run."""
    run_id: str
    """Run id of the run at Temporal."""
    workflow: str
    """Type of the workflow."""
    at: datetime
    """When it happened, in workflow time (UTC)."""
    state: str = ""
    """How the run ended: `completed`, `partial`, `stopped`, `failed`, `cancelled`; empty: it runs."""
    error: Summary = ""
    """Why it failed, at most 200 characters; empty: it did not."""
    parent: str = ""
    """Workflow id of the run that started this one, in which an agent has asked another; empty: no run did."""
    agent: str = ""
    """Name of the agent that was asked; empty: this is no such run."""
    usd: float = 0.0
    """What its model calls cost so far, in USD."""
    gate: str = ""
    """Name of the gate that opened; empty: none did."""
    description: Summary = ""
    """What shall be done there, or what is asked, at most 200 characters."""
    question: str = ""
    """Name of the question that was asked; empty: none was."""
    risk: str = ""
    """How bad a wrong approval would be: `low`, `medium` or `high`."""
    tool: str = ""
    """Name of the tool to call."""
    digest: str = ""
    """Digest of the action: sha-256, hex."""
    requester: str = ""
    """Who asked for the run; empty where it names nobody."""
    deadline: datetime | None = None
    """When the time of the gate or the question ends (UTC); None: neither waits."""


class WebhookRequest(Contract):
    """Asks to send a webhook to one address."""

    body: WebhookBody
    """What to send."""
    number: int = 0
    """Number of the address in WEBHOOK_URLS, from 1 on; 0: it is `url`."""
    url: str = ""
    """An address that the run's own request names."""


class WebhookSent(Contract):
    """The receiver took it."""

    status: int
    """Status of its answer."""


class WebhookDelivery(Contract):
    """A webhook and all that it goes to."""

    body: WebhookBody
    """What to send."""
    count: int = 0
    """Count of the addresses in WEBHOOK_URLS."""
    urls: tuple[str, ...] = ()
    """Addresses that the run's own request names."""


class WebhookDelivered(Contract):
    """What became of a webhook."""

    taken: int = 0
    """Count of receivers that took it."""
    failed: tuple[str, ...] = ()
    """Why others never did."""
