"""The text of a notice about a gate, as plain text and as HTML.

A model wrote most of it. A line break in a target could pose as a line of ours, a quote could end a command that a
person pastes into a shell. So each value stays on one line, commands are quoted for the shell, and HTML is escaped.
"""

import html
import json
import shlex

from outlast.command_line import command
from outlast.contracts import Notice
from outlast.redaction import presentable

SHOWN = 1_000
"""Characters of one value that are shown, of arguments that are whole all."""
DIGEST = 12
CUT = "the arguments are cut here; look at all of them before you approve"


def subject(notice: Notice) -> str:
    """Return the subject: one line."""
    if notice.question:
        return _line(f"{notice.gate} {notice.kind}: {notice.what}", 120)
    return _line(f"Gate {notice.gate} {notice.kind}: {notice.what}", 120)


def commands(notice: Notice) -> tuple[str, ...]:
    """Return the exact shell commands that approve and deny the action as shown.

    Where its arguments are cut, the only command that approves is ours, which shows all of them.
    None for a gate that is settled, nor for names that cannot be shown: quoted they still break the line.
    """
    names = f"{notice.workflow_id}{notice.gate}"
    if not (notice.pending and names.isprintable() and presentable(names) == names):
        return ()
    if notice.question:
        given = shlex.quote(json.dumps({"question": notice.gate, "answer": "TEXT"}))
        return (
            f"{command('answer', notice.workflow_id, 'TEXT')} --question {shlex.quote(notice.gate)}",
            f"temporal workflow signal --workflow-id {shlex.quote(notice.workflow_id)} --name answer --input {given}",
        )
    ours = [command(verdict, notice.workflow_id, notice.gate) for verdict in ("approve", "deny")]
    if notice.signed:  # a signal of theirs would carry no token
        return tuple(ours)
    payload = shlex.quote(json.dumps({"gate": notice.gate, "digest": notice.digest[:DIGEST]}))
    signals = [
        f"temporal workflow signal --workflow-id {shlex.quote(notice.workflow_id)} --name {verdict} --input {payload}"
        for verdict in (("approve", "deny") if notice.whole else ("deny",))
    ]
    return (*ours, *signals)


def plain(notice: Notice, links: tuple[str, ...] = ()) -> str:
    """Return the message as plain text; `links` are URLs of the Web UI and the inbox."""
    said = [f"{name}: {value}" for name, value in facts(notice)]
    return "\n".join([*said, *([""] if notice.pending else []), *commands(notice), *links])


def as_html(notice: Notice, links: tuple[str, ...] = ()) -> str:
    """Return the message as HTML, everything escaped."""
    rows = "".join(f"<tr><th>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in facts(notice))
    typed = "".join(f"<pre>{html.escape(command)}</pre>" for command in commands(notice))
    linked = "".join(f'<p><a href="{html.escape(url)}">{html.escape(url)}</a></p>' for url in links)
    return f"<table>{rows}</table>{typed}{linked}"


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return what a notice says, each fact with its name, on one line."""
    known = [
        ("Run", notice.workflow_id),
        ("Part of", notice.parent),
        ("Question" if notice.question else "Gate", f"{notice.gate} ({notice.kind})"),
        ("What", notice.what),
        ("Answers", " | ".join(notice.options)),
        *((f"Before: {_line(one.step, 60)}", one.summary) for one in notice.before),
        ("Tool", notice.tool),
        ("Target", notice.target),
        ("Arguments", notice.arguments),
        ("Size", "; ".join((f"{notice.size:,} bytes", *notice.counts)) if notice.size else ""),
        ("Warning", "" if notice.whole else CUT),
        ("Risk", notice.risk),
        ("Asked by", notice.requester),
        ("For", ", ".join(notice.to)),
        ("Deadline", notice.deadline.isoformat(timespec="seconds") if notice.pending and notice.deadline else ""),
        ("Digest", notice.digest[:DIGEST]),
    ]
    longest = len(notice.arguments) + 1 if notice.whole else SHOWN
    return [(name, _line(value, longest if name == "Arguments" else SHOWN)) for name, value in known if value]


def _line(text: str, limit: int) -> str:
    line = presentable(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
