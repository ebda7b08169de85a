"""Keeps texts of workflows in the content store, so that they weigh nothing in history."""

import base64
import json
import lzma
from collections.abc import Sequence
from typing import Any

from outlast.contracts import SUMMARY_LENGTH, Content, Contract, PackedRequest, Part, StoreRequest, Trace
from outlast.storage.activities import ContentActivities
from outlast.storage.packed_activities import PackedActivities
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_local, run_local_anew

SHORT = 1000
"""Characters of a text that may travel inline; every call that it is given to repeats it in history."""


async def keep_text(
    text: str, why: str, *, media_type: str = "text/plain", summary: str = "", by_reference: bool = False
) -> Content:
    """Keep a text in the content store; `why` is what people see of it, and `by_reference` keeps short ones, too."""
    return await run_local(
        ContentActivities.keep_text,
        StoreRequest(text=text, media_type=media_type, summary=summary, by_reference=by_reference),
        **policies.local_call(why[:SUMMARY_LENGTH]),
    )


async def keep_report(
    report: Contract,
    why: str = "keep the report",
    summary: str = "report of the run",
    *,
    archived: Sequence[str] = (),
) -> Content:
    """Keep the record of a run in the content store, with the calls of earlier parts and the `archived` steps in full."""
    trace = getattr(report, "trace", None)
    earlier = trace.earlier if isinstance(trace, Trace) else ()
    if isinstance(trace, Trace) and earlier:
        report = report.model_copy(update={"trace": trace.model_copy(update={"earlier": ()})})
    request = StoreRequest(
        text=report.model_dump_json(),
        media_type="application/json",
        summary=summary,
        by_reference=True,
        earlier=earlier,
        archived=tuple(archived),
    )
    return await run_local_anew(ContentActivities.keep_text, request, **policies.local_call(why[:SUMMARY_LENGTH]))


async def keep_data(data: dict[str, Any], why: str) -> Content:
    """Keep data in the content store, as JSON."""
    return await keep_text(json.dumps(data, ensure_ascii=False), why, media_type="application/json")


async def part_of(text: str, why: str, label: str = "") -> Part:
    """Return a text as a part of messages: as it is, or kept in the content store where it is long."""
    return Part(text=text, label=label) if len(text) <= SHORT else Part.of(await keep_text(text, why), label=label)


async def read_kept(content: Content, why: str, *, steps: tuple[str, ...] = ()) -> bytes:
    """Read a text of the content store into the run, or some `steps` of it; packed, because it is recorded in history."""
    if content.ref is None:
        return (content.text or "").encode()
    packed: list[str] = []
    pieces = 1
    while len(packed) < pieces:
        request = PackedRequest(ref=content.ref, piece=len(packed), steps=steps)
        read = await run_local_anew(PackedActivities.read_packed, request, **policies.local_call(why))
        packed.append(read.data)
        pieces = read.pieces
    return lzma.decompress(base64.b64decode("".join(packed)))
