"""The page of one action that waits, and the decision that its form sends."""

from typing import Any

from outlast.approvals.tokens import TokenError
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach
from outlast.contracts import Verdict
from outlast.server.deciding import Decided, outcome_line, send
from outlast.server.pages.forms import LARGEST, FormError, bound_rows, bounds_of, edit_of, rows_of, shown_arguments
from outlast.server.pages.run_page import first_of
from outlast.server.pages.sessions import Session
from outlast.server.waiting import see_run

RECORDS = 200
"""Records of the decision log on the page; the newest."""
STANDS = "approve-run"
"""What the button sends that also approves further calls in this run."""


class GatePage:
    """A form that decides."""

    def __init__(self, reach: Reach, session: Session, form: dict[str, str]) -> None:
        self._reach = reach
        self._session = session
        self._form = form

    async def decide(self) -> str:
        """Send the decision; returns why it cannot be taken, "" where it was."""
        form = self._form
        try:
            stands = form.get("verdict") == STANDS
            if not stands and form.get("verdict") not in tuple(Verdict):
                raise FormError("verdict: choose approve or deny")
            verdict = Verdict.APPROVE if stands else Verdict(form["verdict"])
            if not form.get("digest"):
                raise FormError("digest: the form does not say which action it is about; load the page again")
            edit = edit_of(form.get("arguments", ""), form.get("shown", "")) if verdict is Verdict.APPROVE else None
            reason = " ".join(form.get("reason", "").split())
            bounds = bounds_of(form) if stands else None
            decision = Decided(form.get("gate", ""), verdict, form["digest"], reason, edit, bounds)
            seen = await see_run(self._reach, form.get("run", ""), whole=False)
            record = await send(self._reach, seen, self._session.caller, decision, "inbox")
        except (FormError, LeavingError, TokenError) as error:
            return str(error)
        self._session.notice = outcome_line(decision.gate, record)
        return ""


async def gate_facts(
    reach: Reach, session: Session, run: str, name: str, form: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return what the page shows; `form` is what was typed into one that was not taken."""
    seen = await see_run(reach, run)
    gate = next((each for each in seen.shown.waiting if each.name == name), None)
    editable = gate is not None and gate.whole and len(gate.arguments) < LARGEST // 4
    shown = shown_arguments(gate.arguments) if gate is not None and editable else ""
    typed = (form or {}).get("arguments", shown)
    # What was typed about another action must not look like an edit of this one.
    steps = first_of(seen.status.steps) if seen.status else []
    stale = form is not None and gate is not None and form.get("digest") != gate.digest
    return {
        "run": seen,
        "name": name,
        "gate": gate,
        "shown": shown,
        "rows": rows_of(shown),
        "typed": shown if stale else typed,
        "stale": typed if stale else "",
        "bounds": bound_rows(shown, form or {}) if gate is not None and gate.repeats else [],
        "reason": (form or {}).get("reason", ""),
        "barred": gate is not None and gate.bars(session.who),
        "steps": steps,
        "steps_left": len(seen.status.steps) - len(steps) if seen.status else 0,
        "records": seen.log.records[-RECORDS:],
        "records_left": max(0, len(seen.log.records) - RECORDS),
        "unsigned": gate is not None and gate.signed and not session.grant,
    }
