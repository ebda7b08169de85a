"""Reads stages as people write them: a JSON list, every problem named with its stage, its field and the fix.

Contracts ignore fields they do not know, so a misspelt `rubric` would silently be no review. Here it is a problem.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from outlast.cli.inputs import read_json
from outlast.cli.leaving import WRONG, LeavingError
from outlast.stages.contracts import Rubric, Stage

FIXES = {
    "name": "write 1 to 64 characters, the first no blank and none of them '·'",
    "goal": "say in words what the stage is to give",
    "agents": "list the names of agents; 'python starter.py agents' shows them",
    "max_steps": "write a number from 1 to 20",
    "output_schema": "write the JSON schema of an object, or leave it out",
    "rubric": "write an object with criteria, good_enough and rounds, or leave it out",
    "rubric.criteria": "list what a draft is judged by, in words",
    "rubric.good_enough": "write a score from 0 to 100",
    "rubric.rounds": "write a number from 1 to 10",
    "reviewer": "name one agent",
    "attempts": "write a number from 1 to 5",
}
FORM = 'write a list: [{"name": "draft", "goal": "The whole text.", "agents": ["writer"]}, …]'


def read_stages_file(file: Path, option: str) -> tuple[Stage, ...]:
    """Read stages from JSON (`-` for stdin); raises LeavingError with every problem."""
    stages, problems = read_stages(read_json(file, option))
    if problems:
        raise LeavingError(WRONG, f"{option} {file}: " + "; ".join(problems))
    return stages


def read_stages(data: Any) -> tuple[tuple[Stage, ...], list[str]]:
    """Read stages from JSON data, a list or an object with the list `stages`; returns them and what is wrong."""
    listed = data.get("stages") if isinstance(data, dict) else data
    if not isinstance(listed, list) or not listed:
        return (), [f"there is no list of stages; {FORM}"]
    stages: list[Stage] = []
    problems: list[str] = []
    for number, item in enumerate(listed, 1):
        name = item.get("name") if isinstance(item, dict) else None
        where = f"stage {number}" + (f" ({name!r})" if isinstance(name, str) else "")
        if not isinstance(item, dict):
            problems.append(f"{where}: it is not an object; {FORM}")
            continue
        problems += [f"{where}, {problem}" for problem in _unknown(item)]
        try:
            stages.append(Stage.model_validate(item))
        except ValidationError as error:
            problems += [f"{where}, {_form_problem(each['loc'], each['msg'])}" for each in error.errors()]
        else:
            problems += [f"{where}, {problem}" for problem in _schema_problems(stages[-1])]
    uses = Counter(stage.name for stage in stages)
    problems += [
        f"name: {times} stages are called {name!r}; give each its own" for name, times in uses.items() if times > 1
    ]
    return tuple(stages), problems


def _unknown(item: Mapping[str, Any]) -> Iterable[str]:
    yield from _unknown_in(item, Stage, "")
    if isinstance(item.get("rubric"), dict):
        yield from _unknown_in(item["rubric"], Rubric, "rubric.")


def _unknown_in(item: Mapping[str, Any], contract: type[BaseModel], before: str) -> Iterable[str]:
    known = list(contract.model_fields)
    for field in item:
        if field not in known:
            near = get_close_matches(field, known, 1)
            fix = f"write {before}{near[0]}" if near else f"use {', '.join(known)}"
            yield f"{before}{field}: there is no such field; {fix}"


def _form_problem(location: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    named = ".".join(part for part in location if isinstance(part, str))
    fix = FIXES.get(named) or FIXES.get(str(location[0]), "")
    return f"{path}: {message[0].lower()}{message[1:]}; {fix}"


def _schema_problems(stage: Stage) -> Iterable[str]:
    # Only here, because few stages have a schema, and this takes longer to import than everything else.
    from outlast.documents.parsing.schemas import schema_problem

    if stage.output_schema is None:
        return
    if stage.output_schema.get("type") != "object":
        yield f'output_schema: it does not describe an object; {FIXES["output_schema"]}, with "type": "object" at the top'
    if problem := schema_problem(stage.output_schema):
        yield f"output_schema: {problem}; {FIXES['output_schema']}"
