"""Our reading of streams beside the SDK's own: the same message, however the bytes are cut and whatever stands between."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given
from hypothesis import strategies as st

from outlast.contracts import Usage
from outlast.llm.base import Progress
from outlast.llm.message import MessageBuilder, usage_of
from outlast.llm.stream import EventReader, NotMessagesApiError, ReportedError
from tests.unit.patterns.graphs import steady

Event = dict[str, Any]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CITATION = st.fixed_dictionaries(
    {
        "type": st.just("web_search_result_location"),
        "cited_text": TEXTS,
        "encrypted_index": TEXTS,
        "title": TEXTS | st.none(),
        "url": TEXTS,
    }
)
RESULT = st.fixed_dictionaries(
    {
        "type": st.just("web_search_result"),
        "encrypted_content": TEXTS,
        "page_age": TEXTS | st.none(),
        "title": TEXTS,
        "url": TEXTS,
    }
)


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    """Cut a text into pieces, some of them empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in pairwise([0, *places, len(text)])]


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Event, list[Event]]:
    """Draw how a content block begins, and its deltas."""
    deltas: list[Event]
    kind = draw(st.sampled_from(["text", "cited", "tool", "server", "thinking", "redacted", "results"]))
    text = draw(TEXTS)
    match kind:
        case "tool" | "server":
            name = "tool_use" if kind == "tool" else "server_tool_use"
            known = "moon" if kind == "tool" else "web_search"
            written = json.dumps(draw(st.dictionaries(TEXTS, JSON, max_size=3)))
            # Cut off at times, as by max_tokens.
            written = written[: draw(st.integers(1, len(written)))] if draw(st.booleans()) else written
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in draw(cut(written))]
            return {"type": name, "id": "toolu_1", "name": known, "input": {}}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in draw(cut(text))]
            return {"type": "thinking", "thinking": "", "signature": ""}, [
                *deltas,
                {"type": "signature_delta", "signature": "EqQB"},
            ]
        case "redacted":
            return {"type": "redacted_thinking", "data": text}, []
        case "results":
            content = draw(st.lists(RESULT, max_size=2))
            return {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}, []
        case _:
            deltas = [{"type": "text_delta", "text": piece} for piece in draw(cut(text))]
            cited = draw(st.lists(CITATION, max_size=2)) if kind == "cited" else []
            deltas += [{"type": "citations_delta", "citation": citation} for citation in cited]
            return {"type": "text", "text": draw(st.sampled_from(["", "To "])), "citations": None}, deltas


COUNTS = st.integers(0, 9000)
NOISE: list[Event] = [{"type": "ping"}]


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Draw the events of one whole answer."""
    usage: Event = {
        "input_tokens": draw(COUNTS),
        "output_tokens": 1,
        "cache_read_input_tokens": draw(COUNTS | st.none()),
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-test"}
    events: list[Event] = [{"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}}]
    for index, (start, deltas) in enumerate(draw(st.lists(blocks(), max_size=4))):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        for delta in deltas:
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events += draw(st.sampled_from([[], NOISE]))
        events.append({"type": "content_block_stop", "index": index})
    reason = draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal", "pause_turn"]))
    final = {"output_tokens": draw(COUNTS), "input_tokens": draw(COUNTS | st.none())}
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": delta, "usage": final}, {"type": "message_stop"}]


def by_the_sdk(events: list[Event]) -> Event:
    """Accumulate as the SDK does."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        if event["type"] != "ping":
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)  # type: ignore[arg-type]
    told: Event = snapshot.to_dict(mode="json", exclude_none=True)
    return told


def by_us(body: bytes, cuts: list[int], progress: Progress | None = None) -> Event | None:
    """Read bytes that come in pieces."""
    builder = MessageBuilder(progress or Progress())
    reader = EventReader(builder.take)
    for start, end in pairwise([0, *sorted(place % (len(body) + 1) for place in cuts), len(body)]):
        reader.feed(body[start:end])
        builder.report()
    reader.finish()
    builder.report()
    return builder.message()


def written(events: list[Event], line: str, between: list[str], *, named: bool) -> bytes:
    """Write events as a stream, with these line ends and with comments and fields of no use between them."""
    pieces = []
    for position, event in enumerate(events):
        name = f"event: {event['type']}\n" if named else ""
        pieces.append(f"{name}data: {json.dumps(event)}\n\n" + between[position % len(between)])
    return "".join(pieces).replace("\n", line).encode()


BETWEEN = st.lists(
    st.sampled_from(["", ": keep-alive\n\n", "id: 7\n", "retry: 3000\n\n", "\n", 'event: ping\ndata: {"type": "ping"}\n\n']),
    min_size=1,
    max_size=4,
)  # fmt: skip


@steady
@given(
    streams(),
    st.lists(st.integers(0, 10**6), max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    BETWEEN,
    st.booleans(),
)
def test_the_message_is_the_sdks_however_the_bytes_are_cut(
    events: list[Event], cuts: list[int], line: str, between: list[str], named: bool
) -> None:
    progress = Progress()
    message = by_us(written(events, line, between, named=named), cuts, progress)
    expected = by_the_sdk(events)
    assert message is not None
    assert message["content"] == expected["content"]
    assert message["stop_reason"] == expected["stop_reason"]
    assert usage_of(message["usage"]) == usage_of(expected["usage"]) == progress.usage
    assert progress.counted
    assert progress.text == "".join(block["text"] for block in expected["content"] if block["type"] == "text")


@steady
@given(streams(), st.data())
def test_a_stream_that_is_cut_before_its_reason_is_no_answer(events: list[Event], data: st.DataObject) -> None:
    """Never a message, whatever the byte; where it is cut, everything before counts as received."""
    whole = written(events[:-2], "\n", [""], named=True)
    body = whole[: data.draw(st.integers(0, len(whole)))]
    assert by_us(body, [len(body) // 2]) is None


@steady
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=3))
def test_any_bytes_are_an_answer_or_one_of_three_errors(body: bytes, cuts: list[int]) -> None:
    with suppress(NotMessagesApiError, ReportedError, ValueError):
        assert by_us(body, cuts) is None


def test_a_plain_message_is_read_as_the_stream_that_it_stands_for() -> None:
    content = [
        {"type": "text", "text": "High."},
        {"type": "tool_use", "id": "t", "name": "moon", "input": {"day": None}},
    ]
    said = {
        "type": "message",
        "content": content,
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    progress = Progress()
    message = by_us(json.dumps(said).encode(), [5], progress)
    assert message is not None
    assert (message["content"], message["stop_reason"]) == (content, "tool_use")
    assert (progress.text, progress.usage, progress.counted) == ("High.", Usage(input_tokens=3, output_tokens=2), True)


@pytest.mark.parametrize(
    "extra", [b"", b"event: message_st", b'data: {"type": "message_st', b"\r", b"data: [DONE]\n\n"]
)
def test_what_comes_after_the_last_event_changes_nothing(extra: bytes) -> None:
    start = {"type": "message_start", "message": {"content": None}}
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    message = by_us(written([start, text, end], "\n", [""], named=False) + extra, [])
    assert message is not None
    assert message["content"] == [{"type": "text", "text": "Yes."}]
