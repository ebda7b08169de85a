"""What happens in a session as lines of a chat: texts as they are written, tool calls of one line each, what waits for people."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Any

from outlast.cli.decisions.sending import described
from outlast.cli.reaching import Reach
from outlast.cli.rendering import safe
from outlast.cli.watching.call_text import CallText
from outlast.contracts import Content, GateView, Question, Streamed
from outlast.server.events.log import Logged, text_of
from outlast.server.events.stream import StreamEvent

ONE_LINE = 150
"""Characters of a tool call; the report and the trace have it whole."""
NOT_ANSWERED = ("failed", "stopped")
"""How a message ends that nobody answered."""


@dataclass(frozen=True)
class Line:
    """A line of a chat; one that is `aside` is no part of what was said."""

    text: str
    aside: bool = False


class Talk:
    """Turns events into lines, and knows what is open: `draws` tells that texts are shown while they are written."""

    def __init__(self, agent: str, *, draws: bool) -> None:
        self._agent = agent
        self._draws = draws
        self._run = ""
        self._asked: set[str] = set()
        self.gates: dict[str, GateView] = {}
        """What waits for a decision, by name."""
        self.questions: dict[str, Question] = {}
        """What waits for an answer, by name."""
        self.mine: set[str] = set()
        """Keys of the messages that were typed here: they stand on the screen already."""
        self.failed = False
        """Whether a message of this chat was not answered."""
        self._anew()

    def _anew(self) -> None:
        self._texts: dict[str, CallText] = {}
        self._at_work: set[str] = set()
        self._open: dict[str, int] = {}
        self._heard: set[int] = set()
        self._before: dict[int, Logged] = {}
        self._answered: set[int] = set()
        self._numbered: dict[str, int] = {}
        self.read_to = 0
        """The last message of the run whose answer was shown."""

    def begin(self, run: str) -> None:
        """Turn to a run of the session: messages are numbered from 1 on in each."""
        if run != self._run:
            self._run = run
            self._anew()

    @property
    def works(self) -> bool:
        """Whether the agent does anything now."""
        return bool(self._at_work)

    @property
    def question(self) -> str:
        """The question that a line answers: the oldest one that is open; "" where none is."""
        return next(iter(self.questions), "")

    def knows(self, key: str) -> bool:
        """Whether the session has had a message of this key."""
        return key in self._numbered

    @property
    def settled(self) -> bool:
        """Whether nothing that was said here waits for the agent alone."""
        return not self._open or bool(self.questions) or bool(self.gates)

    @property
    def unanswered(self) -> bool:
        """Whether something that was said here has no answer yet."""
        return bool(self._open)

    async def sent(self, reach: Reach, key: str, number: int) -> list[Line]:
        """Take note of a message that was taken: its answer is waited for, or returned where it was given before."""
        number = number or self._numbered.get(key, 0)  # where no worker answered, history may know the message
        if number not in self._answered:
            self._open[key] = number
        return await self._given(reach)

    async def _given(self, reach: Reach) -> list[Line]:
        """Return the answers that are known already to messages of this chat; a terminal has shown them with the rest."""
        lines = []
        for key, known in list(self._open.items()):
            number = known or self._numbered.get(key, 0)
            if (answer := self._before.get(number)) is not None:
                del self._open[key]
                self.failed = self.failed or answer.data["state"] in NOT_ANSWERED
                lines += [] if self._draws else [Line(safe(await text_of(reach, answer) or ""))]
        return lines

    def lines(self, event: StreamEvent) -> Iterator[Line]:
        """Yield the lines that an event gives."""
        data = event.data
        self._begun(event.kind, data)
        match event.kind:
            case "message":
                yield from self._message(data)
            case "answer":
                yield from self._answer(data)
            case "text" if self._draws:
                piece = Streamed(attempt=data["attempt"], start=data["start"], text=data["text"])
                yield from map(Line, self._text(data).feed(piece))
            case "call_ended":
                yield from self._written(data) if data["model"] else [_tool_line(data)]
            case "gate" if data["kind"] != "opened":
                who = f" by {data['by']}" if data.get("by") else ""
                after = f"; from here on {data['standing']} is approved in this run" if data.get("standing") else ""
                yield Line(safe(f"  {data['gate']}: {data['kind']}{who}{after}"), aside=True)
            case "status":
                yield from self._waiting(data)
            case "run_ended":
                self.failed = self.failed or bool(self._open)
                why = f": {data['error']}" if data["error"] else ""
                yield Line(safe(f"the session has ended ({data['status']}){why}"), aside=True)

    async def since(self, reach: Reach, events: Sequence[Logged], read_to: int, most: int) -> list[Line]:
        """Return what was said after a message that somebody has read; the last of it where they have read nothing."""
        told: dict[tuple[str, int], Logged] = {}
        for event in events:
            self._begun(event.kind, event.data)
            if event.kind in ("message", "answer"):
                told[event.kind, max(_numbers(event.data))] = event
                self._heard.update(_numbers(event.data))
                self._numbered |= {event.data["key"]: event.data["number"]} if event.kind == "message" else {}
                self._before |= dict.fromkeys(_numbers(event.data), event) if event.kind == "answer" else {}
        self.read_to = max([read_to, *self._before])
        if not self._draws:
            return await self._given(reach)
        new = [
            event for (_, number), event in told.items() if number > read_to and event.data.get("key") not in self.mine
        ]
        left_out = max(0, len(new) - 2 * most) if not read_to else 0
        lines = [Line(f"  … {left_out} earlier lines are left out", aside=True)] if left_out else []
        for event in new[left_out:]:
            text = await text_of(reach, event)
            lines += _speech(event.data["by"] if event.kind == "message" else self._agent, text) if text else ()
        return lines + await self._given(reach)

    def _begun(self, kind: str, data: dict[str, Any]) -> None:
        """Keep account of the calls at work."""
        if kind == "call_started":
            self._at_work.add(data["call"])
        elif kind == "call_ended":
            self._at_work.discard(data["call"])

    def _message(self, data: dict[str, Any]) -> Iterator[Line]:
        key, number = data["key"], data["number"]
        self._numbered[key] = number
        if key in self._open:
            self._open[key] = number
        if number in self._heard:
            return
        self._heard.add(number)
        if self._draws and key not in self.mine:
            yield from _speech(data["by"], data.get("text", ""))

    def _answer(self, data: dict[str, Any]) -> Iterator[Line]:
        numbers = _numbers(data)
        mine = [key for key, number in self._open.items() if number in numbers]
        for key in mine:
            del self._open[key]
        self.read_to = max(self.read_to, *numbers)
        if mine:
            self._answered.update(numbers)
        else:  # it may be the answer to what a killed chat had said, and this one says again
            told = Logged("", "answer", data, Content(text=data.get("text") or ""))
            self._before |= dict.fromkeys(numbers, told)
        if mine and data["state"] in NOT_ANSWERED:
            self.failed = True
        if not self._draws and mine and (data.get("text") or data["state"] == "answered"):
            yield Line(safe(data.get("text") or ""))
        if (self._draws or mine) and data["state"] != "answered":
            yield Line(safe(f"  ({data['state']}{': ' if data['reason'] else ''}{data['reason']})"), aside=True)

    def _text(self, data: dict[str, Any]) -> CallText:
        width = max(20, get_terminal_size().columns - len(data["agent"]) - 3)
        return self._texts.setdefault(data["call"], CallText(data["agent"], width))

    def _written(self, data: dict[str, Any]) -> Iterator[Line]:
        shown = self._text(data)
        del self._texts[data["call"]]
        if data["state"] != "done":
            yield Line(next(iter(shown.ended(f"✗ {data['error'] or data['state']}"))), aside=True)
        elif self._draws:
            yield from map(Line, shown.finish(data.get("text") or ""))

    def _waiting(self, status: dict[str, Any]) -> Iterator[Line]:
        """Show what has begun to wait for people."""
        self.gates = {each["name"]: GateView.model_validate(each) for each in status["gates"]}
        self.questions = {each["id"]: Question.model_validate(each) for each in status["questions"]}
        for name, gate in self.gates.items():
            if f"{name} {gate.digest}" not in self._asked:
                self._asked.add(f"{name} {gate.digest}")
                yield from (Line(safe(line), aside=True) for line in described(gate, datetime.now(UTC)))
                yield Line(f"  /approve {name} [REASON] or /deny {name} [REASON]", aside=True)
        for name, question in self.questions.items():
            if name not in self._asked:
                self._asked.add(name)
                yield Line(safe(f"? {question.full or question.text}"), aside=True)
                how = _example(question.form) if question.form else " or ".join(question.options) or "a text"
                yield Line(safe(f"  your next line answers {name}: {how}"), aside=True)


def _speech(who: str, text: str) -> Iterator[Line]:
    for line in safe(text).split(
        "\n"
    ):  # safe makes lines of carriage returns: without a name they would seem somebody else's
        yield Line(f"{safe(who)} │ {line}")


def _example(schema: dict[str, Any]) -> str:
    """Show what the answer to a form looks like."""
    fields = schema.get("properties") or {}
    kinds = {name: about.get("type", "any") if isinstance(about, dict) else "any" for name, about in fields.items()}
    return f"JSON such as {json.dumps({name: f'<{kind}>' for name, kind in kinds.items()}, ensure_ascii=False)}"


def _numbers(data: dict[str, Any]) -> tuple[int, ...]:
    return tuple(data["numbers"]) if "numbers" in data else (data["number"],)


def _tool_line(data: dict[str, Any]) -> Line:
    given = json.dumps(data.get("input", {}), ensure_ascii=False)
    mark = "✓" if data["state"] == "done" else "✗"
    came = " ".join((data["error"] or data.get("text") or data["state"]).split())
    line = safe(f"  {mark} {data['tool']} {' '.join(given.split())} → {came}")
    return Line(line if len(line) <= ONE_LINE else f"{line[: ONE_LINE - 1]}…", aside=True)
