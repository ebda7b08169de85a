"""Answers as servers in the world send them in place of the Messages API's own, each after a public report or a published stream.

`docs/compatibility.md` lists them for users. The data are made for this; nothing is copied from a report.
"""

import json
from dataclasses import dataclass
from typing import Any

from outlast.errors import ErrorKind
from outlast.testing.messages_api.bodies import event
from tests.doubles.wire import MODEL, Reply, block, ending, message_start, text_block

SAID = "High and low."
WHOLE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": SAID}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 100, "output_tokens": 20},
}


@dataclass(frozen=True)
class Situation:
    """What a server sends and what becomes of it: the answer SAID, or an error of this kind, tried again or not."""

    name: str
    source: str
    reply: Reply
    kind: ErrorKind | None = None
    final: bool = True
    told: str = ""


def started(message: dict[str, Any]) -> str:
    """Write the first event with exactly these fields."""
    return event("message_start", message=message)


def delta(kind: str, index: int = 0, **fields: Any) -> str:
    """Write a delta with exactly these fields."""
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


BARE = {"type": "message", "role": "assistant", "model": MODEL, "content": []}
PIECE = delta("text_delta", text=SAID)
TEXT = text_block(SAID)
END = ending()
STOP = event("message_stop")
THINKING = {"type": "thinking", "thinking": None, "signature": None}
SEARCHED = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}

ANSWERED = [
    Situation(
        "content null in message_start",
        "anthropics/anthropic-sdk-python#1799, NousResearch/hermes-agent#53627",
        Reply(events=[started(BARE | {"content": None, "usage": WHOLE["usage"]}), *TEXT, *END]),
    ),
    Situation(
        "no usage in message_start",
        "Alishahryar1/free-claude-code#209",
        Reply(events=[started(BARE), *TEXT, *END]),
    ),
    Situation(
        "usage null, and no token counted at all",
        "Alishahryar1/free-claude-code#209",
        Reply(
            events=[
                started(BARE | {"usage": None}),
                *TEXT,
                event("message_delta", delta={"stop_reason": "end_turn"}),
                STOP,
            ]
        ),
    ),
    Situation(
        "null in place of empty texts",
        "NousResearch/hermes-agent#53627",
        Reply(
            events=[
                message_start(),
                *block(THINKING, {"type": "thinking_delta", "thinking": "Hm"}),
                *block({"type": "text", "text": None}, {"type": "text_delta", "text": SAID}, index=1),
                *END,
            ]
        ),
    ),
    Situation(
        "text in content_block_start",
        "earendil-works/pi#7283",
        Reply(
            events=[
                message_start(),
                *block({"type": "text", "text": "High "}, {"type": "text_delta", "text": "and low."}),
                *END,
            ]
        ),
    ),
    Situation(
        "a delta without its content_block_start",
        "anthropics/anthropic-sdk-python#1690",
        Reply(events=[message_start(), PIECE, *END]),
    ),
    Situation(
        "blocks that begin out of order",
        "anthropics/anthropic-sdk-python#1145",
        Reply(
            events=[
                message_start(),
                event("content_block_start", index=1, content_block={"type": "thinking", "thinking": ""}),
                event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
                delta("thinking_delta", 1, thinking="Hm"),
                PIECE,
                *END,
            ]
        ),
    ),
    Situation(
        "every block is number 0",
        "BerriAI/litellm#12184",
        Reply(events=[message_start(), *block({"type": "thinking", "thinking": ""}), *TEXT, *END]),
    ),
    Situation(
        "[DONE] at the end",
        "Alishahryar1/free-claude-code#43",
        Reply(events=[message_start(), *TEXT, *END, "data: [DONE]\n\n"]),
    ),
    Situation(
        "data lines without event lines",
        "vllm-project/agentic-api#168",
        Reply(events=[each.partition("\n")[2] for each in (message_start(), *TEXT, *END)]),
    ),
    Situation(
        "CRLF, comments, blanks after the JSON",
        "BerriAI/litellm#5231",
        Reply(
            events=[
                each.replace("}\n", "}   \n").replace("\n", "\r\n") + ": ping\r\n\r\n"
                for each in (message_start(), *TEXT, *END)
            ]
        ),
    ),
    Situation(
        "plain JSON where a stream was asked for",
        "andresgd2003-art/bano#17",
        Reply(body=json.dumps(WHOLE)),
    ),
    Situation(
        "plain JSON called a stream",
        "stacklok/codegate#149",
        Reply(body=json.dumps(WHOLE), headers={"content-type": "text/event-stream"}),
    ),
    Situation(
        "a stream called JSON",
        "rynfar/meridian#239",
        Reply(events=[message_start(), *TEXT, *END], headers={"content-type": "application/json"}),
    ),
    Situation(
        "plain JSON whose content is a text",
        "anthropics/anthropic-sdk-python#1799",
        Reply(body=json.dumps(WHOLE | {"content": SAID})),
    ),
    Situation(
        "message_delta without input tokens",
        "karthink/gptel#1331",
        Reply(
            events=[
                message_start(),
                *TEXT,
                event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 20}),
                STOP,
            ]
        ),
    ),
    Situation(
        "no reason to stop, but message_stop",
        "BerriAI/litellm#12666",
        Reply(events=[message_start(), *TEXT, STOP]),
    ),
    Situation(
        "events, blocks and deltas that nobody knows",
        "https://docs.claude.com/en/docs/build-with-claude/streaming",
        Reply(
            events=[
                message_start(),
                event("brand_new_event", anything=1),
                *block({"type": "brand_new_block", "data": None}, {"type": "brand_new_delta", "x": 1}),
                *text_block(SAID, index=1),
                *END,
            ]
        ),
    ),
    Situation(
        "a web search with its results",
        "https://docs.claude.com/en/docs/build-with-claude/streaming",
        Reply(
            events=[
                message_start(),
                *block(SEARCHED, {"type": "input_json_delta", "partial_json": '{"query": "tides"}'}),
                *block(FOUND, index=1),
                *text_block(SAID, index=2),
                *END,
            ]
        ),
    ),
]


def moon_called_with(written: str) -> Reply:
    """Call a tool with arguments as they are written."""
    start = {"type": "tool_use", "id": "t", "name": "moon", "input": {}}
    arguments = {"type": "input_json_delta", "partial_json": written}
    return Reply(events=[message_start(), *block(start, arguments), *ending("tool_use")])


FAILED = [
    Situation(
        "a web page",
        "vellum-ai/vellum-assistant#25930",
        Reply(body="<!DOCTYPE html><html>Not here</html>", headers={"content-type": "text/html"}),
        ErrorKind.MODEL_NOT_FOUND,
        told="it sent a web page",
    ),
    Situation(
        "another API's JSON",
        "stacklok/codegate#149",
        Reply(body='{"id": "chatcmpl-1", "choices": [{"message": {"content": "High."}}]}'),
        ErrorKind.MODEL_NOT_FOUND,
        told="it sent JSON that is not a message",
    ),
    Situation(
        "another API's stream",
        "vllm-project/vllm#37937",
        Reply(events=['data: {"object": "chat.completion.chunk", "choices": []}\n\n', "data: [DONE]\n\n"]),
        ErrorKind.MODEL_NOT_FOUND,
        told="it sent no events of the Messages API",
    ),
    Situation(
        "a sentence",
        "vellum-ai/vellum-assistant#25930",
        Reply(body="It works!"),
        ErrorKind.MODEL_NOT_FOUND,
        told="It works!",
    ),
    Situation("an empty object", "the issue", Reply(body="{}"), ErrorKind.MODEL_NOT_FOUND, told="not a message"),
    Situation(
        "an overload told in JSON with status 200",
        "https://docs.claude.com/en/api/errors",
        Reply(body='{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}'),
        ErrorKind.MODEL_UNAVAILABLE,
        final=False,
        told="overloaded_error: busy",
    ),
    Situation(
        "a gateway's error in the stream, with a number",
        "BerriAI/litellm#5011",
        Reply(events=[message_start(), 'data: {"error": {"message": "slow down", "type": null, "code": "429"}}\n\n']),
        ErrorKind.RATE_LIMITED,
        final=False,
        told="429 error: slow down",
    ),
    Situation(
        "an error event whose data are no JSON",
        "BerriAI/litellm#5011",
        Reply(events=[message_start(), "event: error\ndata: upstream died\n\n"]),
        ErrorKind.MODEL_UNAVAILABLE,
        final=False,
        told="upstream died",
    ),
    Situation(
        "JSON that breaks off",
        "anthropics/anthropic-sdk-python#1799",
        Reply(body=json.dumps(WHOLE)[:-20]),
        ErrorKind.MODEL_UNAVAILABLE,
        final=False,
        told="breaks off",
    ),
    Situation(
        "a tool's arguments that are a list",
        "the issue",
        moon_called_with("[3]"),
        ErrorKind.MODEL_UNAVAILABLE,
        final=False,
        told="a tool's arguments",
    ),
    Situation(
        "a tool's arguments that break off although nothing cut the answer off",  # 12 of 1200 may be paid back
        "the issue",
        moon_called_with('{"phase": 12'),
        ErrorKind.MODEL_UNAVAILABLE,
        final=False,
        told="a tool's arguments",
    ),
]
