"""Answers and arguments checked against JSON schemas, in bounded time.

Schemas come from people, servers and models. What is plain is checked here, in microseconds; what can take any time (regular
expressions, references, large values) is checked in a process of its own, and given up at a limit.
"""

import json
from typing import Any

from temporalio.exceptions import ApplicationError

from outlast.documents.parsing.limits import ParsingStoppedError
from outlast.documents.parsing.pool import PARSERS, Job
from outlast.documents.parsing.schema_checks import SchemaInvalidError, find_problem, find_violations

CHECK_SECONDS = 3.0
"""Most computing time for one check."""
PLAIN_WORK = 50_000
"""Largest product of the sizes of schema and value, in nodes, that is checked in this process."""
PLAIN_DEPTH = 50

_PLAIN = frozenset(
    (
        *("type", "required", "enum", "const", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$comment"),
    )
)
"""Keywords that cost no more than a look at the value."""
_ONE = frozenset({"items", "additionalProperties", "not", "if", "then", "else"})
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf"})

__all__ = ["SchemaInvalidError", "schema_problem", "violations"]


def schema_problem(schema: Any, *, patterns: bool = True) -> str:
    """Return what is wrong with a schema, or ""; `patterns` says whether regular expressions that Python does not know count.

    May wait for a parser process: call it in a thread (`PARSERS.off_loop`).
    """
    if _schema_size(schema):
        return find_problem(schema, patterns=patterns)
    try:
        return _apart({"schema": schema}, {"check": "schema", "patterns": patterns})[0]
    except SchemaInvalidError as error:
        return str(error)


def violations(value: Any, schema: Any) -> tuple[str, ...]:
    """Return how a value breaks a schema, each with its path, the first ten at most.

    May wait for a parser process: call it in a thread (`PARSERS.off_loop`). Raises SchemaInvalidError where the schema refers
    to what is not there, or checking it takes more than `CHECK_SECONDS`.
    """
    schema_size = _schema_size(schema)
    if schema_size and _value_size(value, PLAIN_WORK // schema_size):
        return tuple(find_violations(value, schema))
    return _apart({"value": value, "schema": schema}, {"check": "value"})


def _apart(given: dict[str, Any], arguments: dict[str, Any]) -> tuple[str, ...]:
    try:
        return PARSERS.run_blocking(Job("schema", json.dumps(given).encode(), arguments, CHECK_SECONDS)).texts
    except RecursionError:
        raise SchemaInvalidError("it is nested too deeply") from None
    except ApplicationError as error:
        raise SchemaInvalidError(error.message) from None
    except ParsingStoppedError as error:
        message = f"checking it {error}; simplify its patterns and references"
        raise SchemaInvalidError(message.replace(" to be read", "")) from None


def _schema_size(schema: Any) -> int:
    """Count the nodes of a schema of plain keywords only; 0 for any other."""
    size, waiting = 0, [(schema, 1)]
    while waiting:
        node, depth = waiting.pop()
        size += 1
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict) or size > PLAIN_WORK or depth > PLAIN_DEPTH:
            return 0
        for keyword, inner in node.items():
            if keyword == "properties" and isinstance(inner, dict):
                waiting += [(each, depth + 1) for each in inner.values()]
            elif keyword in _ONE:
                waiting.append((inner, depth + 1))
            elif keyword in _SEVERAL and isinstance(inner, list):
                waiting += [(each, depth + 1) for each in inner]
            elif keyword not in _PLAIN:
                return 0
            elif isinstance(inner, list):
                size += len(inner)
    return size


def _value_size(value: Any, most: int) -> int:
    """Count the nodes of a value; 0 for one with more than that many."""
    size, waiting = 0, [value]
    while waiting:
        node = waiting.pop()
        size += 1
        if size + len(waiting) > most:
            return 0
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return size
