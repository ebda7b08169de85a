"""Tools of MCP servers as models are told of them: whatever a server lists, the Messages API takes it or it is left out."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.types import Tool as Listed

from outlast.contracts import Effect, ToolCard, ToolSpec
from outlast.documents.parsing.schemas import violations
from outlast.tools.mcp.specs import McpTool, fitted, given
from outlast.tools.toolsets import MOST_TOOLS, Listing, choose
from tests.doubles.mcp_two import EITHER, TOOLS


def tools(*schemas: dict[str, Any], name: str = "find") -> list[McpTool]:
    return fitted("docs", [Listed(name=f"{name}{at or ''}", inputSchema=one) for at, one in enumerate(schemas)])


def refused(spec: ToolSpec) -> str:
    """Say why the Messages API would refuse a tool, as far as its errors are known."""
    schema = spec.input_schema
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", spec.name):
        return f"name {spec.name}"
    if schema.get("type") != "object":
        return "input_schema.type"
    if "$schema" in schema:
        return "another draft"
    if combined := {"oneOf", "anyOf", "allOf", "$ref"} & {*schema}:
        return f"{combined} at the top"
    if wrong := [key for key in schema.get("properties", {}) if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", key)]:
        return f"property keys {wrong}"
    if not Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema):
        return "no schema"  # judged without formats: other languages know other patterns
    return ""


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"inner": schema}}
    return schema


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
PAGE = {"type": "object", "properties": {"id": TEXT}, "required": ["id"]}
SCHEMAS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # a schema, arguments as a model gives them, and as the server gets them
    "plain": (PAGE, {"id": "7"}, {"id": "7"}),
    "oneOf": (EITHER, {"input": {"id": "7"}}, {"id": "7"}),
    "anyOf": ({"anyOf": [PAGE, {"type": "object", "properties": {"n": NUMBER}}]}, {"input": {"id": "7"}}, {"id": "7"}),
    "allOf": ({"type": "object", "allOf": [PAGE]}, {"input": {"id": "7"}}, {"id": "7"}),
    "a reference at the top": ({"$ref": "#/$defs/Page", "$defs": {"Page": PAGE}}, {"input": {"id": "7"}}, {"id": "7"}),
    "a reference to itself": (
        {"type": "object", "properties": {"sub": {"$ref": "#"}, "id": TEXT}, "oneOf": [{"required": ["id"]}]},
        {"input": {"id": "7", "sub": {"id": "8"}}},
        {"id": "7", "sub": {"id": "8"}},
    ),
    "a reference to a sibling": (
        {"properties": {"a": NUMBER, "b": {"$ref": "#/properties/a"}}, "anyOf": [{"required": ["b"]}]},
        {"input": {"b": 1}},
        {"b": 1},
    ),
    "an older draft": (
        {"$schema": "http://json-schema.org/draft-07/schema#", **PAGE, "definitions": {"x": TEXT}},
        {"id": "7"},
        {"id": "7"},
    ),
    "places in a list": (
        {"type": "object", "properties": {"at": {"type": "array", "items": [NUMBER, NUMBER]}}},
        {"at": [1, 2]},
        {"at": [1, 2]},
    ),
    "no type": ({"properties": {"id": TEXT}}, {"id": "7"}, {"id": "7"}),
    "nothing": ({}, {"id": "7"}, {"id": "7"}),
    "several types": ({"type": ["object", "null"], "properties": {"id": TEXT}}, {"id": "7"}, {"id": "7"}),
    "property names": (
        {"type": "object", "properties": {"$filter": TEXT, "_filter": TEXT, "ids[]": TEXT}, "required": ["$filter"]},
        {"_filter_0c097d40": "x", "_filter": "y", "ids__": "z"},
        {"$filter": "x", "_filter": "y", "ids[]": "z"},
    ),
    "a long property name": (
        {"type": "object", "properties": {"x" * 70: TEXT}},
        {"x" * 64: "7"},
        {"x" * 70: "7"},
    ),
    "the first draft's required": (
        {"type": "object", "properties": {"id": {"type": "string", "required": True}}},
        {"id": "7"},
        {"id": "7"},
    ),
    "an unknown type": ({"type": "object", "properties": {"id": {"type": "any"}}}, {"id": "7"}, {"id": "7"}),
    "a reference to another address": (
        {"type": "object", "properties": {"id": {"$ref": "https://h.test/schema.json"}}},
        {"id": "7"},
        {"id": "7"},
    ),
    "a reference that leads nowhere": (
        {"type": "object", "properties": {"id": {"$ref": "#/$defs/Gone"}}},
        {"id": "7"},
        {"id": "7"},
    ),
    "a circle of references": ({"type": "object", "$ref": "#"}, {"id": "7"}, {"id": "7"}),
    "a pattern of another language": (
        {"type": "object", "properties": {"id": {"type": "string", "pattern": r"^\p{L}+$"}}},
        {"id": "7"},
        {"id": "7"},
    ),
    "very deep": (nested(300), {"inner": {"inner": {}}}, {"inner": {"inner": {}}}),
    "very large": (
        {"type": "object", "properties": {f"p{at}": {"type": "string", "description": "x" * 900} for at in range(150)}},
        {"p1": "7"},
        {"p1": "7"},
    ),
}


UNCHANGED = ("plain", "an older draft", "a pattern of another language", "no type", "nothing", "several types")


@pytest.mark.parametrize("said", SCHEMAS)
def test_a_schema_that_the_api_refuses_is_made_fit_and_the_call_is_what_the_server_wants(said: str) -> None:
    schema, model_gives, server_gets = SCHEMAS[said]
    [tool] = tools(schema)
    assert tool.spec is not None
    assert refused(tool.spec) == ""
    assert bool(tool.changed) == (said not in UNCHANGED)
    assert given(tool.spec, model_gives) == server_gets
    assert violations(model_gives, tool.spec.input_schema) == ()


def test_a_wrapped_schema_still_says_what_is_wrong() -> None:
    [tool] = tools(EITHER)
    assert tool.spec is not None
    check = Draft202012Validator(tool.spec.input_schema)
    assert not check.is_valid({"input": {}})
    assert not check.is_valid({"id": "7"})
    assert not check.is_valid({"input": "7"})


@pytest.mark.parametrize("kind", ["array", "string", ["null", "integer"]])
def test_what_takes_no_object_is_left_out(kind: Any) -> None:
    [tool] = tools({"type": kind})
    assert (tool.spec, tool.changed) == (None, f"its input is {kind}, and not an object")


def test_every_tool_has_a_name_of_its_own_that_the_api_takes() -> None:
    names = ["note.append", "note_append", "note/append", "ä" * 80, "x" * 80, "x" * 81, "plain", "plain"]
    found = fitted("docs", [Listed(name=name, inputSchema={"type": "object"}) for name in names])
    assert [tool.name for tool in found] == list(dict.fromkeys(names))
    specs = [tool.spec for tool in found if tool.spec]
    assert [refused(spec) for spec in specs] == [""] * 7
    assert len({spec.name for spec in specs}) == 7
    assert (specs[0].name, specs[-1].name) == ("mcp__docs__note_append", "mcp__docs__plain")
    again = fitted("docs", [Listed(name=name, inputSchema={"type": "object"}) for name in names])
    assert [tool.card for tool in again] == [tool.card for tool in found]


def listing(server: str, count: int) -> list[McpTool]:
    names = [f"mcp__{server}__t{at}" for at in range(count)]
    specs = [ToolSpec(name=name, description="", input_schema={}) for name in names]
    cards = [ToolCard(name=name, effect=Effect.READ, server=server) for name in names]
    return [McpTool(card, spec, f"t{at}") for at, (card, spec) in enumerate(zip(cards, specs, strict=True))]


def test_too_many_tools_are_left_out_but_not_those_that_are_named() -> None:
    chosen = choose(["mcp__big", "mcp__big__t150"], [], {}, {"big": listing("big", 200)})
    assert len(chosen.tools) == MOST_TOOLS
    assert next(iter(chosen.tools)) == "mcp__big__t150"
    assert (chosen.missing, chosen.notices) == ([], ["72 of 200 tools are left out, from mcp__big__t127 on"])


def test_a_star_means_all_there_is_and_a_server_that_is_away_is_then_no_loss() -> None:
    chosen = choose(
        ["*"], ["mcp__db__t1", "mcp__web"], {}, {"db": listing("db", 3), "web": listing("web", 2), "off": "it is off"}
    )
    assert list(chosen.tools) == ["mcp__db__t0", "mcp__db__t2"]
    assert (chosen.missing, chosen.notices) == ([], ["it is off"])


def test_what_is_named_and_lacks_is_missing_and_the_rest_is_a_notice() -> None:
    [_, _, _, _, count] = fitted("two", [Listed.model_validate(tool) for tool in TOOLS])
    listings: dict[str, Listing] = {"two": [count], "off": "it is off"}
    names = [
        "Bash",
        "TodoWrite",
        "Task(x)",
        "WebFetch",
        "mcp__off__x",
        "mcp__off",
        "mcp__none__x",
        "mcp__two__count",
        "mcp__two",
    ]
    chosen = choose(names, [], {}, listings)
    assert chosen.missing == [
        "Bash",
        "WebFetch (the worker has no FETCH_ALLOW)",
        "mcp__off__x (it is off)",
        "mcp__off (it is off)",
        "mcp__none__x (no MCP server 'none' is configured)",
        "mcp__two__count (its input is array, and not an object)",
    ]
    assert [notice.split(" ")[0] for notice in chosen.notices] == ["TodoWrite", "Task(x)", "mcp__two__count"]
