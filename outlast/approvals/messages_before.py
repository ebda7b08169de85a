"""How messages were read in runs that began before 2026-11-28; only their replay needs it, and nothing may be added.

A plain text beside `approve` was taken for a name unless it held one of a few English words, so that "nope" approved.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.approvals.messages import EDIT_LIMIT, EXAMPLE, FIELDS, NAME_LENGTH, NAME_WORDS, TOKEN_LENGTH
from outlast.contracts import SUMMARY_LENGTH, Decision, Verdict, hashed

YES = frozenset("yes y true ok okay approve approved accept accepted allow allowed lgtm +1 1".split())  # noqa: SIM905
NO = frozenset("no n false deny denied reject rejected refuse refused disallow -1 0".split())  # noqa: SIM905
NEGATED = "not none never don't dont cannot can't cancel cancelled stop wait later hold unapproved disapprove"
NEGATIONS = NO | frozenset(NEGATED.split())
"""Words that keep a plain text beside an `approve` from being taken for a name."""


def read_decision(arguments: Sequence[Any], implied: Verdict | None, channel: str) -> Decision | str:
    """Read a message, whose name may imply a verdict; gives why not, in words, where it cannot be understood."""
    if len(arguments) > 1:
        return f"{len(arguments)} inputs, send one: {EXAMPLE}"
    data = _plain(arguments[0]) if arguments else None
    if isinstance(data, Mapping):
        return _of_fields(data, implied, channel)
    said = _verdict(data)
    if said is None and isinstance(data, str) and implied is not None:
        return _of_text(data, implied, channel)
    if data is not None and said is None:
        return f"{_shown(data)} is no decision; send {EXAMPLE}"
    # A plain yes to a denial means "yes, deny"; a no to an approval means no.
    return _decided(implied if implied is Verdict.DENY else said or implied, {"channel": channel})


def _plain(data: Any) -> Any:
    """Make text of bytes, and data of text that is JSON."""
    if isinstance(data, bytes | bytearray):
        try:
            data = bytes(data).decode()
        except UnicodeDecodeError:
            return data
    if not isinstance(data, str):
        return data
    text = data.strip()
    if text[:1] in ("{", "[", '"'):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text or None


def _of_text(text: str, implied: Verdict, channel: str) -> Decision | str:
    """Take a plain text beside a verdict for a name, or for a reason where it is too long for one."""
    line = " ".join(text.split())
    if line[:1] in ("{", "[", '"') or not line.isprintable():
        return f"{_shown(text)} cannot be read; send {EXAMPLE}"
    if implied is Verdict.APPROVE and any(word.strip(".,;:!?") in NEGATIONS for word in line.casefold().split()):
        return f"{_shown(text)} does not read like a yes; send {EXAMPLE}"
    short = len(line) <= NAME_LENGTH and len(line.split()) <= NAME_WORDS
    return _decided(implied, {"channel": channel, "by" if short else "reason": line})


def _of_fields(data: Mapping[Any, Any], implied: Verdict | None, channel: str) -> Decision | str:
    found: dict[str, Any] = {}
    for key, value in data.items():
        field = next((name for name, aliases in FIELDS.items() if str(key).casefold() in aliases), None)
        if field is None:
            return f"nobody knows a field {_shown(key)}; there are {', '.join(FIELDS)}"
        if field in found:
            return f"{field} is given twice ({_shown(key)})"
        if value is not None:
            found[field] = _plain(value) if field in ("edit", "verdict") else value
    given = found.pop("verdict", None)
    said = _verdict(given)
    if given is not None and said is None:
        return f"verdict: {_shown(given)} is neither approve nor deny"
    if implied is Verdict.DENY and said is Verdict.APPROVE:
        return "a denial that says approve; send one or the other"
    edit = found.pop("edit", None)
    if edit is not None and (not isinstance(edit, dict) or not all(isinstance(name, str) for name in edit)):
        return f"edit: {_shown(edit)} is no object; send all arguments as they shall be"
    if wrong := next((why for name, value in found.items() if (why := _wrong(name, value))), ""):
        return wrong
    texts = {name: " ".join(str(value).split()) for name, value in found.items()}
    texts["channel"] = f"{channel}:{texts['channel']}" if texts.get("channel") else channel
    return _decided(said or implied, {**texts, "edit": edit})


def _decided(verdict: Verdict | None, fields: dict[str, Any]) -> Decision | str:
    """Build the decision, which must also be fit for history."""
    edit = fields.get("edit")
    if verdict is None:
        return f"no verdict; send {EXAMPLE}"
    if verdict is Verdict.DENY and edit is not None:
        return "a denial cannot edit; approve with the edit, or deny without one"
    fields["reason"] = fields.get("reason", "")[:SUMMARY_LENGTH]
    decision = Decision(verdict=verdict, **fields)
    try:
        hashed(edit or {})
        size = len(decision.model_dump_json())
    except (ValueError, RecursionError) as error:
        return f"it cannot be kept: {_shown(str(error))}"
    return f"edit: more than {EDIT_LIMIT:,} characters" if size > EDIT_LIMIT else decision


def _verdict(data: Any) -> Verdict | None:
    word = str(data).strip().casefold() if isinstance(data, bool | int | str) else ""
    if word in YES:
        return Verdict.APPROVE
    return Verdict.DENY if word in NO else None


def _wrong(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return f"{name}: {_shown(value)} is no text"
    longest = {"reason": 1000, "token": TOKEN_LENGTH}.get(name, 100)
    return f"{name}: more than {longest} characters" if len(str(value)) > longest else ""


def _shown(data: Any) -> str:
    return repr(data)[:60]
