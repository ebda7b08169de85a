"""Routing decisions: what a router said, and where the request goes."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from outlast.contracts import Content, Part
from outlast.devstack.local_model.choosing import decisions
from outlast.devstack.local_model.schema import fitted
from outlast.gather import distinct
from outlast.llm.prompting import schema_for
from outlast.routing.categories import DEFAULT_CATEGORIES, NO_ROUTE, TICKET_SCHEMA
from outlast.routing.contracts import Pick
from outlast.routing.requests import GENERAL, Category, RequestText, RouteRequest
from outlast.routing.rules import (
    MAX_PICKS,
    categories_of,
    decided,
    label_question,
    label_schema,
    picked,
    priority_of,
    problems,
    route_tools,
)

NAMES = ["billing", "technical_support", "general_inquiry", "escalation_required"]


def asking(**fields: Any) -> RouteRequest:
    return RouteRequest(requests=(RequestText(name="r", text=Part(text="t")),), **fields)


def category(name: str, **fields: Any) -> Category:
    return Category(name=name, agent="writer", description="d", **fields)


def pick(tool: str, **filled: str) -> Pick:
    return Pick(id=tool, tool=tool, filled=Content(text=json.dumps(filled)) if filled else None)


@pytest.mark.parametrize("name", NAMES)
def test_each_category_by_its_name(name: str) -> None:
    choice = decided(asking(), name, 0.9)
    assert (choice.category, choice.confidence, choice.notes) == (name, 0.9, ())


@pytest.mark.parametrize("said", ["Technical Support", "technical-support", " TECHNICAL_SUPPORT "])
def test_a_name_in_another_spelling(said: str) -> None:
    assert decided(asking(), said, None).category == "technical_support"


def test_a_spelling_that_could_mean_two_categories_means_none() -> None:
    two = (category("a_b"), category("a-b"), category(GENERAL))
    assert decided(asking(categories=two), "A B", 1.0).category == GENERAL
    assert decided(asking(categories=two), "a-b", 1.0).category == "a-b"


@pytest.mark.parametrize(
    ("said", "confidence", "told"),
    [
        ("", 0.9, "named no category"),
        ("   ", None, "named no category"),
        ("weather", 0.9, "'weather', which is not a category here"),
        ("x" * 500, 0.9, "no category here"),
        ("billing", 0.49, "billing at 0.49 is below the threshold of 0.5"),
    ],
)
def test_what_is_unknown_empty_or_unsure_goes_to_general_and_says_so(
    said: str, confidence: float | None, told: str
) -> None:
    choice = decided(asking(), said, confidence)
    assert choice.category == GENERAL
    assert told in choice.notes[0]
    assert len(choice.notes[0]) <= 200


def test_an_unsure_answer_keeps_its_confidence_and_general_needs_none() -> None:
    assert decided(asking(), "billing", 0.2).confidence == 0.2
    assert decided(asking(), GENERAL, 0.2).notes == ()
    assert decided(asking(threshold=0.2), "billing", 0.2).category == "billing"


def test_another_general_category() -> None:
    own = (category("a"), category("b"))
    assert decided(asking(categories=own, general="b"), "", None).category == "b"


def test_wrong_categories_are_all_told() -> None:
    own = (category("a"), category("a"), category(NO_ROUTE), category("s", input_schema={"type": "string"}))
    found = problems(asking(categories=own, general="z", router="trained"))
    assert [problem.split(":")[0] for problem in found] == [
        "categories",
        "categories",
        "general",
        "categories.s.input_schema",
        "trained",
    ]
    assert problems(asking()) == []


def test_the_small_model_chooses_among_the_categories_by_label_words() -> None:
    schema = schema_for(label_schema(categories_of(asking())), hints=True)
    assert schema is not None
    Draft202012Validator.check_schema(schema)
    (decision,) = list(decisions(fitted(schema, 200, strict=True)))
    assert list(decision.options) == NAMES
    assert decision.question.words == tuple(category.words for category in DEFAULT_CATEGORIES)
    for name in NAMES:
        assert f"- {name}: " in label_question(categories_of(asking()))


def test_label_words_cannot_break_their_list() -> None:
    own = {"a": category("a", words=("x, b=y", "v1.0")), "b": category("b")}
    schema = schema_for(label_schema(own), hints=True)
    assert schema is not None
    (decision,) = list(decisions(fitted(schema, 200, strict=True)))
    assert decision.question.words == (("x b y", "v1 0"), ("b",))


def test_there_is_a_tool_for_each_route_and_one_for_none() -> None:
    tools = route_tools(categories_of(asking()))
    assert [tool.name for tool in tools] == [*NAMES, NO_ROUTE]
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        assert tool.input_schema["type"] == "object"
    own = route_tools({"a": category("a")})
    assert own[0].input_schema["required"] == ["matter"]
    Draft202012Validator.check_schema(TICKET_SCHEMA)


def test_several_picks_go_together_and_twice_the_same_is_once() -> None:
    choice = picked(
        asking(), [pick("billing", matter="a"), pick("technical_support", problem="b"), pick("billing", matter="a")]
    )
    assert [route.category.name for route in choice.routes] == ["billing", "technical_support"]
    two = picked(asking(), [pick("billing", matter="a"), pick("billing", matter="b")])
    assert len(two.routes) == 2


def test_alone_forbids_others() -> None:
    choice = picked(asking(), [pick("billing", matter="a"), pick("escalation_required", reason="b")])
    assert [route.category.name for route in choice.routes] == ["escalation_required"]
    assert choice.notes == ("escalation_required goes alone, so billing was left out",)


def test_none_fits_counts_only_where_nothing_else_was_picked() -> None:
    assert picked(asking(), [pick(NO_ROUTE, reason="x"), pick("billing", matter="a")]).category == "billing"
    none = picked(asking(), [pick(NO_ROUTE, reason="a poem")])
    assert none.category == GENERAL
    assert none.notes == ("no route fits (a poem), so it went to general_inquiry",)
    long = Pick(id="1", tool=NO_ROUTE, filled=Content(ref="r", summary='{"reason": "a very long…'))
    assert "a very long" in picked(asking(), [long]).notes[0]
    assert "picked no route" in picked(asking(), []).notes[0]


def test_too_many_picks_are_cut_and_told() -> None:
    choice = picked(asking(), [pick("billing", matter=str(number)) for number in range(MAX_PICKS + 3)])
    assert len(choice.routes) == MAX_PICKS
    assert "3 of 11" in choice.notes[0]


@pytest.mark.parametrize(
    ("said", "read"), [("urgent", "urgent"), (" Low ", "low"), ("panic", "high"), (None, "high"), (3, "high")]
)
def test_priorities(said: Any, read: str) -> None:
    assert priority_of(said) == read


@pytest.mark.parametrize(
    ("names", "told_apart"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a (2)", "a (3)"]),
        (["a", "a (2)", "a"], ["a", "a (2)", "a (3)"]),
        (["a", "a", "a (2)"], ["a", "a (3)", "a (2)"]),
    ],
)
def test_names_are_told_apart(names: list[str], told_apart: list[str]) -> None:
    assert distinct(names) == told_apart
