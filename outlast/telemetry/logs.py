"""Logs: one JSON object a line, with the ids of workflow, activity and trace; text on a terminal.

A workflow's log lines are made again on every replay. `workflow.logger` leaves those out; any other logger would not.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace
from temporalio import activity, workflow

from outlast.display import escaped_json
from outlast.redaction import SECRETS, presentable

MESSAGE_SHOWN = 2000
IDS = ("workflow_id", "run_id", "workflow_type", "activity_type", "attempt")


def log_to_stderr(level: str, form: str, *, sealed: bool = False) -> None:
    """Set up logs: `form` json or text, or "" for text on a terminal and JSON elsewhere.

    Where messages in history are `sealed`, logs name an exception by its type alone: its text may quote what a run is about.
    """
    handler = logging.StreamHandler(sys.stderr)
    as_json = form == "json" or (not form and not sys.stderr.isatty())
    # As JSON the ids are fields, and need not stand in the message as well.
    workflow.logger.workflow_info_on_message = activity.logger.activity_info_on_message = not as_json
    formatter = JsonLines() if as_json else Brief("%(asctime)s %(levelname)s %(name)s %(message)s")
    formatter.sealed = sealed
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)


class Brief(logging.Formatter):
    """Writes an exception as one line; its stack only where everything is wanted (DEBUG). Secrets are left out."""

    sealed = False

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        return presentable(super().format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """Write the exception."""
        if self.sealed:
            return f"  {getattr(ei[1], 'type', None) or ei[0].__name__} (its text is encrypted in the run's history)"
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            return super().formatException(ei)
        return f"  {ei[0].__name__}: {SECRETS(' '.join(str(ei[1]).split()))[:MESSAGE_SHOWN]}"


class JsonLines(Brief):
    """Writes one JSON object a line, with the ids of workflow, activity and trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": SECRETS(" ".join(record.getMessage().split()))[:MESSAGE_SHOWN],
        }
        line |= _ids(record)
        if record.exc_info and record.exc_info[0] is not None:
            line["error_type"] = record.exc_info[0].__name__
            line["error"] = self.formatException(record.exc_info).strip()
        return escaped_json(json.dumps(SECRETS.deeply(line), ensure_ascii=False, default=str))


def _ids(record: logging.LogRecord) -> dict[str, Any]:
    """Take what the SDK attaches to a record, and the span that is current."""
    found: dict[str, Any] = {"step": record.step} if hasattr(record, "step") else {}
    for name in ("temporal_workflow", "temporal_activity"):
        fields = getattr(record, name, None)
        if isinstance(fields, Mapping):
            found |= {key: fields[key] for key in IDS if key in fields}
            if "workflow_run_id" in fields:
                found["run_id"] = fields["workflow_run_id"]
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        found |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return found
