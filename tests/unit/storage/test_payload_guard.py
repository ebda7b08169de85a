"""A message that is too big is refused before it is sent, and the field that makes it so is named."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from outlast.client import data_converter
from outlast.contracts import Content, Message, ModelRequest, ModelTurn, Part, RunRequest, ToolCall
from outlast.errors import ErrorKind
from outlast.storage.payload_guard import describe, guarded

LIMIT = 10_000
BIG = "x" * LIMIT


def refused(value: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        guarded(LIMIT)().to_payloads([None, value])
    return caught.value


def turn(**fields: Any) -> ModelTurn:
    return ModelTurn(content=Content(), **fields)


def request(*messages: Message) -> ModelRequest:
    return ModelRequest(agent="a", model="m", max_tokens=5, messages=messages)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Content(text=BIG), "Content.text"),
        (ModelTurn(content=Content(text=BIG)), "ModelTurn.content.text"),
        (request(Message(parts=()), Message(parts=(Part(text="t"), Part(text=BIG)))), "ModelRequest.messages[1].parts[1].text"),
        (turn(data={"a": 1, "rows": [{"n": 1}, {"n": BIG}]}), "ModelTurn.data.rows[1].n"),
        (turn(tool_calls=(ToolCall(id="i", name="n", input={"b": BIG}),)), "ModelTurn.tool_calls[0].input.b"),
        ({"a": {"b": BIG}}, "dict.a.b"),
        ([1, [2, BIG]], "list[1][1]"),
        (BIG, "str"),
        ([f"row {number}" for number in range(LIMIT)], "list"),
        (b"\xff" * LIMIT * 2, "bytes"),
        ({"raw": "é" * LIMIT}, "dict.raw"),
    ],
)  # fmt: skip
def test_the_field_is_named(value: Any, path: str) -> None:
    error = refused(value)
    assert (error.type, error.non_retryable) == (ErrorKind.PAYLOAD_TOO_LARGE, True)
    assert f"largest field: {path} (" in error.message
    assert error.message.startswith(f"{type(value).__name__} is ")
    assert "over the limit of 10,000 (PAYLOAD_LIMIT_BYTES)" in error.message
    assert len(error.message) < 500


def test_what_cannot_be_written_as_json_can_still_be_described() -> None:
    assert "dict.raw" in describe({"raw": b"\xff" * 500, "odd": object()}, 700, 100)


def test_the_limit_itself_is_allowed() -> None:
    converter = guarded(LIMIT)()
    fitting = "x" * (LIMIT - 2)  # two quotes
    (payload,) = converter.to_payloads([fitting])
    assert len(payload.data) == LIMIT
    assert converter.from_payloads([payload]) == [fitting]
    assert "10,001 bytes" in refused(fitting + "x").message


def test_each_value_counts_for_itself() -> None:
    assert len(guarded(LIMIT)().to_payloads(["x" * 9_000] * 5)) == 5
    assert guarded(LIMIT)().to_payloads([]) == []


async def test_the_converter_of_both_doors_is_guarded() -> None:
    converter = data_converter(LIMIT)
    (payload,) = await converter.encode([Content(text="small")])
    assert await converter.decode([payload], [Content]) == [Content(text="small")]
    with pytest.raises(ApplicationError, match=r"Content\.text"):
        await converter.encode([Content(text=BIG)])


def test_a_wrong_request_is_refused_by_the_names_of_its_fields() -> None:
    class Asked(RunRequest):
        text: str

    converter = guarded(LIMIT)()
    sent = converter.to_payloads([{"gate": {"needed": -1}}])

    with pytest.raises(ApplicationError) as caught:
        converter.from_payloads(sent, [Asked])

    assert caught.value.type == ErrorKind.INPUT_INVALID
    wrong = dict(each.split(": ", 1) for each in caught.value.message.split("; "))
    assert wrong == {"text": "Field required", "gate.needed": "Input should be greater than or equal to 1"}
