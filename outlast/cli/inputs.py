"""What people hand in: files and plans, checked before anything starts, with every problem named at once."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.contracts import CheckpointPolicy, GatePolicy, Plan
from outlast.file_names import readable
from outlast.plans.checking import read_plan
from outlast.plans.order_words import bare
from outlast.plans.reading import FIELDS
from outlast.settings.base import seconds_of

STDIN = "-"
APPROVING = (*FIELDS["confirm"], *FIELDS["gate"])
"""Fields of a plan's step that let it wait for a person, by all their names."""
LONGEST_DELAY = 31_536_000.0
"""Longest that a run may wait before it begins, in seconds."""


def read_files(paths: list[Path], limit: int) -> list[tuple[str, bytes]]:
    """Read files as (name, bytes); raises LeavingError that names each one that cannot be handed in and why."""
    read: list[tuple[str, bytes]] = []
    problems: list[str] = []
    for path in paths:
        try:
            size = path.stat().st_size
            if path.is_dir():
                problems.append(f"{path} is a directory; pass files, for instance {path}/*.pdf")
            elif size > limit:
                fix = "split it, or raise MAX_DOCUMENT_BYTES for starter and worker"
                problems.append(f"{path} has {size:,} bytes, over MAX_DOCUMENT_BYTES={limit:,}; {fix}")
            elif size == 0 and path.is_file():
                problems.append(f"{path} is empty; hand in a file with text")
            else:
                read.append((readable(path.name), path.read_bytes()))
        except OSError as error:
            problems.append(f"{path} cannot be read ({error.strerror or error}); check the path and its permissions")
    if problems:
        raise LeavingError(WRONG, "nothing was started:\n  " + "\n  ".join(problems))
    return read


def read_task(task: str | None, file: Path | None) -> str:
    """Return the task from the command line or from a file (`-` for stdin)."""
    if task is not None and file is not None:
        raise LeavingError(WRONG, "give the task either as TASK or by --task-file, not both")
    if file is None:
        return task or ""
    return _read(file, "--task-file").strip()


def read_plan_file(file: Path, option: str) -> Plan:
    """Read a plan from JSON (`-` for stdin) and say what was read otherwise than written.

    Raises LeavingError with line and column, or with the field.
    """
    data = read_json(file, option)
    plan, problems, changes = read_plan(data, own=True)
    for change in changes:
        say(f"{option} {file}: {change.change}")
    if wrong := problems if plan is None else list(_lost_gates(data)):
        raise LeavingError(WRONG, f"{option} {file}: " + "; ".join(wrong))
    assert plan is not None
    return plan


def _lost_gates(data: Any, path: str = "") -> Iterator[str]:
    """Name what a person wrote about approvals that is read as nothing: without it a step would start unasked."""
    if isinstance(data, list):
        for position, each in enumerate(data):
            yield from _lost_gates(each, f"{path}[{position}]")
    elif isinstance(data, dict):
        for name, value in data.items():
            here = f"{path}.{name}".lstrip(".")
            if name == "gate" and isinstance(value, dict):
                known = ", ".join(GatePolicy.model_fields)
                yield from (f"{here}.{each}: there is no such field; known are {known}"
                            for each in value if each not in GatePolicy.model_fields)  # fmt: skip
            elif bare(name) not in APPROVING and (close := get_close_matches(bare(name), APPROVING, 1, 0.8)):
                yield f"{here}: there is no such field; did you mean {close[0]}?"
            else:
                yield from _lost_gates(value, here)


def read_checkpoint(given: str | None, *known: str) -> CheckpointPolicy | None:
    """Read `--checkpoint`, which this command knows in the `known` forms; raises LeavingError with what to write."""
    if given is None:
        return None
    try:
        read = CheckpointPolicy.model_validate(given)
    except ValidationError:
        read = None
    if read is None or read.when not in known:
        forms = " or ".join("steps=3,5" if form == "steps" else form for form in known)
        raise LeavingError(WRONG, f"--checkpoint {given}: this command does not stop there; write {forms}")
    return read


def read_json(file: Path, option: str) -> Any:
    """Read JSON (`-` for stdin); raises LeavingError with line and column."""
    text = _read(file, option)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise LeavingError(WRONG, f"{option} {file}: not JSON at {where}: {error.msg}; fix it there") from error
    except RecursionError as error:
        raise LeavingError(
            WRONG, f"{option} {file}: not JSON that can be read, because it is nested too deeply"
        ) from error


def _read(file: Path, option: str) -> str:
    try:
        # As bytes: Python reads standard input by the locale, some of which let everything through.
        return sys.stdin.buffer.read().decode("utf-8-sig") if str(file) == STDIN else file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LeavingError(WRONG, f"{option} {file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise LeavingError(WRONG, f"{option} {file} cannot be read ({error.strerror or error})") from error


def read_bytes(file: Path, option: str) -> bytes:
    """Read a file as it is (`-` for stdin); raises LeavingError naming the option."""
    try:
        return sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
    except IsADirectoryError as error:
        raise LeavingError(WRONG, f"{option} {file} is a directory; pass a file") from error
    except OSError as error:
        raise LeavingError(WRONG, f"{option} {file} cannot be read ({error.strerror or error})") from error


def read_delay(given: str | None) -> timedelta | None:
    """Read how long a run waits before it begins, such as `2h`; raises LeavingError for what is no such time."""
    if given is None:
        return None
    try:
        delay = float(str(seconds_of(given)))
    except ValueError as error:
        raise LeavingError(WRONG, f"--delay: {error}") from None
    if not 0 < delay <= LONGEST_DELAY:
        raise LeavingError(WRONG, f"--delay {given}: write more than 0 and at most {LONGEST_DELAY / 86_400:g}d")
    return timedelta(seconds=delay)
