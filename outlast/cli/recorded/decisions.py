"""The decision log of a run from its history alone: every record that the run wrote into its memo, as one chain.

The memo as the server shows it holds the newest records only. The whole chain lies in the events that wrote it, over
all parts of a run that continued as new, and each of them names the head that the chain must have by then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionDescription
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.reaching import Reach
from outlast.contracts import GATES_MEMO, RECORDS_MEMO, DecisionLog, GateRecord, GatesShown, breaks

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Audit:
    """The chain, what is wrong with it in words, and whether its beginning is there (`whole`)."""

    records: tuple[GateRecord, ...]
    problems: tuple[str, ...]
    unkept: int
    whole: bool


async def audit_run(reach: Reach, found: WorkflowExecutionDescription) -> Audit:
    """Read all parts of a run, as far as the server still keeps them."""
    parts: list[list[HistoryEvent]] = []
    run_id = found.run_id
    while run_id:
        handle = reach.client.get_workflow_handle(found.id, run_id=run_id)
        try:
            parts.insert(0, [event async for event in handle.fetch_history_events()])
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or not parts:
                raise
            break
        run_id = _before(parts[0])
    return await audit_events([event for part in parts for event in part], reach.client.data_converter)


async def audit_events(events: Iterable[HistoryEvent], converter: DataConverter) -> Audit:
    """Verify the chain that these events, oldest first, hold; raises ValueError where a record cannot be read."""
    listed = list(events)
    records: list[GateRecord] = []
    heads: list[str] = []
    unkept = 0
    for event in listed:
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED:
            continue
        fields = event.workflow_properties_modified_event_attributes.upserted_memo.fields
        if RECORDS_MEMO not in fields:
            continue
        log = await _read(converter, fields[RECORDS_MEMO], DecisionLog)
        records += log.records
        unkept = log.unkept
        shown = await _read(converter, fields[GATES_MEMO], GatesShown) if GATES_MEMO in fields else GatesShown()
        last = records[-1] if records else None
        if last is None or (shown.records, shown.head) != (last.seq, last.hash):
            heads.append(f"record {shown.records}: the head that event {event.event_id} names is not the chain's")
    whole = not _before(listed)
    return Audit(tuple(records), (*breaks(records, whole=whole), *heads), unkept, whole)


def _before(events: list[HistoryEvent]) -> str:
    return events[0].workflow_execution_started_event_attributes.continued_execution_run_id if events else ""


async def _read(converter: DataConverter, payload: Payload, kind: type[M]) -> M:
    values: list[M] = await converter.decode([payload], [kind])
    return values[0]
