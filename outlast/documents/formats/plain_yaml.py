"""YAML as people write it by hand: values, lists and mappings, without what makes a short text large or deep."""

from typing import Any

import yaml

MOST_CHARACTERS = 50_000
MOST_LEVELS = 50


def read_yaml(text: str) -> Any:
    """Read one document; raises yaml.YAMLError, also for aliases (`*name`), too long a text, and too many levels.

    An alias costs two letters and stands for any amount of data, written out in every message that holds the value.
    """
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text):,} characters, over the limit of {MOST_CHARACTERS:,}")
    level = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _problem("it uses an alias; write the value out", event)
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > MOST_LEVELS:
            raise _problem(f"it has more than {MOST_LEVELS} levels", event)
    return yaml.safe_load(text)


def _problem(text: str, event: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=event.start_mark)
