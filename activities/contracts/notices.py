"""Notices: what people are told about a gate, as the activity that tells them gets it.

The trap: agent, tool, target and arguments were written by a model. They are data here and are quoted wherever they are shown.
"""

from datetime import datetime

from activities.contracts.base import Contract


class Notice(Contract):
    """One piece of news about a gate: `kind` says what happened, `arguments` are JSON (cut when shown), `digest` is hex."""

    workflow_id: str
    gate: str
    kind: str
    what: str
    deadline: datetime
    digest: str
    risk: str = ""
    tool: str = ""
    target: str = ""
    arguments: str = ""
    requester: str = ""
    pending: bool = True
