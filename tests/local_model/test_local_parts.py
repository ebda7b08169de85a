"""The pure parts: schemas, choices, prompts, assembly. No server."""

import asyncio
from typing import Any

import anthropic
import jsonschema
import pytest
from pydantic import BaseModel, Field

from outlast.devstack.local_model import assembly, dialect, prompting
from outlast.devstack.local_model.errors import ApiError
from outlast.devstack.local_model.messages import Message, MessageRequest
from outlast.devstack.local_model.queueing import Gate
from outlast.devstack.local_model.schema import fitted, longest


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}
UNKNOWN_TO_THE_COMPILER = {"uniqueItems", "title", "default", "not", "oneOf", "allOf", "$ref", "$defs", "contains"}


def keywords(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(keywords, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    named = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
    inner = [schema.get("items"), *schema.get("anyOf", []), *schema.get("prefixItems", []), *named]
    return set(schema) | keywords(inner)


class TestFitted:
    def test_everything_open_is_closed(self) -> None:
        schema = fitted(record(a=TEXT, b={"type": "array", "items": {"type": "number"}}, c={}), 500, strict=True)
        a, b, c = schema["properties"].values()
        assert a["maxLength"] == 400
        assert b["maxItems"] == 6
        assert b["items"] == {"type": "number", "minimum": -(10**9), "maximum": 10**9, "multipleOf": 0.001}
        assert {branch["type"] for branch in c["anyOf"]} == {"string", "number", "boolean", "null"}
        assert schema["additionalProperties"] is False

    @pytest.mark.parametrize("tokens", [40, 100, 200, 400])
    def test_longest_answer_fits_the_tokens(self, tokens: int) -> None:
        schema = record(a=TEXT, b=TEXT, c={"type": "array", "items": TEXT})
        assert longest(fitted(schema, tokens, strict=True)) / 3.5 <= tokens

    def test_bounds_of_the_caller_are_kept_when_they_are_tighter(self) -> None:
        schema = fitted(record(a={"type": "string", "maxLength": 7, "minLength": 3}), 500, strict=True)
        assert schema["properties"]["a"] == {"type": "string", "minLength": 3, "maxLength": 7}

    def test_least_sizes_widen_ours(self) -> None:
        wanted = record(a={"type": "array", "items": TEXT, "minItems": 9}, b={"type": "string", "minLength": 900})
        schema = fitted(wanted, 50, strict=True)
        assert schema["properties"]["a"]["maxItems"] == 9
        assert schema["properties"]["b"]["maxLength"] == 900

    def test_only_keywords_that_the_compiler_knows_are_left(self) -> None:
        tools = record(
            a={"type": "array", "uniqueItems": True, "items": {"allOf": [TEXT, {"title": "x"}]}},
            b={"oneOf": [TEXT, {"type": "null"}], "default": None},
            c={"$ref": "#/$defs/C"},
        ) | {"$defs": {"C": {"type": "object", "additionalProperties": {"type": "integer"}}}}
        assert not keywords(fitted(tools, 400, strict=False)) & UNKNOWN_TO_THE_COMPILER
        with pytest.raises(ApiError, match="uniqueItems"):
            fitted(tools, 400, strict=True)

    def test_recursion_ends(self) -> None:
        tree = record(value={"type": "integer"}, children={"type": "array", "items": {"$ref": "#"}})
        schema = fitted(tree, 400, strict=True)
        level = 0
        while "items" in (children := schema["properties"]["children"]):
            schema, level = children["items"], level + 1
        assert level == 2
        assert children == {"const": []}

    def test_constraints_that_the_sdk_moved_are_read_back(self) -> None:
        class Answer(BaseModel):
            text: str = Field(max_length=50, min_length=5, description="Some text.")
            share: float = Field(ge=0, le=1)
            items: list[str] = Field(max_length=2)

        moved = anthropic.transform_schema(Answer)
        assert "maxLength" not in moved["properties"]["text"]
        text, share, items = fitted(moved, 400, strict=True)["properties"].values()
        assert (text["minLength"], text["maxLength"]) == (5, 50)
        assert (share["minimum"], share["maximum"]) == (0, 1)
        assert items["maxItems"] == 2

    def test_what_matches_ours_matches_the_callers(self) -> None:
        wanted = record(a={"type": ["string", "null"]}, b={"type": "object", "additionalProperties": TEXT})
        ours = fitted(wanted, 400, strict=True)
        values: list[Any] = [{"a": None, "b": {}}, {"a": "x", "b": {"key": "y"}}]
        for value in values:
            jsonschema.validate(value, ours)
            jsonschema.validate(value, wanted)

    def test_hint_of_an_enum_class_and_of_its_field_both_survive(self) -> None:
        schema = {"$defs": {"Kind": {"enum": ["a", "b"], "description": "Cue: It is"}}} | record(
            kind={"$ref": "#/$defs/Kind", "description": "The kind."}
        )
        assert fitted(schema, 99, strict=True)["properties"]["kind"]["description"] == "The kind.\nCue: It is"


class TestPrompting:
    def test_document_is_the_last_tagged_part(self) -> None:
        text = 'Do it.\n<part label="a > b">\nfirst\n</part>\n<document>\nsecond\n</document>\nEnd.'
        before, document, after = prompting.around_document(text)
        assert document == "second"
        assert before + document + after == text

    def test_without_tags_all_is_the_document(self) -> None:
        assert prompting.around_document("just text") == ("", "just text", "")

    def test_neighbours_of_one_role_are_joined(self) -> None:
        turns = [("user", "a"), ("user", "b"), ("assistant", "c")]
        assert prompting.merged(turns) == [("user", "a\n\nb"), ("assistant", "c")]

    def test_wanted_form_leaves_out_notes_for_the_scorer(self) -> None:
        schema = record(
            a={**TEXT, "description": "The name. Label words: x=y. Cue: It is\n\n{maxLength: 3}"}, b={"const": 1}
        )
        assert prompting.form(schema) == "Reply with JSON, with these fields: a (The name)."

    @pytest.mark.parametrize(
        ("text", "tidy"),
        [
            ("It rains today. The bus is la", "It rains today."),
            ("It costs $31. Then the bus wa", "It costs $31. Then the bus"),
            ("unbreakablelongword", "unbreakablelongword"),
        ],
    )
    def test_cut_strings_end_with_a_sentence_or_word(self, text: str, tidy: str) -> None:
        schema = record(a={"type": "string", "maxLength": len(text)})
        assert prompting.tidied({"a": text}, schema) == {"a": tidy}
        uncut = record(a={"type": "string", "maxLength": len(text) + 1})
        assert prompting.tidied({"a": text}, uncut) == {"a": text}


class TestAssembly:
    SCHEMA = fitted(
        record(kind={"enum": ["a", "b"]}, about=TEXT, version={"const": 2}, deep=record(n={"type": "integer"}, t=TEXT)),
        400,
        strict=True,
    )

    def test_rest_and_parts_make_the_whole_in_order(self) -> None:
        parts = {("about",): "A.", ("deep", "t"): "T."}
        rest = assembly.remaining(self.SCHEMA, parts)
        assert rest is not None
        assert list(rest["properties"]) == ["kind", "deep"]
        assert list(rest["properties"]["deep"]["properties"]) == ["n"]
        value = assembly.filled(self.SCHEMA, {"kind": "a", "deep": {"n": 3}}, parts)
        assert list(value.items()) == [("kind", "a"), ("about", "A."), ("version", 2), ("deep", {"n": 3, "t": "T."})]

    def test_nothing_remains_when_all_is_known(self) -> None:
        parts = {("kind",): "b", ("about",): "A.", ("deep", "t"): "T.", ("deep", "n"): 1}
        assert assembly.remaining(self.SCHEMA, parts) is None

    def test_prose_is_open_text_that_is_required(self) -> None:
        schema = fitted(
            {
                "type": "object",
                "properties": {
                    "summary": TEXT,
                    "points": {"type": "array", "items": TEXT},
                    "code": {"type": "string", "maxLength": 8},
                    "day": {"type": "string", "format": "date"},
                    "optional": TEXT,
                },
                "required": ["summary", "points", "code", "day"],
            },
            600,
            strict=True,
        )
        assert [path for path, _ in assembly.prose(schema)] == [("summary",), ("points",)]

    def test_lines_become_items(self) -> None:
        node = {"type": "array", "items": {"type": "string", "maxLength": 40}, "minItems": 1, "maxItems": 3}
        text = "The facts are:\n1. **One** thing\n- One thing\n* Two\n\n3) Two\nbroken of"
        assert assembly.as_items(text, node, cut=True) == ["One thing", "Two"]
        assert assembly.as_items("", node, cut=False) is None

    def test_text_that_does_not_fit_is_left_to_the_grammar(self) -> None:
        node = {"type": "string", "minLength": 30, "maxLength": 40}
        assert assembly.as_string("Too short.", node, cut=False) is None
        assert assembly.as_string('"Quoted."', {"type": "string", "maxLength": 40}, cut=False) == "Quoted."


class TestQueueing:
    async def test_places_are_given_back_once_whatever_happened(self) -> None:
        gate = Gate(places=1, queue=1)
        working, waiting = gate.enter(), gate.enter()
        with pytest.raises(ApiError, match="Overloaded"):
            gate.enter()
        await working.turn()
        turn = asyncio.create_task(waiting.turn())
        await asyncio.sleep(0)
        turn.cancel()
        waiting.leave()
        assert gate.inside == 1
        working.leave()
        working.leave()
        assert (gate.inside, gate.free.locked()) == (0, False)


class TestMessages:
    def test_tool_turns_become_text_with_the_name_of_the_tool(self) -> None:
        request = MessageRequest(
            model="m",
            max_tokens=1,
            tools=[{"name": "add", "input_schema": {"type": "object"}}],
            messages=[
                Message.model_validate(
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}],
                    }
                ),
                Message.model_validate(
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "2"}]}
                ),
            ],
        )
        assert request.turns() == [("assistant", '[call of add: {"a": 1}]'), ("user", "[result of add: 2]")]

    def test_all_of_merges_and_follows_references(self) -> None:
        root = {"$defs": {"A": record(a=TEXT)}}
        merged = dialect.with_all_of(root, {"allOf": [{"$ref": "#/$defs/A"}, record(b=TEXT)], "description": "d"})
        assert merged == {
            "type": "object",
            "properties": {"a": TEXT, "b": TEXT},
            "required": ["a", "b"],
            "description": "d",
        }
