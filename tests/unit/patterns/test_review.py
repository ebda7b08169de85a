"""The pure decisions of a review: never a worse round than one seen, never more rounds than allowed, an end at good enough."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.agents.answers import Answer
from outlast.contracts import Content
from outlast.llm.answers import read_answer
from outlast.review import best_of, is_over, read_critique, schema_of
from outlast.stages.contracts import Rubric

SCORES = st.lists(st.integers(0, 100), min_size=1, max_size=20)
RUBRICS = st.builds(Rubric, good_enough=st.integers(0, 100), rounds=st.integers(1, 10))


def judged(scores: list[int], rubric: Rubric) -> list[int]:
    """Judge drafts with these scores in turn, the last one again and again, until the review is over."""
    seen: list[int] = []
    while not is_over(seen, rubric):
        seen.append(scores[min(len(seen), len(scores) - 1)])
        assert len(seen) <= 20, "the review has no end"
    return seen


@given(SCORES)
def test_the_kept_round_is_never_worse_than_one_seen_and_the_first_of_its_score(scores: list[int]) -> None:
    best = best_of(scores)
    assert all(scores[best] >= score for score in scores)
    assert all(scores[best] > score for score in scores[:best])


@given(SCORES, RUBRICS)
def test_a_review_has_at_least_one_and_never_more_rounds_than_allowed(scores: list[int], rubric: Rubric) -> None:
    assert 1 <= len(judged(scores, rubric)) <= rubric.rounds


@given(SCORES, RUBRICS)
def test_a_review_stops_at_the_first_draft_that_is_good_enough_and_keeps_it(scores: list[int], rubric: Rubric) -> None:
    seen = judged(scores, rubric)
    good = [score >= rubric.good_enough for score in seen]
    assert not any(good[:-1])
    assert good[-1] or len(seen) == rubric.rounds
    if good[-1]:
        assert best_of(seen) == len(seen) - 1


def test_a_review_has_not_ended_before_it_began() -> None:
    assert not is_over([], Rubric(good_enough=0, rounds=1))


def test_a_critique_names_known_criteria_once_and_a_score_within_bounds() -> None:
    schema = schema_of(Rubric(criteria=("clear", "short", "clear")))
    good = '{"remarks": [{"criterion": "short", "remark": "cut the end"}], "score": 70}'
    assert read_answer(good, schema).wrong == ()
    assert schema["properties"]["remarks"]["items"]["properties"]["criterion"]["enum"] == ["clear", "short"]
    for broken in (good.replace("70", "101"), good.replace("70", "-1"), good.replace("short", "funny"), "{}"):
        assert read_answer(broken, schema).wrong != ()


def test_a_critique_is_read_with_its_remarks() -> None:
    content = Content(text="as written")
    data = {"remarks": [{"criterion": "short", "remark": "cut the end"}], "score": 70.0}
    critique = read_critique(Answer(content, "reviewer", data))
    assert critique is not None
    assert (critique.score, critique.remarks, critique.content) == (70, (("short", "cut the end"),), content)


@pytest.mark.parametrize("data", [None, {}, {"score": "good"}, {"score": True}])
def test_an_answer_without_a_score_is_no_critique(data: Any) -> None:
    assert read_critique(Answer(Content(text="fine"), "reviewer", data)) is None
