"""A conversation continues as new: what was said, who spoke, and what waits go along; older messages and calls by reference."""

from collections.abc import Callable, Mapping
from typing import Protocol

from temporalio import workflow

from outlast.agents.conversation.inbox import CARRIED_TEXT
from outlast.agents.conversation.talk import Talk
from outlast.agents.sessions import AgentSessionRequest, SessionProgress
from outlast.contracts import StepRow, Trace
from outlast.workflow.border import in_own_task
from outlast.workflow.context import RunContext
from outlast.workflow.keeping import keep_report

KEEP = "keep what was said: the session continues as new"


MOST_BELOW = 100
"""Steps of agents that were asked which go along, the last ones: each weighs a few hundred bytes."""


class Flow(RunContext, Protocol):
    """A session that continues as new."""

    request: AgentSessionRequest


def steps_below(steps: Mapping[str, StepRow]) -> tuple[StepRow, ...]:
    """Return the steps of agents that were asked, without what these answered."""
    return tuple(row.model_copy(update={"output": None}) for row in steps.values() if row.within)[-MOST_BELOW:]


async def continue_conversation(flow: Flow, talk: Talk, progress: Callable[[], SessionProgress]) -> None:
    """Continue as new; returns where something came up meanwhile that is against it."""
    inbox, trace = talk.inbox, flow.trace
    await inbox.keep_texts(CARRIED_TEXT)
    if trace.calls:
        calls = await keep_report(Trace(calls=tuple(trace.calls)), KEEP, "step trace of a part")
        trace.earlier, trace.calls = (*trace.earlier, calls.ref or ""), []
    await inbox.keep_older()
    await in_own_task()
    if not workflow.all_handlers_finished():
        # What they do would be dropped. Nothing is told from them before: a replay may begin them later.
        await workflow.wait_condition(workflow.all_handlers_finished)
        return
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
        "talk": inbox.carried.model_copy(update={**talk.carried_on, **known}),
        "task": "",
        "gates": flow.gates.carried(),
        "paused": flow.state.paused,
        "budget": flow.budget.carried,
        "below": steps_below(flow.state.steps),
    }
    trace.continued()
    workflow.continue_as_new(
        flow.request.model_copy(update=onward),
        initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
    )
