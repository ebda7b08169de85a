"""An AG-UI endpoint on the same events: a thread is a session of an agent, a run of the protocol is a message and its answer.

A request that is sent again with the same run id sends no message again: it gets the events from that message on.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    RunAgentInput,
    RunErrorEvent,
    RunFinishedEvent,
    RunStartedEvent,
    StateSnapshotEvent,
    StepFinishedEvent,
    StepStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
    UserMessage,
)
from sse_starlette import EventSourceResponse, ServerSentEvent

from outlast.agents.sessions import MessageState
from outlast.cli.chat.sessions import KEY_MEMO
from outlast.redaction import SECRETS
from outlast.server.conversations import Message, say
from outlast.server.events.feed import Feed, Feeds
from outlast.server.events.stream import HEARTBEAT, SEND_WITHIN, StreamEvent, stream_events
from outlast.server.operations import Answer, Call, HttpError, find

THREAD = "agui-"
"""How the ids of its sessions begin, so that a thread is never taken for a run of somebody else."""

__all__ = ["RunAgentInput", "Translation", "run_agent", "said_in"]


def session_for(thread: str) -> str:
    """Return the session of a thread; "~2" at the end of an id is the second run of a session."""
    return THREAD + thread.replace("%", "%25").replace("~", "%7E")


def run_agent(feeds: Feeds) -> Callable[[Call], Awaitable[Answer]]:
    """Make the operation that sends an agent the last message of a thread, and streams what comes of it."""

    async def run(call: Call) -> Answer:
        given: RunAgentInput = call.body
        message = Message(said_in(given), call.params["agent"], given.run_id)
        said = await say(call.reach, call.caller, session_for(given.thread_id), message)
        found = await find(call.reach, said.id)
        translation = Translation(given.thread_id, given.run_id, said.number)
        alone = await found.memo_value(KEY_MEMO, "", type_hint=str) == given.run_id  # a run of one message, as once

        async def sent() -> AsyncIterator[ServerSentEvent]:
            yield _sse(RunStartedEvent(thread_id=given.thread_id, run_id=given.run_id))
            async with feeds.of(found) as feed:
                after = await translation.begin(feed, answers=bool(said.answers), alone=alone)
                async for each in stream_events(call.reach, feed, after):
                    for event in translation.of(each):
                        yield _sse(event)
                    if translation.over:
                        return
            yield _sse(RunErrorEvent(message="the events of this run broke off; send the same run again"))

        return EventSourceResponse(sent(), sep="\n", ping=HEARTBEAT, send_timeout=SEND_WITHIN)

    return run


def said_in(given: RunAgentInput) -> str:
    """Return the last message of the person; raises HttpError where there is none."""
    last = next((one for one in reversed(given.messages) if isinstance(one, UserMessage)), None)
    content: Any = last.content if last is not None else ""
    if isinstance(content, list):
        content = "\n".join(part.text for part in content if isinstance(getattr(part, "text", None), str))
    if not str(content or "").strip():
        raise HttpError(422, "messages: the last message of the user has no text")
    return str(content)


def _sse(event: BaseEvent) -> ServerSentEvent:
    return ServerSentEvent(data=SECRETS(event.model_dump_json(by_alias=True, exclude_none=True)), sep="\n")


@dataclass
class Written:
    """How much of a text the client has, and under which message."""

    message: str
    attempt: int = 1
    text: str = ""


@dataclass
class Translation:
    """Turns the events from one message to its answer into those of the protocol, each message closed before the run is.

    `number` is that of the message; 0 where only its key, the id of the run, tells which it is.
    """

    thread: str
    run: str
    number: int = 0
    over: bool = False
    begun: bool = False
    steps: list[str] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    open: dict[str, Written] = field(default_factory=dict)

    async def begin(self, feed: Feed, *, answers: bool, alone: bool) -> str:
        """Return the id of the event from which on events are wanted: the message's, or the last where it is still to come.

        A message that `answers` a question is none of its own: what follows is the rest of the answer that is being worked on.
        One that has a run `alone` is answered by all of it.
        """
        await feed.caught_up.wait()
        self.begun = answers or alone
        if alone:
            return ""
        for event in [] if answers else feed.events:
            if event.kind == "message" and self._is_mine(event.data):
                return event.id
        return feed.events[-1].id if feed.events else ""

    def _is_mine(self, data: dict[str, Any]) -> bool:
        self.begun = data["number"] == self.number or (bool(data["key"]) and data["key"] == self.run)
        self.number = data["number"] if self.begun else self.number
        return self.begun

    def of(self, each: StreamEvent) -> Iterator[BaseEvent]:
        """Yield the events that say the same; nothing before the message has come."""
        data = each.data
        if each.kind == "run_ended":
            yield from self._run_ends(data)
        elif not self.begun:
            if each.kind == "message":
                self._is_mine(data)
        elif each.kind == "status":
            yield StateSnapshotEvent(snapshot=data)
            yield from self._questions(data)
        elif each.kind == "gate":
            yield CustomEvent(name="gate", value=data)
        elif each.kind == "call_started":
            yield from self._begins(data)
        elif each.kind == "answer":
            yield from self._is_answered(data)
        elif data.get("call") in self.calls:  # one that had begun before is part of what was said before
            if each.kind == "text":
                yield from self._text(data)
            elif each.kind == "call_ended":
                yield from self._ends(data) if data["model"] else self._tool_ends(data)

    def _questions(self, status: dict[str, Any]) -> Iterator[BaseEvent]:
        for question in status["questions"]:
            if question["id"] not in self.asked:
                self.asked.add(question["id"])
                yield CustomEvent(name="question", value=question)

    def _begins(self, data: dict[str, Any]) -> Iterator[BaseEvent]:
        self.calls.add(data["call"])
        if data["step"] and data["step"] not in self.steps:
            self.steps.append(data["step"])
            yield StepStartedEvent(step_name=data["step"])
        if not data["model"]:
            yield ToolCallStartEvent(tool_call_id=data["call"], tool_call_name=data["tool"])
            yield ToolCallArgsEvent(tool_call_id=data["call"], delta=json.dumps(data.get("input", {})))
            yield ToolCallEndEvent(tool_call_id=data["call"])

    def _text(self, data: dict[str, Any]) -> Iterator[BaseEvent]:
        written = self.open.get(data["call"])
        if written is not None and data["attempt"] != written.attempt:  # what that attempt wrote does not count
            yield from self._close(data["call"])
            written = None
        if written is None:
            if data["start"]:
                return  # its beginning was not seen: the whole text comes with its end
            message = data["call"] if data["attempt"] == 1 else f"{data['call']}#{data['attempt']}"
            written = self.open[data["call"]] = Written(message, data["attempt"])
            yield TextMessageStartEvent(message_id=message, role="assistant")
        if data["start"] <= len(written.text):
            yield from self._write(written, data["text"][len(written.text) - data["start"] :])

    def _ends(self, data: dict[str, Any]) -> Iterator[BaseEvent]:
        text, call = data.get("text") or "", data["call"]
        written = self.open.get(call)
        if written is not None and text.startswith(written.text):
            yield from self._write(written, text[len(written.text) :])
            yield from self._close(call)
            return
        yield from self._close(call)
        if text and data["state"] == "done":
            written = self.open[call] = Written(call if written is None else f"{call}#whole")
            yield TextMessageStartEvent(message_id=written.message, role="assistant")
            yield from self._write(written, text)
            yield from self._close(call)

    def _tool_ends(self, data: dict[str, Any]) -> Iterator[BaseEvent]:
        content = data.get("text") or data["error"] or data["state"]
        yield ToolCallResultEvent(
            message_id=f"{data['call']}:result", tool_call_id=data["call"], content=content, role="tool"
        )

    def _is_answered(self, data: dict[str, Any]) -> Iterator[BaseEvent]:
        if self.number and self.number not in data["numbers"]:
            return
        yield from self._closed()
        if data["state"] == MessageState.FAILED:
            yield RunErrorEvent(message=data["reason"] or "the message was not answered", code=data["state"])
            return
        result = {"id": data["id"], "number": data["numbers"][-1], "state": data["state"]}
        yield RunFinishedEvent(thread_id=self.thread, run_id=self.run, result=result)

    def _run_ends(self, data: dict[str, Any]) -> Iterator[BaseEvent]:
        yield from self._closed()
        if data["status"] == "completed" and self.begun and not self.number:
            yield RunFinishedEvent(thread_id=self.thread, run_id=self.run, result={"id": data["id"]})
            return
        why = data["error"] or f"the session has ended ({data['status']}) without an answer"
        yield RunErrorEvent(message=why, code=data["status"])

    def _closed(self) -> Iterator[BaseEvent]:
        self.over = True
        for call in list(self.open):
            yield from self._close(call)
        for step in self.steps:
            yield StepFinishedEvent(step_name=step)

    def _write(self, written: Written, delta: str) -> Iterator[BaseEvent]:
        if delta:
            written.text += delta
            yield TextMessageContentEvent(message_id=written.message, delta=delta)

    def _close(self, call: str) -> Iterator[BaseEvent]:
        if (written := self.open.pop(call, None)) is not None:
            yield TextMessageEndEvent(message_id=written.message)
