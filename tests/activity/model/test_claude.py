"""What a model call sends and what it makes of a good answer, over real HTTP."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Timeout
from temporalio.exceptions import ApplicationError

from outlast.contracts import (
    SMALL_MODEL_HINT,
    Message,
    Part,
    StopReason,
    ToolAnswer,
    ToolCall,
    Usage,
)
from outlast.errors import ErrorKind
from outlast.llm import claude
from outlast.llm.activities import AgentActivities
from outlast.llm.base import ModelCall, Progress
from outlast.llm.body import LARGE
from outlast.llm.claude import client_of, make_client
from outlast.llm.clients import claude_clients
from outlast.llm.endpoint import CLAUDE_URL, ClaudeWhenNeeded, Endpoint
from outlast.llm.prompting import CONTINUE
from outlast.storage.activities import ContentStore
from tests.activity.conftest import TABLE, Caller, asking, calling
from tests.activity.storage.storing import count_reads, count_writes
from tests.doubles.wire import (
    MODEL,
    Reply,
    Wire,
    answer,
    block,
    ending,
    message_start,
    serving,
    text_block,
    text_piece,
)

NUMBER = {"type": "integer", "minimum": 1}
SCHEMA = {"type": "object", "properties": {"n": NUMBER}, "required": ["n"], "additionalProperties": False}
TOOLS = [
    {"name": name, "description": "Looks up.", "input_schema": {"type": "object", "properties": {}}}
    for name in ("tides", "moon")
]


async def test_an_answer_becomes_a_turn_with_all_that_was_paid(wire: Wire, caller: Caller) -> None:
    wire.replies = [answer("High ", "and low.", cache_read_input_tokens=4000, cache_creation_input_tokens=1000)]
    caller.env.info = replace(caller.env.info, attempt=2)
    turn = await caller.call(asking(system=Part(text="You know tides.")))
    assert (turn.content.text, turn.stop_reason, turn.request_id) == ("High and low.", StopReason.END_TURN, "req_1")
    assert turn.usage == Usage(input_tokens=100, output_tokens=20, cache_read_tokens=4000, cache_write_tokens=1000)
    assert turn.usd == pytest.approx((100 * 2 + 20 * 10 + 4000 * 0.2 + 1000 * 2.5) / 1e6)
    assert (turn.attempt, turn.model) == (2, "")
    assert 0 < turn.ms < 10_000
    body = wire.hits[0].body
    assert body["messages"] == [{"role": "user", "content": "How are the tides?"}]
    assert body["system"] == [{"type": "text", "text": "You know tides.", "cache_control": {"type": "ephemeral"}}]
    assert (body["model"], body["max_tokens"], body["stream"]) == (MODEL, 50, True)
    assert not {"tools", "tool_choice", "output_config", "temperature"} & set(body)
    assert wire.hits[0].headers["authorization"] == "Bearer test-key"


async def test_a_long_prompt_is_priced_by_its_own_tier(wire: Wire, caller: Caller) -> None:
    wire.replies = [answer("Yes.", model="long-model", cache_read_input_tokens=901)]
    long = (await caller.call(asking(model="long-model"))).usd
    wire.replies = [answer("Yes.", model="long-model", cache_read_input_tokens=900)]
    assert long == pytest.approx(5 * (100 * 2 + 20 * 10 + 901 * 0.2) / 1e6)
    assert (await caller.call(asking(model="long-model"))).usd == pytest.approx((100 * 2 + 20 * 10 + 900 * 0.2) / 1e6)


@pytest.mark.parametrize("shared", [0, 1])
async def test_a_large_prompt_arrives_whole(wire: Wire, caller: Caller, store: ContentStore, shared: int) -> None:
    text = 'Ebb and "flow" 🌊\n' * 100_000
    assert len(text) > LARGE
    material = (Part(ref=await store.put(text.encode()), label="tides"), Part(text="Sum up."))
    wire.replies = [answer("Yes.")]
    await caller.call(asking(messages=(Message(parts=material),), shared_parts=shared))
    (hit,) = wire.hits
    content = hit.body["messages"][0]["content"]
    if shared:
        content = "\n\n".join(block["text"] for block in content)
    assert content == f'<part label="tides">\n{text}\n</part>\n\nSum up.'
    assert hit.body["stream"] is True
    assert int(hit.headers["content-length"]) > len(text.encode())
    assert "transfer-encoding" not in hit.headers  # not every gateway takes a body without its length


async def test_a_long_answer_is_kept_and_its_model_named(wire: Wire, caller: Caller, store: ContentStore) -> None:
    wire.replies = [answer("tide " * 1000, model="claude-test-20261101")]
    turn = await caller.call()
    assert turn.content.text is None
    assert await store.text(turn.content) == "tide " * 1000
    assert turn.model == "claude-test-20261101"


@pytest.mark.parametrize(("model", "choice"), [("warm-model", "any"), (MODEL, "auto")])
async def test_tools_are_sent_and_called(wire: Wire, caller: Caller, model: str, choice: str) -> None:
    """MODEL is one that answers a forced tool with an error, so it is left free to choose."""
    used = {"type": "tool_use", "id": "toolu_1", "name": "moon", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"day"', ": 3}")]
    reply = [message_start(model), *text_block("Let me look."), *block(used, *pieces, index=1), *ending("tool_use")]
    wire.replies = [Reply(events=reply)]
    turn = await caller.call(asking(model=model, tools=TOOLS, tool_choice="any", output_schema=SCHEMA))
    assert turn.tool_calls == (ToolCall(id="toolu_1", name="moon", input={"day": 3}),)
    assert (turn.stop_reason, turn.content.text, turn.schema_errors) == (StopReason.TOOL_USE, "Let me look.", ())
    body = wire.hits[0].body
    assert body["tools"] == [TOOLS[0], {**TOOLS[1], "cache_control": {"type": "ephemeral"}}]
    assert body["tool_choice"] == {"type": choice}


async def test_a_conversation_that_called_tools_names_them_for_an_agent_without_any(wire: Wire, caller: Caller) -> None:
    """The API refuses `tool_use` and `tool_result` blocks in a request without `tools`."""
    called: list[dict[str, Any]] = [
        {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}} for name in ("moon", "tides")
    ]
    given = tuple(ToolAnswer(id=block["id"], content=Part(text="high")) for block in called)
    wire.replies = [answer("So be it.")]
    said = Message(role="assistant", blocks=Part(text=json.dumps(called)))
    turn = await caller.call(asking(messages=(Message(parts=(Part(text="Look"),)), said, Message(answers=given))))
    body = wire.hits[0].body
    assert turn.content.text == "So be it."
    assert [tool["name"] for tool in body["tools"]] == ["moon", "tides"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(("model", "sent"), [("warm-model", 0.5), (MODEL, None)])
async def test_temperature_is_sent_only_to_models_that_take_it(
    wire: Wire, caller: Caller, model: str, sent: float | None
) -> None:
    wire.replies = [answer("Yes.")]
    await caller.call(asking(model=model, temperature=0.5))
    assert wire.hits[0].body.get("temperature") == sent


@pytest.mark.parametrize(("model", "description"), [("small-model", "The size. Cue: It is"), (MODEL, "The size.")])
async def test_only_small_models_are_sent_the_hints_for_them(
    wire: Wire, caller: Caller, model: str, description: str
) -> None:
    size = {"type": "string", "description": "The size.", SMALL_MODEL_HINT: "Cue: It is"}
    schema = {"type": "object", "properties": {"size": size}, "required": ["size"]}
    wire.replies = [answer('{"size": "large"}')]
    turn = await caller.call(asking(model=model, output_schema=schema))
    assert turn.data == {"size": "large"}
    sent = wire.hits[0].body["output_config"]["format"]["schema"]
    assert sent["properties"]["size"] == {"type": "string", "description": description}


async def test_a_schema_is_sent_and_the_answer_read(wire: Wire, caller: Caller) -> None:
    wire.replies = [answer('```json\n{"n": 3}\n```')]
    turn = await caller.call(asking(output_schema=SCHEMA))
    assert (turn.data, turn.schema_errors) == ({"n": 3}, ())
    sent = wire.hits[0].body["output_config"]["format"]
    assert sent["type"] == "json_schema"
    assert "minimum" not in sent["schema"]["properties"]["n"]  # the API refuses it; we check it ourselves


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"type": "object", "additionalProperties": NUMBER}, "n is an object whose keys are free"),
        ({"anyOf": [{"type": "null"}, {"type": "object"}]}, "n is an object whose keys are free"),
        ({"type": "array", "items": {"$ref": "#/$defs/D"}}, "D.any takes any value; give it a type"),
        ({"type": "array", "items": {}}, "n[] takes any value; give it a type"),
        ({"title": "N"}, "n takes any value; give it a type"),
    ],
)
async def test_a_schema_of_which_too_much_would_be_lost_is_refused_unpaid(
    wire: Wire, caller: Caller, field: dict[str, Any], problem: str
) -> None:
    schema = {
        "type": "object",
        "properties": {"n": field},
        "$defs": {"D": {"properties": {"any": {}}, "type": "object"}},
    }
    if "items" not in field or not field["items"]:
        del schema["$defs"]
    with pytest.raises(ApplicationError, match=re.escape(problem)) as caught:
        await caller.call(asking(output_schema=schema))
    assert (caught.value.type, caught.value.non_retryable, wire.hits) == (ErrorKind.INPUT_INVALID, True, [])


@pytest.mark.parametrize(
    ("said", "data", "problem"),
    [
        ('{"n": 0}', {"n": 0}, "$.n: 0 is less than the minimum of 1"),
        ('{"m": "x"}', {"m": "x"}, "'n' is a required property"),
        ("[1]", None, "the answer must be a JSON object, not list"),
        ("Here you are: 3", None, "the answer is not JSON"),
        ('{"n": NaN}', None, "the answer is not JSON"),
        ('{"n": "\\ud83d"}', None, "the answer is not JSON"),
        ('{"n":' * 5000, None, "the answer is not JSON"),
        ("", None, "the answer is not JSON"),
    ],
)
async def test_an_answer_that_breaks_its_schema_says_how(
    wire: Wire, caller: Caller, said: str, data: Any, problem: str
) -> None:
    wire.replies = [answer(said)]
    turn = await caller.call(asking(output_schema=SCHEMA))
    assert turn.data == data
    assert any(problem in error for error in turn.schema_errors)
    assert len(wire.hits) == 1


@pytest.mark.parametrize("reason", ["refusal", "max_tokens", "model_context_window_exceeded"])
async def test_an_answer_that_stopped_is_an_outcome_and_no_error(wire: Wire, caller: Caller, reason: str) -> None:
    wire.replies = [answer('{"n": ', stop_reason=reason)]
    turn = await caller.call(asking(output_schema=SCHEMA))
    assert (turn.stop_reason, turn.data, turn.schema_errors) == (StopReason(reason), None, ())
    assert turn.usage.output_tokens == 20


async def test_a_stop_reason_that_nobody_knows_ends_the_turn(wire: Wire, caller: Caller) -> None:
    wire.replies = [answer("Yes.", stop_reason="tired")]
    assert (await caller.call()).stop_reason is StopReason.END_TURN


async def test_thoughts_are_no_part_of_the_answer(wire: Wire, caller: Caller) -> None:
    thoughts = block(
        {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Hm"}
    )
    wire.replies = [Reply(events=[message_start(), *thoughts, *text_block("Yes.", index=1), *ending()])]
    assert (await caller.call()).content.text == "Yes."


async def test_halves_of_a_character_are_joined_or_replaced(wire: Wire, caller: Caller) -> None:
    wire.replies = [answer("\ud83c", "\udf0a and \ud83c")]
    assert (await caller.call()).content.text == "🌊 and �"


async def test_an_answer_is_continued_where_it_was_cut_off(wire: Wire, caller: Caller) -> None:
    wire.replies = [answer("and low.")]
    turn = await caller.call(asking(continues=Part(text="High ")))
    assert turn.content.text == "High and low."
    continued = [{"role": "assistant", "content": "High "}, {"role": "user", "content": CONTINUE}]
    assert wire.hits[0].body["messages"][1:] == continued
    await caller.call(asking(continues=Part(text="")))
    assert len(wire.hits[1].body["messages"]) == 1


async def test_parts_are_cut_to_fit_and_blank_messages_filled(wire: Wire, caller: Caller, store: ContentStore) -> None:
    kept = await store.keep("a" * 5000)
    messages = (
        Message(parts=(Part(text="Sum up."), Part.of(kept, "step 1"))),
        Message(role="assistant", parts=(Part(text=" \n"),)),
        Message(parts=(Part(text="Again."),)),
    )
    wire.replies = [answer("Yes.")]
    turn = await caller.call(asking(messages=messages, context_characters=300))
    assert turn.left_out_characters == 4700
    first, *others = (message["content"] for message in wire.hits[0].body["messages"])
    assert first.startswith('Sum up.\n\n<part label="step 1">\naaa')
    assert (first.count("a"), others) == (300 + "part label characters part".count("a"), ["(nothing)", "Again."])


async def test_a_call_whose_pieces_cannot_be_published_is_answered(wire: Wire, caller: Caller) -> None:
    """There is no client here to publish by."""
    gate = asyncio.Event()
    wire.replies = [Reply(events=[message_start(), *text_block("12345", "6"), gate, *ending()])]
    asyncio.get_running_loop().call_later(0.2, gate.set)
    assert (await caller.call(asking(stream=True))).content.text == "123456"


async def test_a_slow_answer_beats_with_its_progress(wire: Wire, caller: Caller) -> None:
    gate, beats = asyncio.Event(), set()

    def heard(details: dict[str, int]) -> None:
        beats.add(details["characters"])
        if 5 in beats:
            gate.set()

    wire.replies = [
        Reply(events=[message_start(), text_block("")[0], text_piece("12345"), gate, text_piece("6"), *ending()])
    ]
    caller.env.on_heartbeat = heard
    caller.beat(0.06)
    async with asyncio.timeout(10):
        assert (await caller.call()).content.text == "123456"
    assert {5} <= beats <= {0, 5, 6}


async def test_cancelling_the_activity_ends_the_request(wire: Wire, caller: Caller) -> None:
    wire.replies = [Reply(events=[message_start(), asyncio.Event()])]
    running = asyncio.create_task(caller.call())
    async with asyncio.timeout(10):
        await wire.hit.wait()
        caller.env.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await wire.hits[0].left.wait()


async def test_an_empty_address_in_the_environment_means_claude(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "")
    async with make_client("key", None, 120) as client:
        assert (str(client.base_url).rstrip("/"), client.max_retries) == (CLAUDE_URL, 0)
        assert client.timeout == Timeout(120, connect=10)


async def test_an_answered_call_is_never_made_again(caller: Caller, wire: Wire) -> None:
    wire.replies = [answer("The tides rise."), answer("They fall.")]
    first = await caller.call()
    caller.env.info = replace(caller.env.info, attempt=2)
    again = await caller.call()
    assert again == first
    assert len(wire.hits) == 1


async def test_the_first_calls_make_one_client_and_wait_for_it(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(endpoint: Endpoint) -> Any:
        made.append(endpoint)
        return client_of(endpoint)

    monkeypatch.setattr(claude, "client_of", counted)
    wire.replies = [answer("Yes.")]
    llm = ClaudeWhenNeeded(Endpoint.of("key", wire.url, timeout=10), retry_after_cap=60)
    await llm.aclose()  # nothing was made
    call = ModelCall(MODEL, (("user", "Well?"),), 50)
    cancelled = asyncio.create_task(llm.answer(call, Progress()))
    others = [asyncio.create_task(llm.answer(call, Progress())) for _ in range(3)]
    await asyncio.sleep(0)
    cancelled.cancel()  # the others still get their client
    assert [reply.text for reply in await asyncio.gather(*others)] == ["Yes."] * 3
    assert len(made) == 1
    assert "key" not in repr(made)
    await llm.aclose()


async def test_what_was_read_for_one_call_is_not_read_for_the_next(
    wire: Wire, caller: Caller, store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.replies = [answer("Yes.")]
    texts = ["You know tides.", json.dumps(TOOLS), "high", "low"]
    system, toolset, *material = [Part(ref=await store.put(text.encode())) for text in texts]
    request = asking(messages=(Message(parts=(*material, *material)),), system=system, toolset=toolset)
    cached = ContentStore.open((tmp_path / "content").as_uri(), cache_bytes=10**6)
    caller.agent = AgentActivities(caller.llm, cached, TABLE)
    reads, writes = count_reads(monkeypatch), count_writes(monkeypatch)
    await caller.call(request)
    assert len(reads) == 4
    await caller.call(request)
    assert len(reads) == 4
    assert wire.hits[0].body == wire.hits[1].body
    assert [tool["name"] for tool in wire.hits[1].body["tools"]] == ["tides", "moon"]
    assert len(writes) == 2  # a short answer is in the record of its call, and in history


@pytest.mark.parametrize("with_aiohttp", [True, False])
async def test_a_redirect_to_another_server_is_not_given_the_key(
    wire: Wire, store: ContentStore, monkeypatch: pytest.MonkeyPatch, with_aiohttp: bool
) -> None:
    monkeypatch.setattr(claude_clients, "installed", lambda _: with_aiohttp)
    async with serving() as other, make_client("the-key", wire.url, 5.0, "the-token") as client:
        other.replies = [answer("Yes.")]
        wire.replies = [Reply(status=307, headers={"location": f"{wire.url}/v1/here"}, body="{}")]
        wire.replies += [Reply(status=307, headers={"location": f"{other.url}/v1/there"}, body="{}")]
        await calling(client, store).call()
    assert [hit.headers.get("x-api-key") for hit in (*wire.hits, *other.hits)] == ["the-key", "the-key", None]
    assert "authorization" not in other.hits[0].headers
