"""What a browser sends: fields of a form, and the arguments of an action as a person changed them.

Arguments that were only shown must not come back as an edit, because an edit is another action that somebody else has
to approve. So what was shown is compared as data, not as text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qs

from outlast.approvals.standing.bounds import host_of, read_bounds
from outlast.contracts import Bounds
from outlast.display import escaped_json

LARGEST = 256 * 1024
"""Most bytes of a form."""
FIELDS = 120
BOUNDS = 20
"""Arguments by which the form offers bounds."""


class FormError(Exception):
    """A form cannot be taken; the message names the field and the fix."""


def read_form(body: bytes) -> dict[str, str]:
    """Read the fields of an urlencoded form; raises FormError."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError as error:
        raise FormError("the form cannot be read; load the page again") from error
    return {name: values[-1].replace("\r\n", "\n") for name, values in fields.items()}


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
    rows = []
    for at, (name, value) in enumerate(list(data.items())[:BOUNDS]):
        number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        chosen, most = form.get(f"bound-{at}", ""), form.get(f"most-{at}", "")
        rows.append(BoundRow(name, host_of(value) or "", number, chosen, most))
    return rows


def bounds_of(form: Mapping[str, str]) -> Bounds:
    """Read the bounds that a person chose, a number that was typed among them; raises FormError."""
    wanted: dict[str, Any] = {}
    for at in range(BOUNDS):
        name, chosen, most = (form.get(f"{field}-{at}", "").strip() for field in ("name", "bound", "most"))
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
