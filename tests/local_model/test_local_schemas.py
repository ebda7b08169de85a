"""Thirty varied schemas, answered by the real model: every answer parses and matches."""

import json
from typing import Any

import anthropic
import jsonschema
import pytest
from anthropic import AsyncAnthropic

pytestmark = pytest.mark.xdist_group("local_model")

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}


def record(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def listed(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


TREE = record(value=INTEGER, children=listed({"$ref": "#/$defs/Tree"}))
SCHEMAS: dict[str, dict[str, Any]] = {
    "string": record(answer=TEXT),
    "integer": record(count=INTEGER),
    "open number": record(amount={"type": "number"}),
    "bounded number": record(share={"type": "number", "minimum": 0, "maximum": 1}),
    "exclusive number": record(share={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    "decimal steps": record(price={"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 100}),
    "boolean": record(agreed={"type": "boolean"}),
    "null": record(nothing={"type": "null"}),
    "nullable": record(note={"anyOf": [TEXT, {"type": "null"}]}),
    "type list": record(size={"type": ["integer", "null"]}),
    "enum": record(colour={"enum": ["red", "green", "dark_blue"]}),
    "enum of one": record(version={"enum": ["v1"], "type": "string"}),
    "mixed enum": record(level={"enum": [1, 2, "many", None]}),
    "const alternatives": record(side={"oneOf": [{"const": "left"}, {"const": "right"}]}),
    "short string": record(code={"type": "string", "minLength": 2, "maxLength": 5}),
    "pattern": record(number={"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}),
    "date": record(day={"type": "string", "format": "date"}),
    "email and link": record(mail={"type": "string", "format": "email"}, link={"type": "string", "format": "uri"}),
    "open list": record(words=listed(TEXT)),
    "sized list": record(words=listed({"type": "string", "maxLength": 12}, minItems=2, maxItems=3)),
    "list of enums": record(days=listed({"enum": ["mon", "tue", "wed"]}, minItems=1)),
    "list of records": record(people=listed(record(name={"type": "string", "maxLength": 20}, age=INTEGER), maxItems=2)),
    "nested": record(outer=record(inner=record(leaf=TEXT))),
    "optional": {"type": "object", "properties": {"a": TEXT, "b": INTEGER}, "required": ["a"]},
    "free map": record(attributes={"type": "object", "additionalProperties": INTEGER}),
    "free object": {"type": "object"},
    "reference": {"$defs": {"Name": {"type": "string", "maxLength": 20}}, **record(name={"$ref": "#/$defs/Name"})},
    "recursion": {"$defs": {"Tree": TREE}, "$ref": "#/$defs/Tree"},
    "all of": record(name={"allOf": [TEXT, {"maxLength": 10}]}),
    "quotes and umlauts": record(**{'sch"ön\\': {"enum": ["ä", 'ö"x']}}),
    "tuple": record(
        pair={"type": "array", "prefixItems": [{"type": "boolean"}, INTEGER], "items": False, "minItems": 2}
    ),
    "root list": listed({"type": "string", "maxLength": 8}, maxItems=2),
}


@pytest.mark.parametrize("name", SCHEMAS)
async def test_answer_matches_the_schema(client: AsyncAnthropic, name: str) -> None:
    config: Any = {"format": {"type": "json_schema", "schema": SCHEMAS[name]}}
    message = await client.messages.create(
        model="m", max_tokens=160, messages=[{"role": "user", "content": "Invent an example."}], output_config=config
    )
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens <= 160
    text = message.content[0].text  # type: ignore[union-attr]
    jsonschema.validate(json.loads(text), SCHEMAS[name])


@pytest.mark.parametrize("schema", [record(answer=TEXT), record(colour={"enum": ["red", "green"]}), record(n=INTEGER)])
async def test_token_limit_is_told(client: AsyncAnthropic, schema: dict[str, Any]) -> None:
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    message = await client.messages.create(
        model="m", max_tokens=3, messages=[{"role": "user", "content": "Invent an example."}], output_config=config
    )
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 3


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (record(tags=listed(TEXT, uniqueItems=True)), "uniqueItems"),
        (record(a={"not": TEXT}), "not"),
        (record(a={"type": "strong"}), "strong"),
        (record(a={"$ref": "#/$defs/Nowhere"}), "Nowhere"),
        ({"$defs": {"A": record(a={"$ref": "#/$defs/A"})}, "$ref": "#/$defs/A"}, "itself"),
    ],
)
async def test_schema_that_cannot_be_kept_is_refused(
    client: AsyncAnthropic, schema: dict[str, Any], named: str
) -> None:
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    with pytest.raises(anthropic.BadRequestError, match=named):
        await client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}], output_config=config
        )
