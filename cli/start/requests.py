"""What `route` is given: requests, categories, and the name of a trained classifier, each checked before anything starts."""

import re
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from outlast.cli.inputs import read_bytes
from outlast.cli.leaving import WRONG, LeavingError
from outlast.command_line import command
from outlast.display import quoted
from outlast.routing.requests import MAX_REQUESTS, Category
from outlast.routing.tables import TableError, read_table, read_text
from outlast.routing.training import DEFAULT_NAME, router_name
from outlast.storage.activities import ContentStore

REFERENCE = re.compile(r"[A-Za-z0-9_-]{43}")
CATEGORIES = TypeAdapter(tuple[Category, ...])


def read_requests(request: str | None, file: Path | None) -> dict[str, str]:
    """Return requests by name: the one given, or those of a file by line or row; raises LeavingError."""
    if (request is None) == (file is None):
        raise LeavingError(WRONG, "give the request as REQUEST, or many of them by --file; one of the two")
    if file is None:
        text = (request or "").strip()
        if not text:
            raise LeavingError(WRONG, "REQUEST: say what is wanted")
        return {"request": text}
    try:
        found = _of_file(read_bytes(file, "--file"), file)
    except TableError as error:
        raise LeavingError(WRONG, f"--file {error}") from error
    if len(found) > MAX_REQUESTS:
        raise LeavingError(
            WRONG, f"--file {file}: {len(found)} requests, over {MAX_REQUESTS} for one run; split the file"
        )
    return found


def read_categories(file: Path) -> tuple[Category, ...]:
    """Read categories from JSON; raises LeavingError that names the field."""
    try:
        found = CATEGORIES.validate_python(from_json(read_bytes(file, "--categories"), allow_inf_nan=False))
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors())
        raise LeavingError(WRONG, f"--categories {file}: {listed}") from error
    except ValueError as error:
        raise LeavingError(WRONG, f"--categories {file}: not JSON: {error}; fix it there") from error
    if not found:
        raise LeavingError(WRONG, f"--categories {file}: there is none in it; write at least one")
    return found


async def trained_reference(store: ContentStore, given: str | None, url: str) -> str:
    """Find a trained classifier by its name or reference; raises LeavingError where nothing has been trained."""
    name = given if given is not None else DEFAULT_NAME
    kept = await store.recall(router_name(name))
    if kept is not None:
        return kept.decode()
    if REFERENCE.fullmatch(name):
        return name
    fix = command("train-router", "FILE") + ("" if name == DEFAULT_NAME else f" --name {quoted(name)}")
    raise LeavingError(
        WRONG, f"--trained {name!r}: no classifier of that name is in the content store ({url}); train it: '{fix}'"
    )


def _of_file(data: bytes, file: Path) -> dict[str, str]:
    if file.suffix.lower() != ".csv":
        lines = read_text(data, str(file)).splitlines()
        return {f"line {number}": line.strip() for number, line in enumerate(lines, 1) if line.strip()}
    table = read_table(data, str(file), ("text",))
    table.problems += [
        f"row {row.number}: 'text' is empty; write the request there or delete the row"
        for row in table.rows
        if not row.fields["text"]
    ]
    table.check()
    if not table.rows:
        raise TableError(f"{file}: there is no row below the header; write the requests there")
    return {f"row {row.number}": row.fields["text"] for row in table.rows}
