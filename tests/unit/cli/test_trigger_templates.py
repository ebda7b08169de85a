"""`triggers.toml` is read whole or refused by name, and a body fills a template with values as they are."""

from pathlib import Path
from typing import Any

import pytest

from outlast.cli.kinds import kinds
from outlast.server.triggers.templates import MissingFieldError, filled, key_in, read_triggers
from outlast.settings import Settings, SettingsError
from starter import build_app

BODY = {"issue": {"id": 7, "labels": [{"name": "bug"}], "title": "It {{body.issue.id}} fails"}, "open": True}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{body.issue.id}}", 7),
        (" {{ body.open }} ", True),
        ("{{body.issue.labels}}", [{"name": "bug"}]),
        ("{{body}}", BODY),
        ("#{{body.issue.id}} {{body.issue.labels.0.name}}: {{body.open}}", "#7 bug: true"),
        ("{{body.issue.title}}!", "It {{body.issue.id}} fails!"),  # what was sent is never a template
        ({"budget": {"usd": 0.5}, "steps": ["{{body.issue.id}}"]}, {"budget": {"usd": 0.5}, "steps": [7]}),
    ],
)
def test_a_body_fills_a_template(template: Any, value: Any) -> None:
    assert filled(template, BODY) == value


@pytest.mark.parametrize(
    "path", [".none", ".issue.none", ".issue.labels.1", ".issue.labels.name", ".issue.id.x", ".open.0"]
)
def test_what_the_body_lacks_is_named(path: str) -> None:
    with pytest.raises(MissingFieldError, match=f"body{path}: the body has no such field"):
        filled(f"about {{{{body{path}}}}}", BODY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[triggers.a", "TRIGGERS_FILE="),
        ("[triggers.a]\nrequest = {}", "triggers.a.workflow: Field required"),
        ('[triggers.a]\nworkflow = "plan"\nsecret = "x"', "triggers.a.secret: Extra inputs"),
        ('[triggers.a]\nworkflow = "nothing"', "triggers.a.workflow: 'nothing' cannot be started; known are agent"),
        ('[triggers.a]\nworkflow = "plan"\nrequest.tsk = "x"', "triggers.a.request.tsk: plan has no such field"),
        ('[triggers.a]\nworkflow = "plan"\nrequest.task = "{{task}}"', "placeholders are such as {{body.issue.title}}"),
    ],
)
def test_a_wrong_file_is_refused_by_its_entry(tmp_path: Path, text: str, said: str) -> None:
    build_app()
    file = tmp_path / "triggers.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_triggers(file, {kind.command: kind for kind in kinds() if kind.request})
    assert str(caught.value).startswith(f"TRIGGERS_FILE={file}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(("value", "key"), [(7, "t-7"), ("a b", "t-a b"), (0, "t-0"), (1.5, "t-1.5")])
def test_a_key_names_one_thing(value: Any, key: str) -> None:
    assert key_in("t-{{body.id}}", {"id": value}) == key


@pytest.mark.parametrize("value", [None, True, {"a": 1}, [1]])
def test_what_names_nothing_is_no_key(value: Any) -> None:
    """All deliveries without an id would be one run."""
    for template in ("t-{{body.id}}", "{{body.id}}"):
        with pytest.raises(MissingFieldError, match=r"body.id: the key of a run is made of texts and numbers"):
            key_in(template, {"id": value})


def test_no_file_is_no_triggers_and_one_that_is_named_must_be_there(tmp_path: Path) -> None:
    assert read_triggers(None, {}) == {}
    with pytest.raises(SettingsError, match=r"TRIGGERS_FILE=.*none.toml: there is no such file"):
        Settings(triggers_file=tmp_path / "none.toml").file_of("triggers_file")
