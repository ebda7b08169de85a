"""Dialogs of Slack by which people answer in their own words, or fill in a form, and what comes back from them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from outlast.contracts import Question
from outlast.notices.slack.messages import Block, literal

FIELDS, OPTIONS, OPTION_VALUE, NAME, HINT, ANSWER_LENGTH, TITLE = 40, 100, 150, 255, 2_000, 3_000, 24
"""Slack's limits: fields, options of a menu; characters of an option's value, a block's id, a hint, a text, a title."""
TEXT, JSON, CHOSEN = "text", "json", "chosen"
"""How a field is read, by the id of its element: as it is, as JSON, as the JSON of the option that was chosen."""
ONE, FORM = "answer", "form"
"""Names of dialogs: the first is also the id of its only field, where the answer is no form."""


def dialog(question: Question, about: str) -> Block:
    """Write the dialog for a question; `about` comes back with the answer."""
    fields = _form(question.form) if question.form else [_one(question)]
    blocks = [literal(question.full or question.text), *fields]
    return modal(FORM if question.form else ONE, about, "Answer", "Send", blocks)


def modal(name: str, about: str, title: str, submit: str, blocks: Sequence[Block]) -> Block:
    """Write a dialog; its name and what it is `about` come back with what was filled in."""
    return {
        "type": "modal",
        "callback_id": name,
        "private_metadata": about,
        "title": _plain(title, TITLE),
        "submit": _plain(submit, TITLE),
        "close": _plain("Cancel"),
        "blocks": list(blocks),
    }


def answer_of(view: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Read what was filled in: the answer, of a form its object as JSON, and what is wrong by the field's id."""
    given: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    values = fields_of(view)
    for name in values:
        elements = inner(values, name)
        for kind in elements:
            element = inner(elements, kind)
            text = (inner(element, "selected_option") if kind == CHOSEN else element).get("value")
            if not isinstance(text, str) or not text:
                continue
            try:
                given[name] = text if kind == TEXT else json.loads(text, parse_constant=_no_number)
            except (ValueError, RecursionError):
                wrong[name] = "Write JSON, a text in quotes"
    if view.get("callback_id") != ONE:
        return json.dumps(given, ensure_ascii=False), wrong
    answer = given.get(ONE)
    if not isinstance(answer, str) or not answer.strip():
        wrong.setdefault(ONE, "Write an answer")
    return str(answer or ""), wrong


def fields_of(view: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a dialog that was sent, by their ids; none where it has another form."""
    return inner(inner(view, "state"), "values")


def inner(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of what Slack sent; nothing where it is of another form."""
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _one(question: Question) -> Block:
    options = question.options
    if options and len(options) <= OPTIONS and (menu := _menu(options)):
        return input_block(ONE, "Your answer", menu)
    element = {"type": "plain_text_input", "action_id": TEXT, "multiline": True, "max_length": ANSWER_LENGTH}
    return input_block(ONE, "Your answer", element, hint=f"One of: {', '.join(options)}" if options else "")


def _form(schema: Mapping[str, Any]) -> list[Block]:
    """Ask for each property of an object; what no field of Slack's fits is written as JSON."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return []
    required = schema.get("required") or ()
    return [
        input_block(name, str(each.get("title") or name), _element(each), hint=str(each.get("description", "")))
        | {"optional": name not in required}
        for name, each in list(properties.items())[:FIELDS]
        if isinstance(each, Mapping) and 0 < len(name) <= NAME
    ]


def _element(field: Mapping[str, Any]) -> Block:
    kind = field.get("type")
    options = field.get("enum") or ([True, False] if kind == "boolean" else ())
    if options and len(options) <= OPTIONS and (menu := _menu(options)):
        return menu
    if kind in ("integer", "number"):
        return {"type": "number_input", "action_id": JSON, "is_decimal_allowed": kind == "number"}
    most = {"max_length": min(int(field.get("maxLength") or ANSWER_LENGTH), ANSWER_LENGTH)} if kind == "string" else {}
    return {"type": "plain_text_input", "action_id": TEXT if kind == "string" else JSON, "multiline": True} | most


def _menu(options: Any) -> Block | None:
    """Return a menu; None where a value of it is too long for one."""
    words = {True: "Yes", False: "No"}
    written = [
        (words[one] if isinstance(one, bool) else str(one), json.dumps(one, ensure_ascii=False)) for one in options
    ]
    if any(len(value) > OPTION_VALUE for _, value in written):
        return None
    entries = [{"text": _plain(text or "…"), "value": value} for text, value in written]
    return {"type": "static_select", "action_id": CHOSEN, "options": entries}


def input_block(name: str, label: str, element: Block, hint: str = "") -> Block:
    """Write a field of a dialog."""
    block = {"type": "input", "block_id": name, "label": _plain(label, HINT), "element": element}
    return block | ({"hint": _plain(hint, HINT)} if hint else {})


def _plain(text: str, most: int = 75) -> Block:
    return {"type": "plain_text", "text": text if len(text) <= most else f"{text[: most - 1]}…", "emoji": False}
