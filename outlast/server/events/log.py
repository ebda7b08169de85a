"""Events from a run's history: what happened, each with an id that does not depend on who reads it, or when.

The id is the run id of the part, the number of the history event, and a count where one history event tells several things.
"""

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import ApplicationError

from outlast.agents.conversation.reading import Said, read_message
from outlast.agents.sessions import MESSAGES_MEMO, MessageLog, MessageState, SaidMessage, SayAnswer
from outlast.cli.printing import plain
from outlast.cli.reaching import Reach
from outlast.cli.recorded.events import RUN_ENDS, Ended, failure_of
from outlast.cli.recorded.following import Followed
from outlast.cli.recorded.reading import MODEL, TOOL, Call, Decoding
from outlast.cli.recorded.why import spend_of
from outlast.contracts import (
    GATE_MEMO,
    RECORDS_MEMO,
    Content,
    DecisionLog,
    GateView,
    ModelRequest,
    ModelTurn,
    Part,
    Spend,
    ToolRequest,
)

SAY = "say"
OPEN = (MessageState.WAITING, MessageState.WORKING)
LONGEST_TEXT = 200_000
"""Characters of one text that an event holds; the rest is in the report."""
CONTINUED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
WORDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed out",
}


@dataclass(frozen=True)
class Logged:
    """One event; `content` is the text that belongs to it, fetched when it is sent, and `before` what it goes on from."""

    id: str
    kind: str
    data: dict[str, Any]
    content: Content | None = None
    before: Part | None = None


class EventLog:
    """Turns history into events; `open` are the calls at work, by their key."""

    def __init__(self, reach: Reach, workflow_id: str) -> None:
        self._reach = reach
        self._id = workflow_id
        self._decoding = Decoding(reach, workflow_id)
        self._gates: dict[str, GateView] = {}
        self._saying: dict[int, Any] = {}
        self._seen = 0
        self._total = Spend()
        self.open: dict[tuple[str, str], Call] = {}

    async def read(self, heard: Followed) -> list[Logged]:
        """Return the events that one event of history tells."""
        found = [each async for each in self._events_of(heard)]
        when = heard.event.event_time.ToDatetime(UTC).isoformat()
        base = f"{heard.run_id}:{heard.event.event_id}"
        return [
            Logged(f"{base}.{number}" if number else base, kind, {"at": when, **data}, *texts)
            for number, (kind, data, *texts) in enumerate(found)
        ]

    async def _events_of(self, heard: Followed) -> Any:
        event = heard.event
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            began = event.workflow_execution_started_event_attributes
            first = not began.continued_execution_run_id
            kind = "run_started" if first else "run_continued"
            yield kind, {"id": self._id, "run_id": heard.run_id, "type": began.workflow_type.name}
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED:
            fields = event.workflow_properties_modified_event_attributes.upserted_memo.fields
            for told in (*await self._gate_news(fields), *await self._message_news(fields)):
                yield told
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            asked = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
            if asked.name == SAY:
                self._saying[event.event_id] = asked.args
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            if (said := await self._said(event.workflow_execution_update_completed_event_attributes)) is not None:
                yield said
        elif heard.activity is not None and heard.activity.name in (MODEL, TOOL):
            yield await self._call(heard)
        elif event.event_type in RUN_ENDS and event.event_type != CONTINUED:
            error = ""
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
                error = ": ".join(
                    filter(None, reversed(failure_of(event.workflow_execution_failed_event_attributes.failure)))
                )
            data = {"id": self._id, "status": WORDS[event.event_type], "error": error, "total": plain(self._total)}
            yield "run_ended", data

    async def _call(self, heard: Followed) -> tuple[Any, ...]:
        assert heard.activity is not None
        key, call = (heard.run_id, heard.activity.id), await self._decoding.call(heard.activity)
        data = described(key, call)
        if call.event.how is Ended.OPEN:
            self.open[key] = call
            return "call_started", data
        self.open.pop(key, None)
        spend = spend_of(call) if call.is_model else Spend()
        self._total = self._total.plus(spend)
        given = call.turn or call.result
        data |= {"state": str(call.event.how), "attempt": call.event.attempt, "error": call.event.failure}
        data |= {"spend": plain(spend), "total": plain(self._total)}
        if isinstance(given, ModelTurn):
            data |= {"tool_calls": [{"id": one.id, "name": one.name} for one in given.tool_calls]}
            data |= {"schema_errors": list(given.schema_errors)}
        before = call.asked.continues if isinstance(call.asked, ModelRequest) else None
        return "call_ended", data, given.content if given is not None else None, before

    async def _gate_news(self, fields: Any) -> list[tuple[str, dict[str, Any]]]:
        """Read what became of gates: the records that the memo was given, each once."""
        for name in fields:
            if name.startswith(GATE_MEMO):
                view = await self._memo(fields[name], GateView)
                if isinstance(view, GateView):
                    self._gates[view.name] = view
        log = await self._memo(fields[RECORDS_MEMO], DecisionLog) if RECORDS_MEMO in fields else None
        if not isinstance(log, DecisionLog):
            return []
        new = [record for record in log.records if record.seq > self._seen]
        self._seen = max((record.seq for record in new), default=self._seen)
        return [("gate", self._gate(record.gate, plain(record))) for record in new]

    async def _said(self, completed: Any) -> tuple[Any, ...] | None:
        """Read a message that an update brought: the memo tells of it once the agent has seen it, which may be much later."""
        given = self._saying.pop(completed.accepted_event_id, None)
        if given is None or not completed.outcome.HasField("success"):
            return None
        answer = await self._memo(completed.outcome.success.payloads[0], SayAnswer)
        if not isinstance(answer, SayAnswer) or not answer.number or answer.repeated:
            return None
        said = read_message(await self._reach.client.data_converter.decode(list(given.payloads)))
        if not isinstance(said, Said):
            return None
        text = Content(ref=said.ref, size=said.size, summary=said.text) if said.ref else Content(text=said.text)
        data = {"id": self._id, "state": str(MessageState.WAITING), "reason": "", "number": answer.number}
        return "message", data | {"by": said.by, "key": said.key}, text

    async def _message_news(self, fields: Any) -> list[tuple[Any, ...]]:
        """Read what became of messages: those that came or were seen, and those that were answered, together where they were."""
        log = await self._memo(fields[MESSAGES_MEMO], MessageLog) if MESSAGES_MEMO in fields else None
        found: list[tuple[Any, ...]] = []
        last: SaidMessage | None = None
        for said in log.messages if isinstance(log, MessageLog) else ():
            data = {"id": self._id, "state": str(said.state), "reason": said.reason}
            if said.state in OPEN:
                found.append(("message", data | {"number": said.number, "by": said.by, "key": said.key}, said.text))
            elif last is not None and (last.state, last.ended, last.answer) == (said.state, said.ended, said.answer):
                found[-1][1]["numbers"].append(said.number)
            else:
                found.append(("answer", data | {"numbers": [said.number]}, said.answer))
            last = said if said.state not in OPEN else None
        return found

    def _gate(self, name: str, record: dict[str, Any]) -> dict[str, Any]:
        view = self._gates.get(name)
        shown = plain(view) if view is not None else {}
        kept = ("description", "risk", "deadline", "tool", "agent", "target", "needed", "arguments", "whole")
        return {**{key: shown[key] for key in kept if key in shown}, **record, "id": self._id}

    async def _memo(self, payload: Any, kind: type[Any]) -> Any:
        try:
            (value,) = await self._reach.client.data_converter.decode([payload], [kind])
        except ValueError:
            return None  # a workflow of others may use the memo's name for something else
        return value


def described(key: tuple[str, str], call: Call) -> dict[str, Any]:
    """Say which call it is."""
    asked = call.asked
    data = {"call": ":".join(key), "step": call.step, "agent": getattr(asked, "agent", "")}
    if call.is_model:
        return data | {"model": getattr(asked, "model", ""), "tool": ""}
    given = dict(asked.input) if isinstance(asked, ToolRequest) else {}
    return data | {"model": "", "tool": getattr(asked, "tool", "") or call.text, "input": given}


async def text_of(reach: Reach, event: Logged) -> str | None:
    """Fetch the text of an event; None where there is none, or the store does not give it now."""
    if event.content is None:
        return None
    if event.content.text is None and event.content.ref is None:
        return event.content.summary or None  # a long message that has not been put into the store yet
    store = reach.store(waits=False)
    try:
        text = await store.text(event.content)
        text = text.removeprefix(await store.text(event.before)) if event.before else text
    except ApplicationError:
        return event.content.summary or None
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]
