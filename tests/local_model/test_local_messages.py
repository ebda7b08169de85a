"""The endpoint as the real SDK sees it: a real process, the real model."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from pydantic import BaseModel, Field

from outlast.devstack.local_model import BANNER
from outlast.devstack.local_model.answering import LONG_TEXT

pytestmark = pytest.mark.xdist_group("local_model")

MODEL = "claude-test-model"
HELLO: list[Any] = [{"role": "user", "content": "Say hello to Ada."}]
KIND = {
    "type": "object",
    "properties": {
        "kind": {
            "type": "string",
            "enum": ["legal", "financial", "general"],
            "description": "Kind of document. Label words: legal=law/legal/contract/agreement, "
            "financial=finance/financial/money/business, general=daily/life/people/stories. "
            "Cue: The text above is a document about",
        },
        "confidence": {"type": "number"},
    },
    "required": ["kind", "confidence"],
    "additionalProperties": False,
}


def asked(content: str) -> list[Any]:
    return [{"role": "user", "content": content}]


def form(schema: dict[str, Any]) -> Any:
    return {"format": {"type": "json_schema", "schema": schema}}


async def health(url: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        response = await http.get(f"{url}/health", timeout=30)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "condition did not come true"
        await asyncio.sleep(0.05)


async def test_message_has_the_shape_of_the_api(client: AsyncAnthropic) -> None:
    raw = await client.messages.with_raw_response.create(model=MODEL, max_tokens=12, messages=HELLO)
    message = await raw.parse()
    assert message.id.startswith("msg_")
    assert message.model == MODEL
    assert message.role == "assistant"
    assert message.content[0].type == "text"
    assert message.content[0].text
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 12
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 5
    assert raw.headers["request-id"].startswith("req_")


async def test_stream_sends_every_event_in_order(client: AsyncAnthropic) -> None:
    async with client.messages.stream(model=MODEL, max_tokens=10, messages=HELLO) as stream:
        kinds = [event.type async for event in stream if event.type != "text"]
        final = await stream.get_final_message()
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_delta") == 10  # token by token
    plain = await client.messages.create(model=MODEL, max_tokens=10, messages=HELLO)
    assert final.content[0].text == plain.content[0].text  # type: ignore[union-attr]
    assert final.usage.output_tokens == 10
    assert final.stop_reason == "max_tokens"


async def test_a_text_that_is_stopped_at_the_models_own_limit_says_that_it_is_cut_off(client: AsyncAnthropic) -> None:
    told = asked("Tell a long story about a lighthouse, its keeper and a storm.")
    message = await client.messages.create(model=MODEL, max_tokens=2000, messages=told)
    assert LONG_TEXT <= message.usage.output_tokens <= 2 * LONG_TEXT
    assert message.stop_reason == "max_tokens"


async def test_system_prompt_as_text_and_as_blocks_is_the_same(client: AsyncAnthropic) -> None:
    system = "Answer like a pirate."
    blocks: Any = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
    one = await client.messages.create(model=MODEL, max_tokens=16, messages=HELLO, system=system)
    two = await client.messages.create(model=MODEL, max_tokens=16, messages=HELLO, system=blocks)
    without = await client.messages.create(model=MODEL, max_tokens=16, messages=HELLO)
    assert one.content[0].text == two.content[0].text  # type: ignore[union-attr]
    assert one.content[0].text != without.content[0].text  # type: ignore[union-attr]


async def test_stop_sequence_ends_the_text_before_it(client: AsyncAnthropic) -> None:
    request = asked("Repeat these words: apple banana cherry")
    whole = await client.messages.create(model=MODEL, max_tokens=40, messages=request)
    text = whole.content[0].text  # type: ignore[union-attr]
    word = text.split()[2]
    cut = await client.messages.create(model=MODEL, max_tokens=40, messages=request, stop_sequences=[word])
    assert cut.stop_reason == "stop_sequence"
    assert cut.stop_sequence == word
    assert cut.content[0].text == text[: text.index(word)]  # type: ignore[union-attr]


async def test_conversation_with_tool_history_is_read(client: AsyncAnthropic) -> None:
    history: list[Any] = [
        {"role": "user", "content": "What is the weather in Oslo?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "…", "signature": "x"},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Snow, -4 °C"}]}
            ],
        },
    ]
    weather: list[Any] = [{"name": "get_weather", "input_schema": {"type": "object"}}]
    no_more: Any = {"type": "none"}
    message = await client.messages.create(
        model=MODEL, max_tokens=20, messages=history, tools=weather, tool_choice=no_more
    )
    assert message.content[0].type == "text"
    short = await client.messages.count_tokens(model=MODEL, messages=history[:1], tools=weather)
    long = await client.messages.count_tokens(model=MODEL, messages=history, tools=weather)
    assert long.input_tokens > short.input_tokens + 15


async def test_control_tokens_of_a_caller_stay_text(client: AsyncAnthropic) -> None:
    one = await client.messages.count_tokens(model=MODEL, messages=asked("x"))
    two = await client.messages.count_tokens(model=MODEL, messages=asked("x<|im_end|>"))
    assert two.input_tokens - one.input_tokens > 4  # as one control token it would be 1


async def test_second_question_of_an_agent_finds_the_document_in_the_cache(client: AsyncAnthropic) -> None:
    document = f'<part label="document">\n{"The river rose quickly after the storm. " * 12}\n</part>\n\n'
    first = await client.messages.create(model=MODEL, max_tokens=1, system="Read.", messages=asked(document + "Who?"))
    second = await client.messages.create(model=MODEL, max_tokens=1, system="Read.", messages=asked(document + "When?"))
    assert first.usage.input_tokens > 90
    assert (second.usage.cache_read_input_tokens or 0) > 90
    assert second.usage.input_tokens < 30


async def test_temperature_is_honoured(client: AsyncAnthropic) -> None:
    async def text(temperature: float) -> str:
        extra = {"temperature": temperature}
        message = await client.messages.create(model=MODEL, max_tokens=16, messages=HELLO, extra_body=extra)
        return message.content[0].text  # type: ignore[union-attr]

    assert await text(0.0) == await text(0.0)
    assert len({await text(1.0) for _ in range(4)}) > 1


async def test_documents_that_nothing_was_tuned_on_are_classified(
    client: AsyncAnthropic, documents: Callable[[str], list[dict[str, str]]]
) -> None:
    wrong = []
    for document in documents("second"):
        content = f'<part label="document">\n{document["text"]}\n</part>\n\nClassify the document.'
        message = await client.messages.create(
            model=MODEL, max_tokens=64, system="You sort documents.", messages=asked(content), output_config=form(KIND)
        )
        answer = json.loads(message.content[0].text)  # type: ignore[union-attr]
        assert 1 / 3 < answer["confidence"] < 1
        if answer["kind"] != document["label"]:
            wrong.append((document["text"][:40], answer))
    assert len(documents("second")) - len(wrong) >= 10, wrong


class Review(BaseModel):
    title: str = Field(max_length=60)
    mood: Literal["positive", "negative"] = Field(
        description="Label words: positive=good/great/happy, negative=bad/terrible/angry. Cue: The text above is"
    )
    stars: int = Field(ge=1, le=5)
    points: list[str] = Field(max_length=2)
    reply: str = Field(min_length=10, max_length=160)


async def test_the_sdk_parses_a_pydantic_model(client: AsyncAnthropic) -> None:
    request = asked("The delivery was late, the box was broken and nobody answered. Never again.")
    message = await client.messages.parse(model=MODEL, max_tokens=300, messages=request, output_format=Review)
    review = message.parsed_output
    assert review is not None
    assert review.mood == "negative"


async def test_six_requests_at_a_time_all_succeed(client: AsyncAnthropic) -> None:
    texts = [f"Write one sentence about the number {number}." for number in range(6)]
    messages = await asyncio.gather(
        *(client.messages.create(model=MODEL, max_tokens=16, messages=asked(text)) for text in texts)
    )
    assert all(message.content[0].text for message in messages)  # type: ignore[union-attr]


async def test_lost_client_frees_its_slot(client: AsyncAnthropic, url: str) -> None:
    async def busy() -> bool:
        return bool((await health(url))["busy_slots"])

    async def idle() -> bool:
        return not await busy()

    await eventually(idle, 20)
    long = asked("word " * 5000)  # reading it takes half a minute
    for stream in (False, True):
        call = asyncio.create_task(client.messages.create(model=MODEL, max_tokens=50, messages=long, stream=stream))
        if stream:
            answer: Any = await call
            await eventually(busy, 20)
            await answer.close()
        else:
            await eventually(busy, 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        await eventually(idle, 8)


async def test_health_and_models_say_what_this_is(client: AsyncAnthropic, url: str) -> None:
    found = await health(url)
    models = await client.models.list()
    assert found["status"] == "ok"
    assert found["banner"] == BANNER
    assert found["context_window"] == 8192
    assert [model.id for model in models.data] == [found["model"]]
    assert (await client.models.retrieve(found["model"])).type == "model"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("gpt-99")
