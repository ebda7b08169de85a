"""Choices: hints, what is decided, and the arithmetic of calibration. No server."""

import math
from typing import Any

import pytest

from outlast.devstack.local_model import choosing
from outlast.devstack.local_model.messages import Tool
from outlast.devstack.local_model.schema import fitted


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}


class TestChoosing:
    def test_hints_in_the_description(self) -> None:
        hint = (
            "Kind of document. Label words: legal=law/contract, financial=finance, other_things=daily. "
            "Cue: The text above is a document about\n\n{format: text}"
        )
        question = choosing.question("kind", hint, ["legal", "financial", "other_things", "left_out"])
        assert question.cue == "The text above is a document about"
        assert question.words == (("law", "contract"), ("finance",), ("daily",), ("left out",))

    @pytest.mark.parametrize(
        ("name", "cue"),
        [
            ("kind", choosing.TOPIC_CUE),
            ("document_type", choosing.TOPIC_CUE),
            ("risk_level", "Overall, the risk level of the text above is"),
        ],
    )
    def test_cue_from_the_name(self, name: str, cue: str) -> None:
        assert choosing.question(name, "No hints here", ["a", "b"]).cue == cue

    def test_what_is_decided(self) -> None:
        schema = fitted(
            record(
                kind={"enum": ["a", "b"]},
                only={"enum": ["x"]},
                maybe={"anyOf": [{"enum": ["c", "d"]}, {"type": "null"}]},
                plain_flag={"type": "boolean"},
                flag={"type": "boolean", "description": "Cue: Is it urgent? The answer is"},
                nested=record(side={"oneOf": [{"const": "l"}, {"const": "r"}]}),
                many={"type": "array", "items": {"enum": ["e", "f"]}},
                alike={"enum": [1, "1"]},
            ),
            400,
            strict=True,
        )
        found = {decision.path: decision for decision in choosing.decisions(schema)}
        assert set(found) == {("kind",), ("maybe",), ("flag",), ("nested", "side")}
        assert found["maybe",].options == ("c", "d")
        assert found["flag",].question.words == (("yes",), ("no",))

    def test_confidence_beside(self) -> None:
        schema = fitted(
            record(kind={"enum": ["a", "b"]}, confidence={"type": "number"}, deep=record(x={"enum": [1, 2]})),
            400,
            strict=True,
        )
        assert choosing.confidence_beside(schema, ("kind",)) == ("confidence",)
        assert choosing.confidence_beside(schema, ("deep", "x")) is None
        percent = fitted(record(k=TEXT, confidence={"type": "number", "minimum": 5, "maximum": 9}), 99, strict=True)
        assert choosing.confidence_beside(percent, ("k",)) is None

    def test_calibration_takes_off_what_is_expected_anyway(self) -> None:
        document = [math.log(0.6), math.log(0.4)]
        blanks = [[math.log(0.9), math.log(0.1)]]
        first, second = choosing.calibrated([document], blanks, [1, 1])
        assert second == pytest.approx((0.4 / 0.1) / (0.4 / 0.1 + 0.6 / 0.9))
        assert first + second == pytest.approx(1)

    def test_words_of_one_option_are_averaged(self) -> None:
        odds = choosing.calibrated([[-1.0, -3.0, -2.0], [-1.0, -3.0, -2.0]], [[0.0, 0.0, 0.0]], [2, 1])
        assert odds == pytest.approx([0.5, 0.5])

    def test_forks(self) -> None:
        assert choosing.forks([[1, 2], [1, 3], [4], []]) == {1: [0, 1], 4: [2]}

    def test_tools_stand_for_their_first_sentence_and_name(self) -> None:
        tools = [Tool(name="web_search", description="Search the web. Use rarely."), Tool(name="stop")]
        assert choosing.tool_question(tools).words == (("search the web", "web search"), ("stop",))
