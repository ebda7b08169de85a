"""Dialogs of Slack by which people decide at a gate in more than one word, and what comes back: a reason, and bounds."""

from collections.abc import Mapping
from typing import Any

from outlast.approvals.standing.bounds import LONGEST_NAME, read_bounds
from outlast.approvals.standing.offers import offers_of
from outlast.contracts import SUMMARY_LENGTH, Bounds, GateView
from outlast.notices.slack.forms import TEXT, fields_of, inner, input_block, modal
from outlast.notices.slack.messages import APPROVE_ALL, DENY_REASON, Block, arguments_shown, literal

REASON = "reason"
BOUND, MOST = "bound:", "most:"
"""How the ids of the fields begin by which an argument is bounded; its name follows."""
CHOICE, NUMBER = "choice", "number"
SAME, SAME_HOST = "same", "same_host"


def reason_dialog(gate: GateView, about: str) -> Block:
    """Write the dialog in which somebody says why they deny."""
    blocks = [literal(f"{gate.name}: {gate.description}"), _reason("Why", required=True)]
    return modal(DENY_REASON, about, "Deny with a reason", "Deny", blocks)


def bounds_dialog(gate: GateView, about: str) -> Block:
    """Write the dialog in which somebody approves, and says which further calls they approve with it."""
    further = f"This call, and every further call of {gate.tool} in this run within the bounds below."
    told = f"{gate.name}: {gate.description}. {further}"
    blocks = [literal(told), *arguments_shown(gate)]
    for one in offers_of(gate):
        if not 0 < len(one.name) <= LONGEST_NAME:
            continue
        choices = {"": "Any value", SAME: "Only this value"} | ({SAME_HOST: f"Only on {one.host}"} if one.host else {})
        blocks.append(input_block(f"{BOUND}{one.name}", one.name, _menu(choices)) | {"optional": True})
        if one.number:
            element = {"type": "number_input", "action_id": NUMBER, "is_decimal_allowed": True, "min_value": "0"}
            blocks.append(input_block(f"{MOST}{one.name}", f"{one.name}, at most", element) | {"optional": True})
    return modal(APPROVE_ALL, about, "Stop asking?", "Approve", [*blocks, _reason("Reason", required=False)])


def reason_of(view: Mapping[str, Any]) -> str:
    """Return the reason in a dialog that was sent, on one line; "" where there is none."""
    text = inner(inner(fields_of(view), REASON), TEXT).get("value")
    return " ".join(text.split()) if isinstance(text, str) else ""


def bounds_of(view: Mapping[str, Any]) -> tuple[Bounds, dict[str, str]]:
    """Read the bounds in a dialog that was sent, and what is wrong with them, by the field's id."""
    wanted: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    values = fields_of(view)
    for field in values:
        if field.startswith(BOUND):
            chosen = inner(inner(inner(values, field), CHOICE), "selected_option").get("value")
            if chosen in (SAME, SAME_HOST):
                wanted.setdefault(chosen, []).append(field.removeprefix(BOUND))
        elif field.startswith(MOST) and (text := inner(inner(values, field), NUMBER).get("value")):
            try:
                amount = {field.removeprefix(MOST): float(text)}
            except (ValueError, TypeError):
                wrong[field] = "Write a number"
                continue
            if isinstance(why := read_bounds({"at_most": amount}), str):
                wrong[field] = why
            wanted.setdefault("at_most", {}).update(amount)
    read = Bounds() if wrong else read_bounds(wanted or True)
    if isinstance(read, Bounds):
        return read, wrong
    return Bounds(), {next(iter(values), REASON): str(read)}


def field_of(view: Mapping[str, Any], refusal: str) -> str:
    """Return the field of a dialog that a run refuses by its bound; "" where the refusal is about something else."""
    for field in fields_of(view):
        name = field.partition(":")[2]
        bounds = (SAME, SAME_HOST) if field.startswith(BOUND) else ("at_most",) if field.startswith(MOST) else ()
        if any(f"stop_asking.{bound}: {name!r} " in refusal for bound in bounds):
            return field
    return ""


def _reason(label: str, *, required: bool) -> Block:
    element = {"type": "plain_text_input", "action_id": TEXT, "multiline": True, "max_length": SUMMARY_LENGTH}
    return input_block(REASON, label, element) | {"optional": not required}


def _menu(choices: Mapping[str, str]) -> Block:
    options = [
        {"text": {"type": "plain_text", "text": words[:75], "emoji": False}, "value": value or "any"}
        for value, words in choices.items()
    ]
    return {"type": "static_select", "action_id": CHOICE, "options": options, "initial_option": options[0]}
