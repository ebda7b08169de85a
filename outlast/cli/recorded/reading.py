"""Reads a run's history from the server, all its parts where it continued as new, and what its calls asked and answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import WorkflowExecutionDescription

from outlast.cli.reaching import Reach
from outlast.cli.recorded.events import Ended, Recorded, RunRecord, Waited, record_of
from outlast.contracts import ModelRequest, ModelTurn, ToolRequest, ToolResult, Toolset
from outlast.storage.payload_codec import unsealed

M = TypeVar("M", bound=BaseModel)
MODEL, TOOL, TOOLSET = "call_model", "call_tool", "read_toolset"


@dataclass(frozen=True)
class Call:
    """One model or tool call of a step, with all that was asked and answered; `text` is the whole summary.

    `odd` is what is recorded in place of an answer, where a person has completed the call by hand.
    """

    step: str
    text: str
    event: Recorded
    asked: ModelRequest | ToolRequest | None = None
    turn: ModelTurn | None = None
    result: ToolResult | None = None
    toolset: Toolset | None = None
    odd: str = ""

    @property
    def is_model(self) -> bool:
        """Whether a model was called."""
        return self.event.name == MODEL

    @property
    def ended(self) -> datetime | None:
        """When it ended, if it has."""
        return self.event.ended


@dataclass(frozen=True)
class Timer:
    """A timer of the workflow, with its summary of what it waits for."""

    text: str
    event: Waited


@dataclass(frozen=True)
class RunHistory:
    """Everything that the histories of one run say, oldest part first."""

    parts: tuple[RunRecord, ...]
    calls: tuple[Call, ...]
    timers: tuple[Timer, ...]

    @property
    def started(self) -> datetime | None:
        """When the first part started."""
        return self.parts[0].started if self.parts else None

    @property
    def ended(self) -> datetime | None:
        """When the last part ended, if it has."""
        return self.parts[-1].ended if self.parts else None

    def of(self, step: str) -> tuple[Call, ...]:
        """Return the calls of one step, in the order in which they were wanted."""
        return tuple(call for call in self.calls if call.step == step)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that called anything, in the order of their first call."""
        return tuple(dict.fromkeys(call.step for call in self.calls if call.step))


async def read_history(reach: Reach, found: WorkflowExecutionDescription) -> RunHistory:
    """Read all parts of a run; those that the server has deleted already are left out."""
    parts: list[RunRecord] = []
    run_id = found.run_id
    while run_id:
        handle = reach.client.get_workflow_handle(found.id, run_id=run_id)
        events = [await unsealed(reach.client.data_converter, event) async for event in handle.fetch_history_events()]
        part = record_of(events)
        parts.append(part)
        run_id = part.previous
    parts.reverse()
    decoding = Decoding(reach, found.id)
    calls = [await decoding.call(event) for part in parts for event in part.activities.values()]
    timers = [Timer(await decoding.text(event.summary), event) for part in parts for event in part.timers.values()]
    return RunHistory(tuple(parts), tuple(calls), tuple(timers))


class Decoding:
    """Turns payloads into contracts by the client's own converter, so that a codec is undone as well."""

    def __init__(self, reach: Reach, workflow_id: str) -> None:
        self._converter = reach.client.data_converter
        self._workflow_id = workflow_id

    async def call(self, event: Recorded) -> Call:
        """Read one activity; of a kind that we do not know only the summary."""
        text = await self.text(event.summary)
        if event.name == MODEL:
            asked = await self.read(event.asked, ModelRequest)
            turn = await self.read(event.answer, ModelTurn) if event.how is Ended.DONE else None
            odd = _plain(event.answer) if turn is None else ""
            return Call(asked.step if asked else "", text, event, asked, turn=turn, odd=odd)
        if event.name == TOOL:
            call = await self.read(event.asked, ToolRequest)
            result = await self.read(event.answer, ToolResult) if event.how is Ended.DONE else None
            odd = _plain(event.answer) if result is None else ""
            return Call(self._step(call.key) if call else "", text, event, call, result=result, odd=odd)
        if event.name == TOOLSET and event.how is Ended.DONE:
            return Call("", text, event, toolset=await self.read(event.answer, Toolset))
        return Call("", text, event)

    async def text(self, payload: Payload | None) -> str:
        """Read a summary ("" where there is none)."""
        if payload is None:
            return ""
        values: Sequence[Any] = await self._converter.decode([payload], [str])
        return str(values[0])

    async def read(self, payloads: Payloads | None, kind: type[M]) -> M | None:
        """Read the one model of some payloads; None where there is nothing, or something else."""
        if payloads is None or not payloads.payloads:
            return None
        try:
            values: Sequence[Any] = await self._converter.decode(list(payloads.payloads)[:1], [kind])
        except ValueError:
            return None  # a person can complete an activity with anything
        return values[0] if isinstance(values[0], kind) else None

    def _step(self, key: str) -> str:
        """Take the step out of a tool call's key, `workflow/step/call`; its own name may hold anything."""
        return key.removeprefix(f"{self._workflow_id}/").rpartition("/")[0]


def _plain(payloads: Payloads | None) -> str:
    """Return a result of another shape as the text that it is; "" for none."""
    return payloads.payloads[0].data.decode(errors="replace") if payloads is not None and payloads.payloads else ""
