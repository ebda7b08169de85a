"""Stages as people write them: read as they stand, or every problem with its stage, its field and the fix."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.start.stages_file import FIXES, read_stages, read_stages_file
from outlast.agents.files import DEFAULTS, read_agents
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.runs.resuming import taken_over
from outlast.contracts import Content
from outlast.stages.contracts import Rubric, Stage, StageOutput
from outlast.stages.rules import problems_of
from tests.real_process import PROJECT

SAMPLE = PROJECT / "samples" / "stages" / "product-brief.json"


def written(**fields: Any) -> dict[str, Any]:
    return {"name": "draft", "goal": "A text."} | fields


def problem(**fields: Any) -> str:
    _, (only,) = read_stages([written(**fields)])
    return only


def test_the_sample_can_run_with_the_agents_there_are() -> None:
    stages = read_stages_file(SAMPLE, "--stages")
    agents, _ = read_agents(PROJECT / "agents", DEFAULTS)
    assert problems_of(stages, (), [agent.front.name for agent in agents], "planner") == []
    assert [stage.name for stage in stages] == ["research", "positioning", "draft", "review", "final"]
    assert stages[3].rubric is not None


@pytest.mark.parametrize("data", [[written()], {"stages": [written()]}], ids=["list", "object"])
def test_a_list_is_read_bare_or_in_an_object(data: Any) -> None:
    stages, problems = read_stages(data)
    assert problems == []
    assert stages == (Stage(name="draft", goal="A text."),)


@pytest.mark.parametrize("data", [None, {}, [], "draft", {"stages": {}}])
def test_what_is_no_list_of_stages_is_told_the_form(data: Any) -> None:
    stages, (only,) = read_stages(data)
    assert stages == ()
    assert only.startswith("there is no list of stages; write a list: [{")


PROBLEMS: list[tuple[dict[str, Any], str]] = [
    ({"name": "a · b"}, "stage 1 ('a · b'), name: "),
    ({"name": 5}, "stage 1, name: input should be a valid string; write 1 to 64 characters"),
    ({"goal": ""}, "stage 1 ('draft'), goal: string should have at least 1 character; say in words"),
    ({"agents": "writer"}, "stage 1 ('draft'), agents: input should be a valid tuple; list the names of agents"),
    ({"agents": ["writer", 5]}, "stage 1 ('draft'), agents[1]: input should be a valid string; list the names"),
    ({"max_steps": 21}, "stage 1 ('draft'), max_steps: input should be less than or equal to 20; write a number"),
    ({"attempts": 0}, "stage 1 ('draft'), attempts: input should be greater than or equal to 1; write a number"),
    ({"rubric": {"rounds": 11}}, "stage 1 ('draft'), rubric.rounds: input should be less than or equal to 10; write a"),
    ({"rubric": {"criteria": []}}, "stage 1 ('draft'), rubric.criteria: "),
    ({"rubrik": {}}, "stage 1 ('draft'), rubrik: there is no such field; write rubric"),
    ({"rubric": {"round": 3}}, "stage 1 ('draft'), rubric.round: there is no such field; write rubric.rounds"),
    ({"zzz": 1}, "stage 1 ('draft'), zzz: there is no such field; use name, goal, agents"),
    ({"output_schema": {"type": "array"}}, "stage 1 ('draft'), output_schema: it does not describe an object"),
    (
        {"output_schema": {"type": "object", "properties": 3}},
        "stage 1 ('draft'), output_schema: it is not a JSON schema at $.properties: 3 is not of type 'object'",
    ),
]


@pytest.mark.parametrize(("fields", "told"), PROBLEMS, ids=[told for _, told in PROBLEMS])
def test_a_problem_names_stage_field_and_fix(fields: dict[str, Any], told: str) -> None:
    assert problem(**fields).startswith(told)


def test_missing_fields_and_strangers_are_all_named_at_once() -> None:
    _, problems = read_stages([{"name": "a"}, "b", written(name="c"), written(name="c")])
    assert [one.split(";")[0] for one in problems] == [
        "stage 1 ('a'), goal: field required",
        "stage 2: it is not an object",
        "name: 2 stages are called 'c'",
    ]


def test_every_field_has_a_fix() -> None:
    nested = {f"rubric.{name}" for name in Rubric.model_fields}
    assert set(FIXES) == {*Stage.model_fields, *nested}


def test_a_file_that_is_no_json_is_told_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "stages.json"
    file.write_text('[\n  {"name": }\n]')
    with pytest.raises(LeavingError, match=r"--stages .*stages.json: not JSON at line 2, column 12") as caught:
        read_stages_file(file, "--stages")
    assert caught.value.code == WRONG


def test_a_file_with_problems_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "stages.json"
    file.write_text(json.dumps([{"name": "a"}]))
    with pytest.raises(LeavingError, match="goal: field required; say in words what the stage is to give"):
        read_stages_file(file, "--stages")


DONE = tuple(StageOutput(stage=name, content=Content(text=name)) for name in ("a", "b"))


@pytest.mark.parametrize(
    ("stopped_at", "from_stage", "kept"),
    [("c", None, "ab"), ("c", "c", "ab"), ("c", "b", "a"), ("c", "a", ""), ("", "b", "a")],
)
def test_a_run_goes_on_where_the_earlier_one_stopped_or_from_a_named_stage(
    stopped_at: str, from_stage: str | None, kept: str
) -> None:
    assert "".join(output.stage for output in taken_over(DONE, stopped_at, from_stage)) == kept


@pytest.mark.parametrize(
    ("stopped_at", "from_stage", "told"),
    [
        ("", None, "--resume: that run is complete; name the stage to do again with --from-stage: a, b"),
        ("c", "d", "--from-stage d: that run did not get so far; choose from a, b, c"),
        ("", "c", "--from-stage c: that run did not get so far; choose from a, b"),
    ],
)
def test_a_stage_to_go_on_from_must_be_one_that_the_earlier_run_reached(
    stopped_at: str, from_stage: str | None, told: str
) -> None:
    with pytest.raises(LeavingError) as caught:
        taken_over(DONE, stopped_at, from_stage)
    assert str(caught.value) == told
