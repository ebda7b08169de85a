"""What a browser sends: fields of a form, and the arguments of an action as a person changed them.

Arguments that were only shown must not come back as an edit, because an edit is another action that somebody else has
to approve. So what was shown is compared as data, not as text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qs

from outlast.approvals.standing.bounds import read_bounds
from outlast.approvals.standing.offers import OFFERED, offers
from outlast.contracts import Bounds
from outlast.display import escaped_json

LARGEST = 256 * 1024
"""Most bytes of a form."""
FIELDS = 120


class FormError(Exception):
    """A form cannot be taken; the message names the field and the fix."""


def read_form(body: bytes) -> dict[str, str]:
    """Read the fields of an urlencoded form; raises FormError."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError as error:
        raise FormError("the form cannot be read; load the page again") from error
    return {name: values[-1].replace("\r\n", "\n") for name, values in fields.items()}


@dataclass(frozen=True)
class Field:
    """One field of a question that is answered with an object; `name` says its type, too, so that its value can be read back."""

    name: str
    label: str
    kind: str
    required: bool
    options: tuple[str, ...] = ()


KINDS = ("string", "integer", "number", "boolean")
FIELD = "field:"


def fields_of(schema: Mapping[str, Any] | None) -> list[Field]:
    """List the fields of an object's JSON schema; what is neither a text, a number nor a yes or no is typed as JSON."""
    found = []
    for name, given in ((schema or {}).get("properties") or {}).items():
        about = given if isinstance(given, dict) else {}
        options = tuple(each for each in about.get("enum", ()) if isinstance(each, str))
        kind = about.get("type") if about.get("type") in KINDS else "string" if options else "json"
        label = f"{about.get('title') or name}" + (f": {about['description']}" if about.get("description") else "")
        required = name in (schema or {}).get("required", ())
        found.append(Field(f"{FIELD}{kind}:{name}", label, str(kind), required, options))
    return found


def answer_in(form: Mapping[str, str]) -> str:
    """Return the answer to a question: a text, or the JSON of its fields; raises FormError that names a wrong one."""
    fields = {name.removeprefix(FIELD): value for name, value in form.items() if name.startswith(FIELD)}
    if not fields:
        return form.get("answer", "")
    found: dict[str, Any] = {}
    for field, value in fields.items():
        kind, _, name = field.partition(":")
        try:
            if value or kind == "string":
                found[name] = value if kind == "string" else json.loads(value, parse_constant=_no_number)
        except ValueError as error:
            raise FormError(f"{name}: {value[:100]!r} is no {kind}") from error
    return json.dumps({name: value for name, value in found.items() if value != ""}, ensure_ascii=False)


def shown_arguments(text: str) -> str:
    """Lay out a gate's arguments for editing; "" where they are cut or elsewhere, and so cannot be edited here."""
    try:
        data = read_arguments(text)
    except FormError:
        return ""
    return escaped_json(json.dumps(data, indent=2, ensure_ascii=False))


def rows_of(shown: str) -> int:
    """Return how many rows a text takes on a page, so that nothing of it has to be scrolled to."""
    return min(200, max(4, sum(1 + len(line) // 32 for line in shown.splitlines())))


def edit_of(typed: str, shown: str) -> dict[str, Any] | None:
    """Return the arguments as a person changed them, None where they are as shown; raises FormError for wrong JSON."""
    if not shown:
        return None
    edited = read_arguments(typed)
    return None if _same(edited, read_arguments(shown)) else edited


@dataclass(frozen=True)
class BoundRow:
    """An argument by which an approval may be bounded: what it offers, and what the form had `chosen` and as the `most`."""

    name: str
    host: str
    number: bool
    chosen: str = ""
    most: str = ""


def bound_rows(arguments: str, form: Mapping[str, str]) -> list[BoundRow]:
    """List what an approval may be bounded by; nothing where the arguments are not there as data."""
    try:
        data = read_arguments(arguments)
    except FormError:
        return []
    return [
        BoundRow(one.name, one.host, one.number, form.get(f"bound-{at}", ""), form.get(f"most-{at}", ""))
        for at, one in enumerate(offers(data))
    ]


def bounds_of(form: Mapping[str, str]) -> Bounds:
    """Read the bounds that a person chose, a number that was typed among them; raises FormError."""
    wanted: dict[str, Any] = {}
    for at in range(OFFERED):
        name, chosen, most = (form.get(f"{field}-{at}", "").strip() for field in ("name", "bound", "most"))
        if chosen == "at_most":
            raise FormError(f"{name}: write the most that it may be")
        if chosen:
            wanted.setdefault(chosen, []).append(name)
        try:
            wanted.setdefault("at_most", {}).update({name: float(most)} if most else {})
        except ValueError as error:
            raise FormError(f"{name}: at most {most[:40]!r} is no number") from error
    bounds = read_bounds({field: names for field, names in wanted.items() if names} or True)
    if not isinstance(bounds, Bounds):
        raise FormError(str(bounds))
    return bounds


def read_arguments(text: str) -> dict[str, Any]:
    """Read arguments; raises FormError that says where they are wrong."""
    try:
        data = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise FormError(f"arguments: no JSON, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise FormError(f"arguments: {error}") from error
    if not isinstance(data, dict):
        raise FormError('arguments: give one JSON object with all of them: {"input": "…"}')
    return data


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    # As text, because Python takes 1, 1.0 and true for the same.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
