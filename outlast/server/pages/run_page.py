"""The page of one run: its graph and steps as they are now, what waits for people, and, of an agent's session, what was said."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from outlast.cli.chat.sessions import session_of
from outlast.cli.decisions.listing import whole
from outlast.cli.kinds import SESSION
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach
from outlast.cli.rendering import money, places_shown
from outlast.cli.report.graph import HEIGHT, WIDTH, drawing
from outlast.cli.report.page import drawable
from outlast.contracts import StepRow, StepState
from outlast.server.conversations import conversation
from outlast.server.events.feed import Feeds
from outlast.server.operations import HttpError, find
from outlast.server.pages.forms import fields_of, shown_arguments
from outlast.server.runs import shown
from outlast.server.waiting import shown_gates

OUTPUT_SHOWN = 2_000
"""Characters of a step's output; its report has more."""
STEPS = 200
"""Steps that the page lists; of more, those that are done are left out first."""


def _first(steps: Sequence[StepRow]) -> list[StepRow]:
    return [steps[place] for place in places_shown([step.state for step in steps], STEPS)]


async def run_facts(reach: Reach, feeds: Feeds, run: str) -> dict[str, Any]:
    """Return what the page shows; raises HttpError if there is no such run."""
    found = await find(reach, run)
    seen = await shown(reach, found)
    waiting = await whole(reach, found, (await shown_gates(found)).waiting) if seen.closed is None else []
    steps = {row.step: row for row in seen.progress.steps} if seen.progress else {}
    talk = None
    if found.workflow_type == SESSION:
        with suppress(HttpError, LeavingError):  # a session that was started by something else than this contract
            talk = await conversation(reach, feeds, run)
    return {
        "run": seen,
        "steps": _first(list(steps.values())),
        "rows": steps,
        "graph": drawing(steps) if drawable(steps) else None,
        "WIDTH": WIDTH,
        "HEIGHT": HEIGHT,
        "done": sum(row.state is StepState.DONE for row in steps.values()),
        "money": money(seen.progress.spend) if seen.progress and seen.progress.spend.calls else "",
        "gates": [(gate, shown_arguments(gate.arguments) if gate.whole else "") for gate in waiting],
        "said": talk.messages if talk else [],
        "agent": talk.agent if talk else "",
        "fields_of": fields_of,
        "talks": found.workflow_type == SESSION,
        "session_id": session_of(run),
        "key": secrets.token_hex(16),
        "shown": OUTPUT_SHOWN,
    }
