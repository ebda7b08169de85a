"""JSON in the answers of models: read strictly, else leniently and said so, never guessed from prose or from half an answer."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outlast.llm.answers import ALONE, AROUND, CORRECTED, LENIENT_LIMIT, TEXT, read_answer
from tests.unit.patterns.graphs import steady

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["n"],
    "additionalProperties": False,
}
BOTH = f"{AROUND}; {CORRECTED}"
GOOD = '{"n": 3}'

READ: list[tuple[str, str, dict[str, Any], str]] = [
    ("strictly", GOOD, {"n": 3}, ""),
    ("fences alone", f"```json\n{GOOD}\n```", {"n": 3}, ""),
    # After reports: langchain-ai/langchain#35530, mem0ai/mem0#4662, ItzCrazyKns/Vane#1037, MachineWisdomAI/fava-trails#6.
    ("prose before", f"Here is my answer: {GOOD}", {"n": 3}, AROUND),
    ("prose after", f"{GOOD}\n\nLet me know!", {"n": 3}, AROUND),
    ("fences and a closing sentence", f"```json\n{GOOD}\n```\nHope this helps.", {"n": 3}, AROUND),
    ("fences with a name in capitals", f"```JSON\n{GOOD}\n```", {"n": 3}, AROUND),
    ("thoughts", f"<think>\nIs it {{2}}?\n</think>\n\n{GOOD}", {"n": 3}, AROUND),
    ("thoughts with a draft", f'<thinking>{{"n": 1}}</thinking>{GOOD}', {"n": 3}, AROUND),
    ("thoughts whose opening tag is in the prompt", f'{{"n": 1}} will do.</think>{GOOD}', {"n": 3}, AROUND),
    # After langgenius/dify#42451 and #41958, manhhailua/lorekeep#192, vectorize-io/hindsight#2542.
    ("brackets in prose after", f"{GOOD}\nSee [docs] and [1].", {"n": 3}, AROUND),
    ("brackets in prose before", f"For {{project}} in [0, 1): {GOOD}", {"n": 3}, AROUND),
    ("backticks in prose", f"The `result`: {GOOD}", {"n": 3}, AROUND),
    ("backticks in a text", 'So: {"n": 3, "why": "use ```x``` {here"}', {"n": 3, "why": "use ```x``` {here"}, AROUND),
    ("a tag in a text", '{"n": 3, "why": "<think>no</think>",}', {"n": 3, "why": "<think>no</think>"}, CORRECTED),
    ("a draft, then the answer", f'{{"n": 1}}\nBetter: {GOOD}', {"n": 3}, AROUND),
    ("an example that does not fit", f'Not {{"n": "three"}} but {GOOD} {{"m": 1}}', {"n": 3}, AROUND),
    ("dots in a text", '{"n": 3, "why": "well, ... no, NaN",}', {"n": 3, "why": "well, ... no, NaN"}, CORRECTED),
    ("a comma too many", '{"n": 3,}', {"n": 3}, CORRECTED),
    ("single quotes", "{'n': 3, 'why': \"it's so\"}", {"n": 3, "why": "it's so"}, CORRECTED),
    ("words of Python", '{"n": 3, "why": "so", }', {"n": 3, "why": "so"}, CORRECTED),
    ("a comment", '{"n": 3 // three\n}', {"n": 3}, CORRECTED),
    ("keys without quotes", "{n: 3}", {"n": 3}, CORRECTED),
    ("a line break in a text", '{"n": 3, "why": "a\nb"}', {"n": 3, "why": "a\nb"}, CORRECTED),
    ("quotes in a text", '{"n": 3, "why": "he said "no" twice"}', {"n": 3, "why": 'he said "no" twice'}, CORRECTED),
    ("prose and a comma", "Sure: {'n': 3,} there", {"n": 3}, BOTH),
    ("a bracket too many", '{"n": 3}}', {"n": 3}, AROUND),
    ("a list of one", f"[{GOOD}]", {"n": 3}, ALONE),
    ("JSON in a text", json.dumps(GOOD), {"n": 3}, TEXT),
]


@pytest.mark.parametrize(("said", "data", "leniently"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_what_is_plainly_meant_is_read_and_said(said: str, data: dict[str, Any], leniently: str) -> None:
    answered = read_answer(said, SCHEMA)
    assert (answered.data, answered.wrong, answered.leniently) == (data, (), leniently)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "n is 3",
        "n: 3",
        "Here you are: 3",
        "{three}",
        "The set {1, 2} is it",
        '{"n": 3',
        'Sure: {"n": 3',
        '```json\n{"n": 3, "why": "be',
        f'{GOOD} or rather {{"n": 4, "why": "',
        '[{"n": 1}, {"n": ',
        f"<think>{GOOD}",
        'Sure: [{"n": 1}, {"n": 2}]',
        '{"n": NaN}',
        'Sure: {"n": -Infinity}',
        '{"n": NaN,}',
        '{"n": ...}',
        'Sure: {"n": 3, "why": "\\ud83d"}',
        '{"n":' * 5000,
        "{" * 5000,
        "x" + '{"n":' * 5000 + "}" * 5000,
        "Sure: " + GOOD + " " * LENIENT_LIMIT,
    ],
    ids=lambda said: said[:20] or "nothing",
)  # fmt: skip
def test_prose_and_half_answers_are_never_read(said: str) -> None:
    answered = read_answer(said.rstrip() if said.endswith(GOOD) else said + ".", SCHEMA)
    assert answered.data is None
    assert answered.wrong[0].startswith("the answer is not JSON")


@pytest.mark.parametrize(("said", "wrong"), [("[1]", "not list"), ("3", "not int"), (f"[{GOOD}, {GOOD}]", "not list")])
def test_other_json_is_no_object(said: str, wrong: str) -> None:
    assert wrong in read_answer(said, SCHEMA).wrong[0]


def test_what_does_not_fit_says_how_and_the_largest_is_taken() -> None:
    answered = read_answer('So: {"why": "a longer piece", "m": 1} or {"m": 2}', SCHEMA)
    assert answered.data == {"why": "a longer piece", "m": 1}
    assert any("'n' is a required property" in error for error in answered.wrong)


@steady
@given(
    st.dictionaries(st.sampled_from(["n", "why", "m"]), st.integers() | st.text(max_size=9), min_size=1),
    st.text("ab {}[]'\"<>`\n", max_size=12).filter(lambda prose: not re.search(r"""[{\[]\s*["']""", prose)),
)
@example({"n": "}}"}, '{"')
def test_cut_anywhere_it_is_never_another_object(data: dict[str, Any], prose: str) -> None:
    """Whatever stands before it, a broken-off object is not completed, neither is a piece of it taken for the whole.

    What stands before it is no JSON itself: an object there, however garbled, may be the answer.
    """
    written = json.dumps(data)
    for end in range(1, len(written)):
        answered = read_answer(prose + written[:end], {"type": "object"})
        assert answered.data is None
