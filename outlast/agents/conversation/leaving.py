"""A conversation continues as new: what was said, who spoke, and what waits go along; older messages and calls by reference."""

from collections.abc import Callable
from typing import Protocol

from temporalio import workflow

from outlast.agents.conversation.inbox import CARRIED_TEXT
from outlast.agents.conversation.talk import Talk
from outlast.agents.sessions import AgentSessionRequest, SessionProgress
from outlast.contracts import Trace
from outlast.workflow.context import RunContext
from outlast.workflow.keeping import keep_report

KEEP = "keep what was said: the session continues as new"


class Flow(RunContext, Protocol):
    """A session that continues as new."""

    request: AgentSessionRequest


async def continue_conversation(flow: Flow, talk: Talk, progress: Callable[[], SessionProgress]) -> None:
    """Continue as new; returns where something came up meanwhile that is against it."""
    inbox, trace = talk.inbox, flow.trace
    await inbox.keep_texts(CARRIED_TEXT)
    if trace.calls:
        calls = await keep_report(Trace(calls=tuple(trace.calls)), KEEP, "step trace of a part")
        trace.earlier, trace.calls = (*trace.earlier, calls.ref or ""), []
    carried = await inbox.carried()
    if not talk.long() or not talk.is_settled or not inbox.is_kept or inbox.interrupting:
        return
    known = {
        "calls": trace.earlier,
        "asked": flow.people.answers.asked,
        "answers": flow.people.answers.carried,
        "questions": flow.people.open,
        "waited": flow.gates.waits.so_far,
        "notices": tuple(trace.notices),
    }
    onward = {
        "continues": progress(),
        "talk": carried.model_copy(update={**talk.carried_on, **known}),
        "task": "",
        "gates": flow.gates.carried(),
        "paused": flow.state.paused,
        "budget": flow.budget.carried,
    }
    trace.continued()
    workflow.continue_as_new(
        flow.request.model_copy(update=onward),
        initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
    )
