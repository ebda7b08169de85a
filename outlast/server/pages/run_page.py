"""The page of one run: its graph and steps as they are now, what waits for people, and, of an agent's session, what was said."""

import secrets
from collections.abc import Sequence
from typing import Any

from temporalio.exceptions import ApplicationError

from outlast.cli.chat.sessions import session_of
from outlast.cli.decisions.listing import whole
from outlast.cli.kinds import SESSION
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach
from outlast.cli.rendering import money, places_shown
from outlast.cli.report.graph import HEIGHT, WIDTH, drawing
from outlast.cli.report.page import drawable
from outlast.contracts import GatesShown, StepRow, StepState, WaitsBelow
from outlast.errors import ErrorKind
from outlast.server.events.feed import Feeds
from outlast.server.events.said import Said, newest_said
from outlast.server.operations import HttpError, find
from outlast.server.pages.forms import fields_of, shown_arguments
from outlast.server.runs import shown
from outlast.server.waiting import shown_gates

OUTPUT_SHOWN = 2_000
"""Characters of a step's output; its report has more."""
STEPS = 200
"""Steps that the page lists; of more, those that are done are left out first."""
MESSAGES, MESSAGE_SHOWN = 100, 20_000
"""Messages of a conversation on one page, the newest first, and characters of each that are shown."""
WAITING = 20
"""Gates that the page shows, and as many questions; the inbox has all of them."""


def first_of(steps: Sequence[StepRow]) -> list[StepRow]:
    """Return the steps that a page lists."""
    return [steps[place] for place in places_shown([step.state for step in steps], STEPS)]


def waiting_below(waits: Sequence[WaitsBelow]) -> list[tuple[WaitsBelow, str, str]]:
    """List what waits for people in the runs of agents that were asked: where, what it is in words, and the gate, "" for none."""
    found: list[tuple[WaitsBelow, str, str]] = []
    for one in waits:
        found += [(one, gate.description, gate.name) for gate in one.gates]
        found += [(one, question, "") for question in one.questions]
        found += waiting_below(one.below)
    return found


async def run_facts(reach: Reach, feeds: Feeds, run: str, before: str = "") -> dict[str, Any]:
    """Return what the page shows, of a conversation the newest messages, or earlier ones; raises HttpError without such a run."""
    found = await find(reach, run)
    seen = await shown(reach, found)
    gates = await shown_gates(found) if seen.closed is None else GatesShown()
    waiting = await whole(reach, found, gates.waiting[:WAITING])
    steps = {row.step: row for row in seen.progress.steps} if seen.progress else {}
    talk = Said()
    if found.workflow_type == SESSION:
        try:
            talk = await newest_said(reach, feeds, run, MESSAGES, before)
        except (HttpError, LeavingError):
            pass  # a session that was started by something else than this contract
        except ApplicationError as error:
            if error.type != ErrorKind.INPUT_INVALID:  # a session refused for its input has said nothing, and says why
                raise
    return {
        "run": seen,
        "steps": first_of(list(steps.values())),
        "rows": steps,
        "graph": drawing(steps) if drawable(steps) else None,
        "WIDTH": WIDTH,
        "HEIGHT": HEIGHT,
        "done": sum(row.state is StepState.DONE for row in steps.values()),
        "money": money(seen.progress.spend) if seen.progress and seen.progress.spend.calls else "",
        "gates": [(gate, shown_arguments(gate.arguments) if gate.whole else "") for gate in waiting],
        "gates_left": len(gates.waiting) - len(waiting) + gates.more,
        "below": waiting_below(seen.progress.below)[:WAITING] if seen.progress else [],
        "said": talk.messages,
        "agent": talk.agent,
        "earlier": talk.earlier,
        "after": talk.after,
        "before": before,
        "WAITING": WAITING,
        "MESSAGE_SHOWN": MESSAGE_SHOWN,
        "fields_of": fields_of,
        "talks": found.workflow_type == SESSION,
        "session_id": session_of(run),
        "key": secrets.token_hex(16),
        "shown": OUTPUT_SHOWN,
    }
