"""Confidences and scores as models write them: read, or unsure; nothing unreadable is ever the top of its scale."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.consensus.findings import FINDINGS
from outlast.consensus.verdicts import verdict_schema
from outlast.llm.answers import read_answer
from outlast.llm.scales import confidence_of, on_scales, score_of
from outlast.review import schema_of
from outlast.stages.contracts import Rubric
from tests.unit.patterns.graphs import steady

CONFIDENCES: list[tuple[Any, float | None]] = [
    # After NVIDIA/SkillSpector#89, fboiero/MIESC#131, lastmile-ai/mcp-agent#460.
    (0, 0.0),
    (0.3, 0.3),
    (1, 1.0),
    (1.0, 1.0),
    (30, 0.3),
    (100, 1.0),
    (1.5, 0.015),
    ("0.3", 0.3),
    ("0,3", 0.3),
    (" .3", None),
    ("30", 0.3),
    ("30%", 0.3),
    ("30 %", 0.3),
    ("~30 percent", 0.3),
    ("99,5%", 0.995),
    ("0.5%", 0.005),
    ("1%", 0.01),
    ("about 80%", 0.8),
    ("8/10", 0.8),
    ("0.85/1.0", 0.85),
    ("9 out of 10", 0.9),
    ("low", 0.25),
    ("Medium", 0.5),
    ("HIGH", 0.8),
    ("high confidence", 0.8),
    ("Very  likely.", 0.9),
    ("certain", 0.95),
    (-0.1, None),
    (-30, None),
    (101, None),
    ("101%", None),
    ("-5%", None),
    ("12/10", None),
    ("3/0", None),
    (float("nan"), None),
    (float("inf"), None),
    (10**400, None),
    (True, None),
    (None, None),
    ("", None),
    ("NaN", None),
    ("unsure", None),
    ("0.7-0.9", None),
    ("not likely", None),
    ("nan%", None),
    ({"value": 0.8}, None),
    ([0.8], None),
]


@pytest.mark.parametrize(("said", "read"), CONFIDENCES, ids=[repr(case[0]) for case in CONFIDENCES])
def test_a_confidence_is_read_or_unsure(said: Any, read: float | None) -> None:
    assert confidence_of(said) == read


@pytest.mark.parametrize(
    ("said", "read"),
    [
        *((0, 0), (1, 1), (85, 85), (85.4, 85), (0.85, 85), ("85", 85), ("85%", 85), ("85/100", 85), ("8/10", 80)),
        *((101, None), (-1, None), ("good", None), (True, None), (None, None), (float("nan"), None), (10**400, None)),
    ],
)  # fmt: skip
def test_a_score_is_read_or_not(said: Any, read: int | None) -> None:
    assert score_of(said) == read


@steady
@given(
    st.floats()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["%", "/10", " of 5"]).map(lambda end: f"7{end}")
)
def test_whatever_is_said_is_a_share_or_nothing(said: Any) -> None:
    read, score = confidence_of(said), score_of(said)
    assert read is None or 0 <= read <= 1
    assert score is None or 0 <= score <= 100
    assert read != 1 or said in (1, 100) or any(digit in str(said) for digit in "123456789")


def verdict(confidence: Any) -> dict[str, Any]:
    return {"evidence": [], "reasons": "", "verdict": "yes", "confidence": confidence}


def test_one_reader_serves_votes_findings_and_reviews() -> None:
    """By their schemas, so that whatever asks for such a scale is served."""
    data, notes = on_scales(verdict("70 %"), verdict_schema("Why?", "", ("yes", "no")))
    assert (data["confidence"], notes) == (0.7, ["confidence '70 %' was read as 0.7"])
    found = {"findings": [{"evidence": [], "claim": "x", "confidence": 90}], "answer": "y"}
    assert on_scales(found, FINDINGS)[0]["findings"][0]["confidence"] == 0.9
    assert on_scales({"remarks": [], "score": "8/10"}, schema_of(Rubric(criteria=("clear",))))[0]["score"] == 80


def test_an_answer_says_what_was_read() -> None:
    schema = verdict_schema("Why?", "", ("yes", "no"))
    answered = read_answer('{"evidence": [], "reasons": "", "verdict": "yes", "confidence": "high"}', schema)
    assert answered.data == verdict(0.8)
    assert (answered.wrong, answered.leniently) == ((), "confidence 'high' was read as 0.8")
    answered = read_answer('So: {"evidence": [], "reasons": "", "verdict": "yes", "confidence": 30}', schema)
    assert answered.leniently.endswith("JSON was left out; confidence '30' was read as 0.3")
    draft = '{"evidence": [], "reasons": "", "verdict": "no", "confidence": 0.5} or rather '
    answered = read_answer(draft + '{"evidence": [], "reasons": "", "verdict": "yes", "confidence": "80%"}', schema)
    assert answered.data == verdict(0.8)
    answered = read_answer('{"evidence": [], "reasons": "", "verdict": "yes", "confidence": 300}', schema)
    assert (answered.leniently, answered.wrong) == ("", ("$.confidence: 300 is greater than the maximum of 1",))


def test_numbers_that_are_no_scale_stay_as_they_are() -> None:
    schema = {"properties": {"page": {"type": "integer", "minimum": 1}, "rate": {"type": "number"}}}
    assert on_scales({"page": 30, "rate": 30, "other": "30%"}, schema) == ({"page": 30, "rate": 30, "other": "30%"}, [])
