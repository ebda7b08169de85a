"""Reads what Slack sends when somebody clicks a button or sends a dialog; whatever is missing in it reads as nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outlast.notices.slack.messages import ANSWER, APPROVE, APPROVE_ALL, DENY, DENY_REASON, OPTION


@dataclass(frozen=True)
class Click:
    """One click or one dialog that was sent.

    `member` is who it was, `run` to `option` what the button stands for, and `channel` to `blocks` the message that it is on;
    `view` is the dialog, empty where it was a button.
    """

    member: str
    action: str
    run: str = ""
    chain: str = ""
    gate: str = ""
    digest: str = ""
    question: str = ""
    option: str = ""
    channel: str = ""
    message: str = ""
    thread: str = ""
    text: str = ""
    blocks: tuple[Mapping[str, Any], ...] = ()
    response_url: str = ""
    trigger: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """What a dialog carries of the button that opened it."""
        kept = {
            "r": self.run,
            "c": self.chain,
            "g": self.gate,
            "d": self.digest,
            "q": self.question,
            "ch": self.channel,
            "m": self.message,
            "t": self.thread,
        }
        return json.dumps({name: value for name, value in kept.items() if value}, ensure_ascii=False)


def read_click(payload: str) -> Click | None:
    """Read a payload; None where it asks for nothing: a link was opened, or it is of a kind that nothing here sends."""
    try:
        data = _Data(json.loads(payload))
    except (ValueError, RecursionError):
        return None
    member = data.text("user", "id")
    if data.text("type") == "view_submission":
        view = data.part("view")
        kept = _Data(_loaded(view.text("private_metadata")))
        placed: Any = {"channel": kept.text("ch"), "message": kept.text("m"), "thread": kept.text("t")}
        name = view.text("callback_id")
        action = name if name in (APPROVE_ALL, DENY_REASON) else ANSWER
        return Click(member, action, **_named(kept), **placed, view=view.data)
    actions = data.data.get("actions")
    if data.text("type") != "block_actions" or not isinstance(actions, list) or not actions:
        return None
    clicked = _Data(actions[0])
    kind = clicked.text("action_id").partition(":")[0]
    if kind not in (APPROVE, APPROVE_ALL, DENY, DENY_REASON, OPTION, ANSWER):
        return None
    message = data.part("message")
    blocks = message.data.get("blocks")
    return Click(
        member,
        kind,
        **_named(_Data(_loaded(clicked.text("value")))),
        channel=data.text("channel", "id") or data.text("container", "channel_id"),
        message=data.text("container", "message_ts"),
        thread=message.text("thread_ts") or data.text("container", "message_ts"),
        text=message.text("text"),
        blocks=tuple(each for each in blocks if isinstance(each, dict)) if isinstance(blocks, list) else (),
        response_url=data.text("response_url"),
        trigger=data.text("trigger_id"),
    )


class _Data:
    """JSON data of any form."""

    def __init__(self, data: Any) -> None:
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}

    def part(self, name: str) -> "_Data":
        return _Data(self.data.get(name))

    def text(self, *path: str) -> str:
        inner = self
        for name in path[:-1]:
            inner = inner.part(name)
        found = inner.data.get(path[-1])
        return found if isinstance(found, str) else ""


def _named(kept: _Data) -> Any:
    names = {"run": "r", "chain": "c", "gate": "g", "digest": "d", "question": "q", "option": "a"}
    return {name: kept.text(key) for name, key in names.items()}


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
