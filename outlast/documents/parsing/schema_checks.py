"""JSON schemas and values checked against them, without ever fetching what a schema refers to.

Pure functions; their callers bound what they cost (`outlast.documents.parsing.schemas`): a pattern or a web of references
can keep a checker busy forever.
"""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from jsonschema_specifications import REGISTRY
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

MOST_SHOWN = 10
SHOWN_CHARACTERS = 300

_REFERENCES = ("$ref", "$dynamicRef")
_VALUES = ("enum", "const", "default", "examples")
"""Keywords that hold values, not schemas: a "$ref" in one of them is data."""
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
"""Keywords whose keys are names of the schema's author, not keywords."""


class SchemaInvalidError(ValueError):
    """A schema cannot be used; the message says why."""


def find_problem(schema: Any, *, patterns: bool = True) -> str:
    """Return what is wrong with a schema, or ""; with `patterns`, also which regular expressions Python does not know."""
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
        for reference in _found(schema, _REFERENCES):
            _resolve(schema, reference)
        for pattern in _patterns(schema) if patterns else ():
            if problem := _pattern_problem(pattern):
                return problem
    except SchemaError as error:
        return f"it is not a JSON schema at {error.json_path}: {error.message}"[:SHOWN_CHARACTERS]
    except SchemaInvalidError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    return ""


def find_violations(value: Any, schema: Any) -> list[str]:
    """Return how a value breaks a schema, by path, `MOST_SHOWN` at most; raises SchemaInvalidError."""
    try:
        errors = sorted(_Validator(schema, registry=REGISTRY).iter_errors(value), key=_by_path)
    except Unresolvable as error:
        raise SchemaInvalidError(_not_fetched(getattr(error, "ref", str(error)))) from None
    except RecursionError:
        raise SchemaInvalidError("it refers to itself without end, or is nested too deeply") from None
    return [f"{error.json_path}: {error.message}"[:SHOWN_CHARACTERS] for error in errors[:MOST_SHOWN]]


def _by_path(error: ValidationError) -> list[str]:
    return list(map(str, error.absolute_path))


def _matches(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check a pattern; one that only other languages know (`\\p{L}`) is left to the author of the schema."""
    if not _pattern_problem(pattern):
        yield from Draft202012Validator.VALIDATORS["pattern"](validator, pattern, instance, schema)


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    known = {pattern: inner for pattern, inner in patterns.items() if not _pattern_problem(pattern)}
    yield from Draft202012Validator.VALIDATORS["patternProperties"](validator, known, instance, schema)


_Validator = extend(Draft202012Validator, {"pattern": _matches, "patternProperties": _pattern_properties})  # type: ignore[no-untyped-call]


def _pattern_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the pattern {pattern[:80]!r} is not a regular expression that Python knows: {error}"
    return ""


def _resolve(schema: Any, reference: Any) -> None:
    if not isinstance(reference, str):
        raise SchemaInvalidError(f"a reference is a text, not {reference!r}"[:SHOWN_CHARACTERS])
    resource = DRAFT202012.create_resource(schema)
    resolver = REGISTRY.with_resource("", resource).crawl().resolver()
    bases = [base for base in _found(schema, ("$id",)) if isinstance(base, str)]
    for base in ("", *bases):
        try:
            (resolver.lookup(base).resolver if base else resolver).lookup(reference)
        except Unresolvable:
            continue
        return
    raise SchemaInvalidError(_not_fetched(reference))


def _not_fetched(reference: object) -> str:
    return (
        f"it refers to {str(reference)[:200]!r}, which is not in it; nothing is fetched: put the definition into "
        "its own $defs and refer to '#/$defs/NAME'"
    )


def _found(schema: Any, keywords: tuple[str, ...]) -> Iterator[Any]:
    """Yield the values of keywords wherever they stand in a schema."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            yield from (node[keyword] for keyword in keywords if keyword in node)
            for keyword, inner in node.items():
                if keyword in _NAMED and isinstance(inner, dict):
                    waiting += inner.values()
                elif keyword not in _VALUES:
                    waiting.append(inner)


def _patterns(schema: Any) -> Iterator[str]:
    yield from (pattern for pattern in _found(schema, ("pattern",)) if isinstance(pattern, str))
    for named in _found(schema, ("patternProperties",)):
        yield from named if isinstance(named, dict) else ()
