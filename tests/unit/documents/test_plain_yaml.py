"""YAML from outside is small, flat and without aliases; everything else is an error that says so."""

from pathlib import Path

import pytest
import yaml

from outlast.agents.files import read_agents
from outlast.documents.formats.plain_yaml import MOST_CHARACTERS, read_yaml

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
)


def test_what_people_write_is_read() -> None:
    assert read_yaml("name: writer\ntools: [Read, Write]\nfallback:\n  - person\n") == {
        "name": "writer",
        "tools": ["Read", "Write"],
        "fallback": ["person"],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "alias"),
        ("a: &a\n  b: *a\n", "alias"),
        ("<<: *x\n", "alias"),
        ("[" * 20_000, "levels"),
        ("- " * 20_000, "levels"),
        ("x" * (MOST_CHARACTERS + 1), "characters"),
    ],
    ids=["doubled", "circle", "merge", "flow", "blocks", "long"],
)
def test_what_grows_when_it_is_read_is_refused(text: str, says: str) -> None:
    with pytest.raises(yaml.YAMLError, match=says):
        read_yaml(text)


def test_an_agent_file_with_a_bomb_is_read_as_the_text_it_is(tmp_path: Path) -> None:
    """Its aliases are never followed: a field that is no plain YAML is text, or one short problem."""
    (tmp_path / "bomb.md").write_text(f"---\n{BOMB}name: writer\ndescription: x\nmodel: *y\n---\nPrompt.\n")
    (tmp_path / "text.md").write_text(f"---\n{BOMB}name: other\ndescription: *y\n---\nPrompt.\n")
    agents, problems = read_agents(tmp_path)
    assert ["alias" in str(problem) for problem in problems] == [True]
    assert len(str(problems[0])) < 1000
    assert [agent.front.description for agent in agents] == ["*y"]
