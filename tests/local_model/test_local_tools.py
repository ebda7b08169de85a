"""Tools through the real SDK: forced, any of several, and those that need not be called."""

from typing import Any

import jsonschema
import pytest
from anthropic import AsyncAnthropic

pytestmark = pytest.mark.xdist_group("local_model")

MODEL = "claude-test-model"


def asked(content: str) -> list[Any]:
    return [{"role": "user", "content": content}]


TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "description": "Get the weather forecast for a city.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
            "required": ["city", "days"],
        },
    },
    {
        "name": "calculator",
        "description": "Evaluate an arithmetic expression",
        "input_schema": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    },
    {
        "name": "send_email",
        "description": "Send an email to a person",
        "input_schema": {
            "type": "object",
            "properties": {"to": {"type": "string", "format": "email"}, "tags": {"type": "array", "uniqueItems": True}},
            "required": ["to"],
        },
    },
]


async def test_forced_tool_is_called_with_matching_input(client: AsyncAnthropic) -> None:
    choice: Any = {"type": "tool", "name": "send_email"}
    message = await client.messages.create(
        model=MODEL, max_tokens=100, messages=asked("Write to the team."), tools=TOOLS, tool_choice=choice
    )
    call = message.content[0]
    assert message.stop_reason == "tool_use"
    assert call.type == "tool_use"
    assert call.id.startswith("toolu_")
    assert call.name == "send_email"
    jsonschema.validate(call.input, TOOLS[2]["input_schema"])
    assert "@" in str(call.input)


@pytest.mark.parametrize(
    ("request_text", "wanted"),
    [
        ("Is it going to rain in Bergen on Sunday?", "get_weather"),
        ("How much is 12 times 37 plus 5?", "calculator"),
        ("Let Karim know by mail that the parcel has arrived.", "send_email"),
    ],
)
async def test_any_picks_the_tool_that_fits(client: AsyncAnthropic, request_text: str, wanted: str) -> None:
    async with client.messages.stream(
        model=MODEL, max_tokens=100, messages=asked(request_text), tools=TOOLS, tool_choice={"type": "any"}
    ) as stream:
        kinds = [event.delta.type async for event in stream if event.type == "content_block_delta"]
        message = await stream.get_final_message()
    call = message.content[0]
    assert set(kinds) == {"input_json_delta"}
    assert message.stop_reason == "tool_use"
    assert call.type == "tool_use"
    assert call.name == wanted
    jsonschema.validate(call.input, next(tool["input_schema"] for tool in TOOLS if tool["name"] == wanted))


async def test_a_tool_that_must_not_be_called_is_not(client: AsyncAnthropic) -> None:
    message = await client.messages.create(
        model=MODEL, max_tokens=8, messages=asked("Say hello to Ada."), tools=TOOLS, tool_choice={"type": "none"}
    )
    assert message.content[0].type == "text"


@pytest.mark.parametrize("extra", [{"tool_choice": {"type": "auto"}}, {}])
async def test_left_to_itself_it_calls_a_tool_once_and_then_answers(
    client: AsyncAnthropic, extra: dict[str, Any]
) -> None:
    question = asked("Say hello to Ada.")
    first = await client.messages.create(model=MODEL, max_tokens=100, messages=question, tools=TOOLS, **extra)
    call = first.content[0]
    assert call.type == "tool_use"
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "Hello, Ada."}
    conversation: Any = [*question, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    second = await client.messages.create(model=MODEL, max_tokens=8, messages=conversation, tools=TOOLS, **extra)
    assert second.content[0].type == "text"
