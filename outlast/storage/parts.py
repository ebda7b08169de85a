"""The steps and calls of a run that has continued as new lie in the content store part by part. Pure."""

import json
from collections.abc import Collection, Iterable
from typing import Any


def with_earlier(report: str, traces: Iterable[str]) -> str:
    """Return a report, in JSON, with the calls of the traces of earlier parts before its own."""
    data = json.loads(report)
    before = [call for trace in traces for call in json.loads(trace).get("calls", ())]
    own = data.setdefault("trace", {})
    own["calls"] = [*before, *own.get("calls", ())]
    return json.dumps(data, ensure_ascii=False)


def with_archived(report: str, archived: Iterable[str]) -> str:
    """Return a report, in JSON, whose steps are those of earlier parts where these tell of them."""
    data = json.loads(report)
    full: dict[str, Any] = {row["step"]: row for part in archived for row in json.loads(part).get("rows", ())}
    data["steps"] = [full.get(row["step"], row) for row in data.get("steps", ())]
    return json.dumps(data, ensure_ascii=False)


def only(outcomes: bytes, steps: Collection[str]) -> bytes:
    """Return a list of outcomes, in JSON, with those of some steps alone, and no rows."""
    wanted = set(steps)
    found = [one for one in json.loads(outcomes).get("outcomes", ()) if one["step"] in wanted]
    return json.dumps({"outcomes": found}, ensure_ascii=False).encode()
