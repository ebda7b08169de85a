"""Reads what people send to a gate, whatever it is: `yes`, `true`, a name, an object, bytes, nothing.

Only a yes is a yes. An approval is no input at all, a word that is known to mean yes, JSON true, an object with known fields, or
a plain text that the gate's policy lists as a name. Everything else approves nothing and is recorded as unreadable. A denial is
the safe side: whatever comes with `deny`, or says no in an object, denies. The answer to a question is whatever was written.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from outlast.approvals.standing.bounds import read_bounds
from outlast.contracts import SUMMARY_LENGTH, Decision, Verdict, hashed, named, visible
from outlast.workflow.inputs import plain

FIELDS: Mapping[str, Sequence[str]] = {
    "gate": ("gate", "gate_id", "id"),
    "verdict": ("verdict", "decision", "approved", "approve"),
    "by": ("by", "who", "approver", "user", "name"),
    "reason": ("reason", "comment", "note"),
    "digest": ("digest",),
    "edit": ("edit", "arguments"),
    "channel": ("channel",),
    "token": ("token",),
    "stop_asking": ("stop_asking",),
}
"""What each field may be called."""

NAME_LENGTH = 64
NAME_WORDS = 3
"""Longest plain text that a denial takes for a name; a longer one is a reason."""
TOKEN_LENGTH = 4000
EDIT_LIMIT = 32_768
"""Most bytes of edited arguments: they travel through history, and every continuation."""
EXAMPLE = '{"verdict": "approve", "by": "your name"}'

# Refusals cannot be listed: there are too many ways of saying no. So only affirmatives are known, in the languages people use
# most, and a question, a hesitation or a sentence around one of them makes it unknown again.
AFFIRMATIVES = """
yes y yep yeah aye true ok okay approve approved accept accepted agree agreed allow allowed authorized authorised confirmed
granted lgtm +1 i_approve go_ahead looks_good 👍 ✅ ✔
ja jawohl genehmigt freigegeben einverstanden bestätigt zugestimmt erlaubt
oui approuvé approuvée j'approuve accepté acceptée validé validée autorisé d'accord
sí si aprobado aprobada apruebo aceptado aceptada autorizado de_acuerdo
sì approvato approvata approvo accettato autorizzato d'accordo va_bene
sim aprovado aprovada aprovo aceito de_acordo
akkoord goedgekeurd toegestaan godkänd godkänt godkendt godkjent kyllä hyväksytty
tak zatwierdzam zatwierdzone zgoda ano schváleno souhlasím igen jóváhagyva evet onaylandı onaylıyorum
да одобряю одобрено согласен согласна утверждаю утверждено так схвалено ναι
نعم موافق כן מאושר हाँ हां स्वीकृत
はい 承認 承認します 了承 是 好 好的 可以 同意 批准 核准 네 예 승인 승인합니다
"""
YES = frozenset(unicodedata.normalize("NFKC", word.replace("_", " ").casefold()) for word in AFFIRMATIVES.split())
NO = frozenset("no n false deny denied reject rejected refuse refused disallow -1 0".split())  # noqa: SIM905
"""Refusals that are certain enough to deny at once, even beside an `approve`."""

QUOTES = " \t\r\n\"'`“”„‘’«»"
SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")
ENDING = re.compile(r"(?:!+|\.)$")
"""What may end a yes: a question mark, a comma or dots would make it something else."""

LONGEST_WORD = 64
"""Characters of the longest text that is looked up."""


def read_decision(
    arguments: Sequence[Any], implied: Verdict | None, channel: str, names: Collection[str] = ()
) -> Decision | str:
    """Read a message, whose name may imply a verdict; gives why not, in words, where it cannot be understood.

    `names` are the people whom the policy lists: only they are recognised by a plain text.
    """
    if implied is Verdict.DENY:
        return _denial(arguments, channel, names)
    if len(arguments) > 1:
        return f"{len(arguments)} inputs, send one: {EXAMPLE}"
    data = plain(arguments[0]) if arguments else None
    if isinstance(data, Mapping):
        return _of_fields(data, implied, channel)
    if data is None:
        return _decided(implied, {"channel": channel})
    verdict = verdict_of(data)
    if verdict is Verdict.DENY:
        return _decided(verdict, {"channel": channel})
    if implied is not None and isinstance(data, str) and _listed(data, names):
        return _decided(implied, {"channel": channel, "by": _line(data)})
    if verdict is not None:
        return _decided(verdict, {"channel": channel})
    return (
        f"{_shown(data)} is not a known yes and approves nothing; to approve send {EXAMPLE}, to refuse the signal deny"
    )


def verdict_of(data: Any) -> Verdict | None:
    """Read a yes or a no from a word or a JSON boolean; None for everything else, numbers above zero included."""
    if isinstance(data, bool):
        return Verdict.APPROVE if data else Verdict.DENY
    word = _comparable(str(data)) if isinstance(data, int | str) and len(str(data)) <= LONGEST_WORD else ""
    if word in NO:
        return Verdict.DENY
    return Verdict.APPROVE if isinstance(data, str) and word in YES else None


def read_key(arguments: Sequence[Any]) -> str:
    """Find the key by which an answer that is sent again is known, "" where it has none."""
    data = plain(arguments[0]) if len(arguments) == 1 else None
    key = data.get("key") if isinstance(data, dict) and "answer" in data else None
    return key if isinstance(key, str) else ""


def read_answer(arguments: Sequence[Any], is_form: Callable[[str], bool] = lambda _: False) -> tuple[str, str | None]:
    """Find question and answer in whatever was sent; the answer to a form (by question) may be an object."""
    if len(arguments) == 2 and all(isinstance(each, str) for each in arguments):
        return str(arguments[0]), str(arguments[1])
    if len(arguments) != 1:
        return "", None
    data = plain(arguments[0])
    if isinstance(data, dict):
        answer = data.get("answer")
        if isinstance(answer, dict) and is_form(str(data.get("question", ""))):
            answer = json.dumps(answer, ensure_ascii=False)
        elif answer is None and is_form(""):
            answer = json.dumps(data, ensure_ascii=False)
        return str(data.get("question", "")), str(answer) if isinstance(answer, str | int | float) else None
    # What is JSON but no object is an answer as it was written.
    answer = data if isinstance(data, str | int | float) else arguments[0]
    return "", str(answer) if isinstance(answer, str | int | float) and str(answer).strip() else None


def _comparable(text: str) -> str:
    # Dots that NFKC would make of an ellipsis are a hesitation, so the ending is cut off before.
    bare = SKIN_TONES.sub("", visible(text)).strip(QUOTES)
    bare = ENDING.sub("", bare.replace("！", "!").replace("。", ".")).strip(QUOTES)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bare).casefold())
    return " ".join(folded.replace("’", "'").split())


def _field(key: Any) -> str | None:
    return next((name for name, aliases in FIELDS.items() if str(key).casefold() in aliases), None)


def _of_fields(data: Mapping[Any, Any], implied: Verdict | None, channel: str) -> Decision | str:
    """Read an object: one no in it denies, and a field that nobody knows could be a mistyped one, so it approves nothing."""
    verdicts = [plain(value) for key, value in data.items() if _field(key) == "verdict"]
    if any(verdict_of(value) is Verdict.DENY for value in verdicts):
        return _denial([data], channel, ())
    found: dict[str, Any] = {}
    revokes = implied is None and [str(verdict).strip().casefold() for verdict in verdicts] == [Verdict.REVOKE]
    for key, value in data.items():
        field = _field(key)
        if field is None:
            return f"nobody knows a field {_shown(key)}; there are {', '.join(FIELDS)}"
        if field in found:
            return f"{field} is given twice ({_shown(key)})"
        if value is not None or field == "verdict":
            found[field] = plain(value) if field in ("edit", "verdict") else value
    if verdicts and not revokes and verdict_of(verdicts[0]) is None:
        return f"verdict: {_shown(verdicts[0])} is neither approve nor deny"
    found.pop("verdict", None)
    edit = found.pop("edit", None)
    if edit is not None and (not isinstance(edit, dict) or not all(isinstance(name, str) for name in edit)):
        return f"edit: {_shown(edit)} is not an object; send all arguments as they shall be"
    # Nothing but the full form lets an approval stand for the run: a text that may mean it does not.
    bounds = read_bounds(found.pop("stop_asking", None))
    if isinstance(bounds, str):
        return bounds
    if revokes and (edit is not None or bounds is not None):
        return "verdict: revoke takes neither edit nor stop_asking; leave them out"
    if wrong := next((why for name, value in found.items() if (why := _wrong(name, value))), ""):
        return wrong
    if verdict_of(found.get("reason")) is Verdict.DENY:
        return f"reason: {_shown(found['reason'])} says no beside a yes; send {EXAMPLE} without it, or the signal deny"
    texts = {name: _line(str(value)) for name, value in found.items()}
    texts["channel"] = f"{channel}:{texts['channel']}" if texts.get("channel") else channel
    verdict = Verdict.REVOKE if revokes else Verdict.APPROVE if verdicts else implied
    return _decided(verdict, {**texts, "edit": edit, "stop_asking": bounds})


def _denial(arguments: Sequence[Any], channel: str, names: Collection[str]) -> Decision | str:
    """Read a denial, which nothing in it can undo: what cannot be read in it is left out."""
    found: dict[str, str] = {}
    for data in map(plain, arguments):
        if isinstance(data, Mapping):
            for key, value in data.items():
                field = _field(key)
                if field not in (None, "verdict", "edit", "stop_asking") and not _wrong(field, value):
                    found.setdefault(field, _line(str(value)))
        elif isinstance(data, str) and verdict_of(data) is None:
            line = _line(data)
            short = len(line) <= NAME_LENGTH and len(line.split()) <= NAME_WORDS
            found.setdefault("by" if _listed(line, names) or (short and not names) else "reason", line)
    found["channel"] = f"{channel}:{found['channel']}" if found.get("channel") else channel
    return _decided(Verdict.DENY, {name: text.encode("utf-8", "replace").decode() for name, text in found.items()})


def _decided(verdict: Verdict | None, fields: dict[str, Any]) -> Decision | str:
    """Build the decision, which must also be fit for history."""
    if verdict is None:
        return f"no verdict; send {EXAMPLE}"
    fields["reason"] = fields.get("reason", "")[:SUMMARY_LENGTH]
    decision = Decision(verdict=verdict, **fields)
    try:
        hashed(fields.get("edit") or {})
        size = len(decision.model_dump_json())
    except (ValueError, RecursionError) as error:
        return f"it cannot be kept: {_shown(str(error))}"
    return f"edit: more than {EDIT_LIMIT:,} characters" if size > EDIT_LIMIT else decision


def _wrong(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return f"{name}: {_shown(value)} is not a text"
    longest = {"reason": 1000, "token": TOKEN_LENGTH}.get(name, 100)
    return f"{name}: more than {longest} characters" if len(str(value)) > longest else ""


def _listed(text: str, names: Collection[str]) -> bool:
    return bool(named(text)) and named(text) in {named(name) for name in names}


def _line(text: str) -> str:
    return " ".join(text.split())


def _shown(data: Any) -> str:
    return repr(data)[:60]
