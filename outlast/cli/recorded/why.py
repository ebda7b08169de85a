"""Walks a step of a run back: what it was asked, from which steps that came, what it answered, and what went wrong there.

A cause lies upstream as often as not, so the steps that a step was made of are looked at as well, nearest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.recorded.events import Ended
from outlast.cli.recorded.reading import Call, RunHistory
from outlast.cli.recorded.suspicions import Suspicion, lacking, suspicions, upstream
from outlast.cli.rendering import money, row, safe, seconds, table
from outlast.cli.result_texts import Reader
from outlast.contracts import Content, FallbackTaken, ModelRequest, Part, Spend, StepRow, ToolRequest

SHOWN = 1500
"""Characters of each text that are shown without --full."""


@dataclass(frozen=True)
class PromptPart:
    """One text that reached a model: from where (`step 2`, a document), by which role, and all of it."""

    source: str
    role: str
    text: str


@dataclass(frozen=True)
class WhyPage:
    """One step explained; `call` is the one whose prompt and answer are shown, `upstream` the steps it was made of."""

    step: str
    row: StepRow | None
    calls: tuple[Call, ...]
    call: Call | None
    system: str
    asked: tuple[PromptPart, ...]
    answer: str
    upstream: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return {
            "step": self.step,
            "state": self.row.state if self.row else None,
            "agent": self.row.agent if self.row else None,
            "upstream": list(self.upstream),
            "suspicions": [{"step": one.step, "what": one.what, "fatal": one.fatal} for one in self.suspicions],
            "calls": [call_data(call) for call in self.calls],
            "system": self.system,
            "asked": [{"from": one.source, "role": one.role, "text": one.text} for one in self.asked],
            "answer": self.answer,
        }

    def lines(self, *, full: bool = False) -> list[RenderableType]:
        """Show it."""
        state = f" · {self.row.state} · {self.row.agent}" if self.row else ""
        made_of = f" · made of {', '.join(self.upstream)}" if self.upstream else ""
        parts: list[RenderableType] = [Text.assemble((safe(self.step), "bold"), safe(f"{state}{made_of}"))]
        parts += suspicion_lines(self.suspicions)
        parts.append(calls_table(self.calls))
        if self.system:
            parts += _text("system prompt", self.system, full)
        for message in self.asked:
            parts += _text(f"{message.role}, {message.source}" if message.source else message.role, message.text, full)
        if self.call is not None:
            parts += _text("the answer", self.answer or "(nothing)", full)
        return parts


def suspicion_lines(found: Sequence[Suspicion]) -> list[RenderableType]:
    """Show what went wrong, or say that nothing did."""
    if not found:
        return [Text("nothing failed, was repeated or was cut at this step or before it", style="dim")]
    return [
        Text(safe(f"{'✗' if one.fatal else '!'} {one.where}: {one.what}"), style="red" if one.fatal else "yellow")
        for one in found
    ]


def calls_table(calls: Sequence[Call]) -> RenderableType:
    """Show a step's calls: how long each waited and ran, how often it was tried, what it cost."""
    made = table("#", "call", "waited", "ran", "attempt", "cost", "", "why")
    for number, call in enumerate(calls, 1):
        data = call_data(call)
        row(
            made, str(number), data["what"], seconds(data["waited_ms"] / 1000), seconds(data["ran_ms"] / 1000),
            str(data["attempt"]), money(spend_of(call)) if call.is_model else "", data["outcome"],
            data["failure"] or data["approved"],
        )  # fmt: skip
    return made


def call_data(call: Call) -> dict[str, Any]:
    """Return one call as JSON data; times in ms, of the last attempt."""
    event = call.event
    ran = (event.ended - event.started).total_seconds() * 1000 if event.started and event.ended else 0.0
    waited = (event.started - event.scheduled).total_seconds() * 1000 if event.started else 0.0
    who = f"{call.asked.agent} ({call.asked.model})" if isinstance(call.asked, ModelRequest) else ""
    tool = f"{call.asked.tool}" if call.asked is not None and not isinstance(call.asked, ModelRequest) else ""
    failed = call.turn is not None and call.turn.schema_errors
    approval = call.asked.approval if isinstance(call.asked, ToolRequest) else None
    return {
        "what": who or tool or call.text or event.name,
        "tool": tool,
        "approved": approval.description if approval else "",
        "scheduled": event.scheduled.isoformat(),
        "waited_ms": round(waited),
        "ran_ms": round(ran),
        "attempt": event.attempt,
        "outcome": "sent back" if failed else f"{event.how}{' by hand' if event.by_hand else ''}",
        "failure": "; ".join(call.turn.schema_errors) if call.turn and failed else event.failure,
        "usd": call.turn.usd if call.turn else 0.0,
    }


def spend_of(call: Call) -> Spend:
    """Return what a model call cost, as far as its answer tells."""
    if call.turn is None:
        return Spend(calls=1)
    usage = call.turn.usage
    return Spend(
        calls=1,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        usd=call.turn.usd,
    )


async def explain(
    history: RunHistory,
    step: str,
    rows: Mapping[str, StepRow],
    fallbacks: Sequence[FallbackTaken],
    reader: Reader,
    number: int | None,
) -> WhyPage:
    """Explain one step by its call of that number (from 1; none: the last one that counts); raises LeavingError."""
    known = dict.fromkeys((*rows, *history.steps))
    if step not in known:
        raise LeavingError(WRONG, f"there is no step {step!r} in this run; there are {', '.join(known) or 'none'}")
    calls = history.of(step)
    if number is not None and not 1 <= number <= len(calls):
        raise LeavingError(WRONG, f"--call {number}: step {step!r} made {len(calls)} calls")
    call = calls[number - 1] if number is not None else _deciding(calls)
    before = upstream(history, step, rows)
    found = [one for at in (step, *before) for one in suspicions(history, at, rows.get(at), fallbacks)]
    asked = call.asked if call is not None else None
    return WhyPage(
        step=step,
        row=rows.get(step),
        calls=calls,
        call=call,
        system=await reader.text(_content(asked.system)) if isinstance(asked, ModelRequest) and asked.system else "",
        asked=await _asked(call, reader),
        answer=await _answer(call, reader),
        upstream=before,
        suspicions=tuple(found),
    )


def whole(history: RunHistory, rows: Mapping[str, StepRow], fallbacks: Sequence[FallbackTaken]) -> list[Suspicion]:
    """Return everything that went wrong in a run, in the order in which its steps began."""
    return [
        *lacking(history),
        *(
            one
            for step in dict.fromkeys((*history.steps, *rows))
            for one in suspicions(history, step, rows.get(step), fallbacks)
        ),
    ]


def _deciding(calls: Sequence[Call]) -> Call | None:
    """Choose the call that made the step's answer: the last model call that ended, or else the last call."""
    ended = [call for call in calls if call.is_model and call.event.how is not Ended.OPEN]
    return ended[-1] if ended else calls[-1] if calls else None


async def _asked(call: Call | None, reader: Reader) -> tuple[PromptPart, ...]:
    if call is None or call.asked is None:
        return ()
    if not isinstance(call.asked, ModelRequest):
        arguments = call.asked.input
        text = str(dict(arguments)) if call.asked.ref is None else await reader.text(Content(ref=call.asked.ref))
        return (PromptPart(f"arguments of {call.asked.tool}", "tool", text),)
    pieces = [
        piece
        for message in call.asked.messages
        for piece in (
            *((part.label, message.role, part) for part in message.parts),
            *(("a tool's answer", message.role, answer.content) for answer in message.answers),
        )
    ]
    return tuple([PromptPart(label, role, await reader.text(_content(part))) for label, role, part in pieces])


async def _answer(call: Call | None, reader: Reader) -> str:
    if call is None:
        return ""
    if call.result is not None:
        return await reader.text(call.result.content)
    if call.turn is None:
        return call.event.failure or call.odd
    text = await reader.text(call.turn.content)
    wanted = [f"{one.name}({dict(one.input)})" for one in call.turn.tool_calls]
    return "\n".join(filter(None, [text, *(f"wants {each}" for each in wanted)]))


def _content(part: Part) -> Content:
    return Content(text=part.text, ref=part.ref)


def _text(title: str, text: str, full: bool) -> list[RenderableType]:
    shown = text if full or len(text) <= SHOWN else f"{text[:SHOWN]}\n… {len(text) - SHOWN} more characters: --full"
    return [Rule(Text(safe(title)), align="left"), Text(safe(shown))]
