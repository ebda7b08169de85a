"""The step trace of a run that has continued as new lies in the content store part by part. Pure."""

import json
from collections.abc import Iterable


def with_earlier(report: str, traces: Iterable[str]) -> str:
    """Return a report, in JSON, with the calls of the traces of earlier parts before its own."""
    data = json.loads(report)
    before = [call for trace in traces for call in json.loads(trace).get("calls", ())]
    own = data.setdefault("trace", {})
    own["calls"] = [*before, *own.get("calls", ())]
    return json.dumps(data, ensure_ascii=False)
