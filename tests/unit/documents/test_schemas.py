"""JSON schemas from outside: nothing is fetched for them, what is wrong with them is said, and checking them ends."""

import json
from functools import partial
from typing import Any

import pytest
from mcp import ClientSession
from mcp.types import CallToolResult
from mcp.types import Tool as Listed
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError

from cli.start.stages_file import read_stages
from outlast.devstack.local_model.answering import _verify
from outlast.devstack.local_model.errors import ApiError
from outlast.documents.parsing.pool import PARSERS
from outlast.documents.parsing.schemas import SchemaInvalidError, schema_problem, violations
from outlast.errors import ErrorKind, kind_of
from outlast.llm.answers import read_answer
from outlast.tools.mcp.results import checking_session
from outlast.tools.mcp.specs import fitted
from tests.hostile_files import SCHEMAS

DEFINED = {"$defs": {"name": {"type": "string"}}, "type": "object", "properties": {"a": {"$ref": "#/$defs/name"}}}
PLAIN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.fixture
def remote(httpserver: HTTPServer) -> dict[str, Any]:
    """A schema that refers to a server on the loopback, which would answer."""
    httpserver.expect_request("/inner.json").respond_with_json({"type": "string"})
    return {"type": "object", "properties": {"a": {"$ref": httpserver.url_for("/inner.json")}}}


def test_nothing_is_fetched_wherever_a_schema_comes_from(remote: dict[str, Any], httpserver: HTTPServer) -> None:
    reference = remote["properties"]["a"]["$ref"]
    assert reference in schema_problem(remote)
    with pytest.raises(SchemaInvalidError, match=reference):
        violations({"a": 1}, remote)
    with pytest.raises(ApplicationError) as caught:
        read_answer('{"a": 1}', remote)
    assert kind_of(caught.value) is ErrorKind.INPUT_INVALID
    assert reference in caught.value.message
    stage = {"name": "draft", "goal": "x", "agents": ["writer"], "output_schema": remote}
    assert reference in read_stages([stage])[1][0]
    with pytest.raises(ApiError, match="not in it"):
        _verify({"a": 1}, remote)
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (PLAIN, ""),
        (DEFINED, ""),
        ({"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}}, ""),
        ({"enum": [{"$ref": "https://x.example"}]}, ""),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, ""),
        ({"$id": "https://x.example/a", "$ref": "b", "$defs": {"b": {"$id": "b", "type": "string"}}}, ""),
        ({"$ref": "#/$defs/none"}, "'#/$defs/none', which is not in it"),
        ({"items": {"$dynamicRef": "file:///etc/passwd"}}, "'file:///etc/passwd', which is not in it"),
        ({"type": 3}, "at $.type"),
        ({"pattern": "("}, "no regular expression that Python knows"),
        ({"patternProperties": {"\\p{L}": {}}}, "no regular expression that Python knows"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said(schema: dict[str, Any], says: str) -> None:
    assert says in schema_problem(schema) if says else schema_problem(schema) == ""


@pytest.mark.parametrize("depth", [60, 5000])
def test_a_schema_may_be_nested_only_so_deep(depth: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"items": schema}
    assert schema_problem(schema) == ("" if depth < 100 else "it is nested too deeply")


@pytest.mark.parametrize("schema", [PLAIN, DEFINED | {"required": ["a"]}], ids=["here", "apart"])
def test_both_ways_to_check_say_the_same(schema: dict[str, Any]) -> None:
    assert violations({"a": "x"}, schema) == ()
    assert violations({"a": 1}, schema) == ("$.a: 1 is not of type 'string'",)
    assert violations({}, schema) == ("$: 'a' is a required property",)


def test_a_plain_schema_is_checked_without_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PARSERS, "run_blocking", None)
    assert violations({"a": 1}, PLAIN)
    assert schema_problem(PLAIN) == ""
    with pytest.raises(TypeError):
        violations({"a": 1}, DEFINED)


def test_at_most_ten_faults_are_told_and_none_at_length() -> None:
    found = violations(["x" * 10_000] * 40, {"items": {"type": "integer"}})
    assert len(found) == 10
    assert all(len(each) <= 300 for each in found)


def test_an_answer_that_cannot_be_checked_is_a_final_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.documents.parsing.schemas.CHECK_SECONDS", 0.5)
    value, schema = SCHEMAS["pattern"]
    with pytest.raises(ApplicationError, match="of computing; simplify its patterns") as caught:
        read_answer(json.dumps({"a": value}), {"properties": {"a": schema}})
    assert (kind_of(caught.value), caught.value.non_retryable) == (ErrorKind.INPUT_INVALID, True)


def test_patterns_that_only_other_languages_know_do_not_take_a_tool_away() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^\\p{L}+$"}}}
    [tool] = fitted("docs", [Listed(name="look", inputSchema=schema)])
    assert (tool.spec is not None, tool.changed) == (True, "")
    assert violations({"a": "!"}, schema) == ()
    assert violations({"a": 1}, schema) == ("$.a: 1 is not of type 'string'",)


async def test_what_an_mcp_tool_returns_is_checked_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.documents.parsing.schemas.CHECK_SECONDS", 0.5)
    value, schema = SCHEMAS["pattern"]
    read, write = object(), object()
    session: Any = checking_session()(read, write)  # type: ignore[arg-type]
    session._tool_output_schemas["look"] = {"properties": {"a": schema, "b": {"type": "string"}}}
    checked = partial(session._validate_tool_result, "look")
    await checked(CallToolResult(content=[], structuredContent={"b": "x"}))
    with pytest.raises(RuntimeError, match="1 is not of type 'string'"):
        await checked(CallToolResult(content=[], structuredContent={"b": 1}))
    with pytest.raises(RuntimeError, match="of computing"):
        await checked(CallToolResult(content=[], structuredContent={"a": value}))
    assert "_validate_tool_result" in vars(ClientSession), "the SDK has another name for it, and would check by itself"
