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
    """An argument by which an approval may be bounded: the bounds that it can have, and what was chosen in the form."""

    name: str
    value: str
    bounds: tuple[tuple[str, str], ...]
    chosen: str = ""
    most: str = ""


def bound_rows(arguments: str, form: Mapping[str, str]) -> list[BoundRow]:
    """List what an approval may be bounded by; nothing where the arguments are not there as data."""
    try:
        data = read_arguments(arguments)
    except FormError:
        return []
    rows = []
    for number, (name, value) in enumerate(list(data.items())[:BOUNDS]):
        bounds = [("same", "only this value")]
        if host := host_of(value):
            bounds.append(("same_host", f"only {host}"))
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            bounds.append(("at_most", "at most"))
        given = (form.get(f"bound-{number}", ""), form.get(f"most-{number}", str(value) if len(bounds) > 1 else ""))
        rows.append(BoundRow(name, " ".join(str(value).split())[:60], tuple(bounds), *given))
    return rows


def bounds_of(form: Mapping[str, str]) -> Bounds:
    """Read the bounds that a person chose; raises FormError."""
    wanted: dict[str, Any] = {}
    for number in range(BOUNDS):
        name, chosen = form.get(f"name-{number}", ""), form.get(f"bound-{number}", "")
        if chosen == "at_most":
            most = form.get(f"most-{number}", "")
            try:
                wanted.setdefault(chosen, {})[name] = float(most)
            except ValueError as error:
                raise FormError(f"{name}: at most {most[:40]!r} is no number") from error
        elif chosen:
            wanted.setdefault(chosen, []).append(name)
    bounds = read_bounds(wanted or True)
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
