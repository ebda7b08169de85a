"""A body that is written while it is sent: the same JSON as written at once, however it is cut."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.llm import body
from outlast.llm.body import StreamedJson, characters

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(autouse=True, scope="module")
def short_slices() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(body, "SLICE", 3)
        yield


async def sent(value: dict[str, Any]) -> bytes:
    """Send it twice, as after a redirect."""
    streamed = StreamedJson(value)
    once = b"".join([chunk async for chunk in streamed])
    assert once == b"".join([chunk async for chunk in streamed])
    assert len(once) == streamed.size
    return once


@settings(deadline=None)
@given(value=st.dictionaries(TEXTS, VALUES, max_size=4))
async def test_it_is_the_json_that_would_be_written_at_once(value: dict[str, Any]) -> None:
    assert await sent(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def test_what_must_be_escaped_is_escaped_wherever_a_slice_ends() -> None:
    text = 'a"b\\c\nd\x00e🌊f\u2028' * 5
    assert json.loads(await sent({"text": text, "empty": [{}, [], ()]})) == {"text": text, "empty": [{}, [], []]}


@pytest.mark.parametrize("wrong", ["half \ud83c", float("nan"), object()])
def test_what_is_no_json_is_refused_before_anything_is_sent(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        StreamedJson({"text": wrong})


def test_texts_are_counted_wherever_they_are() -> None:
    assert characters({"a": "12", "b": [{"c": "345"}, ("6",), 7, None]}) == 6
