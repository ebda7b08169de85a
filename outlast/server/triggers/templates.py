"""Reads `triggers.toml`, and fills the request of a trigger from what somebody sent."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.cli.kinds import RunKind
from outlast.settings.base import SettingsError

PLACE = re.compile(r"\{\{\s*body((?:\.[\w-]+)*)\s*\}\}")
"""A placeholder: `{{body.issue.title}}`, `{{body.items.0.name}}`, or `{{body}}` for all of it."""


class MissingFieldError(LookupError):
    """A body lacks what a template takes from it."""


class Trigger(BaseModel):
    """One table `[triggers.NAME]` of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow: str
    """The word of the workflow that it starts, as in `POST /workflows/{name}`."""
    key: str = ""
    """Template of the run's id. Default: NAME, and a hash of the body or the id of its delivery."""
    request: dict[str, Any] = Field(default_factory=dict)
    """Template of the request: the workflow's fields, with placeholders in their texts."""


class TriggersFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    triggers: dict[str, Trigger] = Field(default_factory=dict)
    """The triggers by name."""


def read_triggers(file: Path | None, kinds: dict[str, RunKind]) -> dict[str, Trigger]:
    """Read the file, none being no triggers; raises SettingsError that names TRIGGERS_FILE and the wrong entry."""
    import tomllib

    if file is None:
        return {}
    try:
        found = TriggersFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig"))).triggers
        for name, trigger in found.items():
            _check(name, trigger, kinds)
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        raise SettingsError(f"TRIGGERS_FILE={file}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"TRIGGERS_FILE={file}: {error}") from error
    return found


def filled(template: Any, body: Any) -> Any:
    """Fill a template; raises MissingFieldError. A text that is one placeholder alone becomes the value itself."""
    if isinstance(template, dict):
        return {name: filled(each, body) for name, each in template.items()}
    if isinstance(template, list):
        return [filled(each, body) for each in template]
    if not isinstance(template, str):
        return template
    if alone := PLACE.fullmatch(template.strip()):
        return _at(alone[1], body)
    return PLACE.sub(lambda found: _text(_at(found[1], body)), template)


def _at(path: str, body: Any) -> Any:
    value = body
    for name in path.split(".")[1:]:
        try:
            value = value[int(name) if isinstance(value, list) else name]
        except (LookupError, TypeError, ValueError):
            raise MissingFieldError(f"body{path}: the body has no such field") from None
    return value


def key_in(template: str, body: Any) -> str:
    """Fill the template of a run's id; raises MissingFieldError for a field that is no text or number, which names nothing."""
    for path in PLACE.findall(template):
        if isinstance(value := _at(path, body), dict | list | bool | None):
            raise MissingFieldError(
                f"body{path}: the key of a run is made of texts and numbers, not {_text(value)[:40]}"
            )
    return str(filled(template, body))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _check(name: str, trigger: Trigger, kinds: dict[str, RunKind]) -> None:
    kind = kinds.get(trigger.workflow)
    if kind is None:
        raise ValueError(
            f"triggers.{name}.workflow: {trigger.workflow!r} cannot be started; known are {', '.join(kinds)}"
        )
    fields = kind.load_request().model_fields
    if unknown := sorted(set(trigger.request) - set(fields)):
        raise ValueError(f"triggers.{name}.request.{unknown[0]}: {trigger.workflow} has no such field")
    for text in _texts([trigger.key, trigger.request]):
        if "{{" in PLACE.sub("", text):
            raise ValueError(f"triggers.{name}: {text!r}: placeholders are such as {{{{body.issue.title}}}}")


def _texts(template: Any) -> list[str]:
    if isinstance(template, dict | list):
        parts = template.values() if isinstance(template, dict) else template
        return [text for each in parts for text in _texts(each)]
    return [template] if isinstance(template, str) else []
