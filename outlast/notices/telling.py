"""Tells everybody who wants to hear of a gate: people by the plain channels and in Slack, programs by webhooks."""

from typing import Protocol

from outlast.contracts import GateNews, RecordKind
from outlast.notices.notifying import NEWS, Notifier, Notify
from outlast.notices.slack.thread import RunInSlack
from outlast.notices.webhooks import Webhooks


class Tellers(Protocol):
    """The ways by which the gates of one run are told of."""

    notifier: Notifier
    slack: RunInSlack
    webhooks: Webhooks | None
    requester: str


def tell(tellers: Tellers, news: GateNews, notify: Notify | None, options: tuple[str, ...]) -> None:
    """Begin to tell what happened at a gate; `options` are the answers to choose from at one that is a choice."""
    gate = news.gate
    if notify is not None and news.kind in NEWS:
        tellers.notifier.begin(notify(news), f"{gate.name} is {news.kind}")
    tellers.slack.gate(news, options)
    if tellers.webhooks and news.kind is RecordKind.OPENED:
        tellers.notifier.begin(tellers.webhooks.gate_opened(gate, tellers.requester), f"{gate.name} has opened")
