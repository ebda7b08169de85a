"""Gates and questions as Slack messages: what happened, the arguments, and buttons while people can decide.

A model wrote most of it. Rich text shows each text as it is: it reads no markup, so nothing in it can mention a channel, close a
code block or pose as a link. The only text with markup is what notifications show, and that is escaped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from outlast.contracts import GateNews, GateOutcome, GateView, Question, SlackPost
from outlast.display import one_line
from outlast.redaction import presentable

TEXT, ARGUMENTS, PIECE = 1_000, 9_000, 3_000
"""Most characters of one fact, of all arguments, and of one block of them."""
BUTTON, VALUE, BUTTONS, NOTIFICATION = 75, 2_000, 20, 500
"""Slack's limits of a button's text and of its value; most options that are buttons; characters of the notification."""
APPROVE, APPROVE_ALL, DENY, DENY_REASON = "approve", "approve-all", "deny", "deny-reason"
OPTION, ANSWER, OPEN = "option", "answer", "open"
"""Ids of actions: what a button does, or which dialog it opens."""

Block = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """What a message shows beside the gate itself: `inbox` is the address of the pages, `run` the page of the run, "" for none.

    `people` are member ids by name.
    """

    inbox: str = ""
    run: str = ""
    people: Mapping[str, str] = field(default_factory=dict)


def notification(post: SlackPost) -> str:
    """Return the text of the notification: one line, in which nothing is markup."""
    if post.gate is not None:
        text = f"{post.workflow_id}: {post.gate.gate.name} {post.gate.kind}: {post.gate.gate.description}"
    else:
        asked = post.question.text if post.question else ""
        text = f"{post.workflow_id} asks: {asked}" + (f" ({post.ended})" if post.ended else "")
    return escaped(_line(text, NOTIFICATION))


def escaped(text: str) -> str:
    """Write a text so that Slack reads no markup of its own in it: no mention, no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def gate_message(post: SlackPost, news: GateNews, shown: Shown) -> list[Block]:
    """Write a gate; its buttons stand there as long as people can decide."""
    gate, waits = news.gate, news.outcome is GateOutcome.PENDING
    facts: list[tuple[str, str | list[Block]]] = [
        ("What", gate.description),
        ("Tool", " on ".join(each for each in (gate.tool, gate.target) if each)),
        ("Risk", gate.risk if gate.tool else ""),
        ("Asked by", " for ".join(filter(None, (gate.agent, ", ".join(gate.askers))))),
        *((f"Before, {each.step}", each.summary) for each in gate.before[-5:]),
        ("Size", "; ".join((f"{gate.size:,} bytes", *gate.counts)) if gate.counts else ""),
        ("Needs", _needs(gate) if waits else ""),
        ("For", _people(news.to, shown) if waits else ""),
        ("Until", [_date(gate.deadline)] if waits else ""),
        ("Outcome", "" if waits else _outcome(news)),
    ]
    blocks = [_rich(_title(post, f"{gate.name} {news.kind}", shown), *(_fact(*each) for each in facts if each[1]))]
    seen = arguments_shown(gate)
    blocks += seen or ([_note("The arguments are too long for Slack: look at them in the inbox.")] if waits else [])
    if waits:
        blocks += _decisions(post, gate, shown, seen=bool(seen))
    return [*blocks, _note(f"Digest {gate.digest[:12]}")]


def reminder_message(post: SlackPost, news: GateNews, shown: Shown) -> list[Block]:
    """Write that a gate still waits, for the thread in which its message stands."""
    title = _title(post, f"{news.gate.name} {news.kind}: decide above in this thread", shown)
    asked = [_fact("For", people)] if (people := _people(news.to, shown)) else []
    return [_rich(title, _fact("What", news.gate.description), *asked, _fact("Until", [_date(news.gate.deadline)]))]


def question_message(post: SlackPost, question: Question, shown: Shown) -> list[Block]:
    """Write a question, with its options as buttons, or one that opens a dialog."""
    when = [_fact("Until", [_date(question.deadline)])] if question.deadline else []
    over = [_fact("Outcome", post.ended)] if post.ended else when
    title = f"{question.id} still waits: answer above in this thread" if post.reply else question.id
    blocks = [_rich(_title(post, title, shown), _fact("Question", question.full or question.text, PIECE), *over)]
    if post.ended or post.reply:
        return blocks
    options = question.options if len(question.options) <= BUTTONS else ()
    about = {"r": post.workflow_id, "c": post.chain, "q": question.id}
    buttons = [_button(f"{OPTION}:{n}", option, about | {"a": option}) for n, option in enumerate(options)]
    if not buttons or None in buttons:
        buttons = [_button(ANSWER, "Answer…", about, "primary")]
    return [*blocks, *_actions(buttons, _run_page(post, shown))]


def literal(text: str) -> Block:
    """Return a block that shows a text as it is."""
    return _rich([_text(_line(text, PIECE))])


def stripped(blocks: Sequence[Mapping[str, Any]], note: str) -> list[Block]:
    """Take the buttons out of a message that stands already, and say why."""
    return [*(dict(each) for each in blocks if each.get("type") != "actions"), _note(note)][-50:]


def _decisions(post: SlackPost, gate: GateView, shown: Shown, *, seen: bool) -> list[Block]:
    about = {"r": post.workflow_id, "c": post.chain, "g": gate.name, "d": gate.digest}
    if post.options and len(post.options) <= BUTTONS:
        yes = [_button(f"{OPTION}:{n}", one, about | {"a": one}) for n, one in enumerate(post.options)]
    else:  # what is approved is what is seen: without all arguments there is nothing to approve here
        yes = [_button(APPROVE, "Approve", about, "primary")] if seen else []
        if seen and gate.repeats:
            yes.append(_button(APPROVE_ALL, "Approve, and stop asking…", about))
    no = [_button(DENY, "Deny", about, "danger"), _button(DENY_REASON, "Deny with a reason…", about)]
    return _actions([*yes, *no], _gate_page(post, gate, shown))


def _actions(buttons: Sequence[Block | None], page: str) -> list[Block]:
    link = [_link(page)] if page else []
    elements = [*(each for each in buttons if each is not None), *link]
    return [{"type": "actions", "elements": elements}] if elements else []


def _button(action: str, text: str, value: Mapping[str, str], style: str = "") -> Block | None:
    """Return a button; None where what it stands for is too long for one."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(written) > VALUE:
        return None
    label = {"type": "plain_text", "text": _line(text, BUTTON) or "…", "emoji": False}
    button = {"type": "button", "action_id": action, "text": label, "value": written}
    return button | ({"style": style} if style else {})


def _link(page: str) -> Block:
    return {"type": "button", "action_id": OPEN, "text": {"type": "plain_text", "text": "Open"}, "url": page}


def _gate_page(post: SlackPost, gate: GateView, shown: Shown) -> str:
    page = f"{shown.inbox.rstrip('/')}/gate?{urlencode({'run': post.workflow_id, 'gate': gate.name})}"
    return page if shown.inbox and len(page) <= 3_000 else ""


def _run_page(post: SlackPost, shown: Shown) -> str:
    page = f"{shown.inbox.rstrip('/')}/run?{urlencode({'id': post.workflow_id})}"
    return page if shown.inbox and len(page) <= 3_000 else ""


def _needs(gate: GateView) -> str:
    have = f", given by {', '.join(gate.approved_by)}" if gate.approved_by else ""
    return "; ".join(each for each in (f"{gate.needed} yes{have}", gate.approval_rule) if each)


def _outcome(news: GateNews) -> str:
    by = f" by {', '.join(news.by)}" if news.by else ""
    return f"{news.outcome}{by}" + (f": {news.reason}" if news.reason else "")


def arguments_shown(gate: GateView) -> list[Block]:
    """Return all arguments, or nothing: a part of them would look like the whole."""
    text = presentable(gate.arguments)
    if not gate.whole or len(text) > ARGUMENTS:
        return []
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    return [
        {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [_text(piece)]}]}
        for piece in pieces
    ] or [_note("No arguments.")]


def _people(names: Sequence[str], shown: Shown) -> list[Block]:
    """Name people, and mention those whose member id is known."""
    known = {name.casefold(): member for name, member in shown.people.items()}
    found: list[Block] = []
    for name in names[:20]:
        member = known.get(name.casefold())
        found += [_text(", ")] if found else []
        found.append({"type": "user", "user_id": member} if member else _text(_line(name, 64)))
    return found


def _date(when: datetime) -> Block:
    fallback = f"{when:%Y-%m-%d %H:%M} UTC"
    return {"type": "date", "timestamp": int(when.timestamp()), "format": "{date_short} {time}", "fallback": fallback}


def _title(post: SlackPost, what: str, shown: Shown) -> list[Block]:
    run = _text(_line(post.workflow_id, 200), bold=True)
    name = {"type": "link", "url": shown.run, "text": run["text"], "style": {"bold": True}} if shown.run else run
    return [name, _text(f" · {_line(post.workflow, 100)} · {_line(what, 200)}")]


def _fact(name: str, value: str | list[Block], most: int = TEXT) -> list[Block]:
    return [_text(f"{name}: ", bold=True), *([_text(_line(value, most))] if isinstance(value, str) else value)]


def _rich(*lines: list[Block]) -> Block:
    """Return a block of lines of rich text, each a list of elements."""
    elements: list[Block] = []
    for line in lines:
        elements += [_text("\n"), *line] if elements else line
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}


def _text(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})


def _note(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "plain_text", "text": _line(text, TEXT), "emoji": False}]}


def _line(text: str, limit: int) -> str:
    line = presentable(one_line(text))
    return line if len(line) <= limit else line[: limit - 1] + "…"
