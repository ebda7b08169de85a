"""What a parser process can do: each task takes bytes and arguments, and gives a small result and texts of any length.

Each imports its libraries when it is first asked for: a process that reads feeds needs no PDF library.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

Result = tuple[dict[str, Any], Sequence[str]]
Task = Callable[[bytes, dict[str, Any], Callable[[int], None]], Result]


def document(data: bytes, arguments: dict[str, Any], on_page: Callable[[int], None]) -> Result:
    """Read a document's text, in parts where `part_characters` is given."""
    from outlast.documents.formats.extraction import extract
    from outlast.documents.formats.splitting import split

    found = extract(data, arguments["name"], arguments["media_type"], on_page)
    longest = arguments["part_characters"]
    parts = split(found.text, longest) if longest else (found.text,)
    facts = {"media_type": found.media_type, "pages": found.pages, "characters": len(found.text)}
    return facts, parts


def feed(data: bytes, arguments: dict[str, Any], _: Callable[[int], None]) -> Result:
    """Read an RSS or Atom feed."""
    from outlast.documents.formats.feed import read_feed

    return {}, [json.dumps(asdict(read_feed(data, arguments["name"])))]


def schema(data: bytes, arguments: dict[str, Any], _: Callable[[int], None]) -> Result:
    """Return how a value breaks a JSON schema, or what is wrong with the schema itself."""
    from outlast.documents.parsing.schema_checks import SchemaInvalidError, find_problem, find_violations
    from outlast.errors import ErrorKind, non_retryable

    given = json.loads(data)
    if arguments["check"] == "schema":
        return {}, [find_problem(given["schema"], patterns=arguments["patterns"])]
    try:
        return {}, find_violations(given["value"], given["schema"])
    except SchemaInvalidError as error:
        raise non_retryable(ErrorKind.INPUT_INVALID, str(error)) from None


TASKS: dict[str, Task] = {task.__name__: task for task in (document, feed, schema)}
