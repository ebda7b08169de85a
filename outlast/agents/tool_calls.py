"""One tool call from workflow code, recorded; whatever goes wrong with it becomes something the model can read.

A call that changes something is put on the undo log before it is made: a crash in between must not hide it.

A call's key must be the same in every attempt and after a reset, so it is made of the workflow's id and the call's; or,
where a fallback may ask for the same act, of tool and arguments.
"""

from contextlib import nullcontext
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from outlast.approvals.pausing import unpaused
from outlast.contracts import Approval, Effect, Part, ToolAnswer, ToolCall, ToolCard, ToolRequest, ToolResult
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.tools.activities import ToolActivities
from outlast.undo.acts import Act
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.context import RunContext

RAISED = frozenset(
    {ErrorKind.APPROVED_BEFORE_RESET, ErrorKind.CONTENT_MISSING, ErrorKind.CONTENT_ALTERED, ErrorKind.CANCELLED}
)
"""Failures that no model can do anything about: they end the run, or a person is asked again."""

SERVER_LOST = frozenset({ErrorKind.TOOL_UNAVAILABLE, ErrorKind.TOOL_UNKNOWN})
"""Failures of a server's tool that mean the server itself."""


@dataclass(frozen=True)
class _Made:
    """A call that was made, and its number in the undo log; 0: it changes nothing, or nobody else may ask for it."""

    answer: ToolAnswer
    change: int


async def call_tool(
    run: RunContext,
    step: str,
    agent: str,
    card: ToolCard,
    call: ToolCall,
    specs: Part,
    approval: Approval | None = None,
    act: Act | None = None,
) -> ToolAnswer:
    """Call a tool and return the answer for the model; raises ActivityError where the run itself is broken.

    `act` is what the call does, where other attempts at the step may ask for the same.
    """
    card = card.of_call(call.input, call.ref)

    async def made() -> _Made:
        await unpaused(run.state)
        with run.trace.spans.calling(step, "execute_tool", card.name):
            answer = await _recorded(run, step, agent, card, call, specs, approval, act)
        return _Made(answer, act.change if act is not None else 0)

    done = await journal.once(f"tool {call.id}", _Made, made)
    if act is not None:
        act.change = done.change
    return done.answer


async def _recorded(
    run: RunContext,
    step: str,
    agent: str,
    card: ToolCard,
    call: ToolCall,
    specs: Part,
    approval: Approval | None,
    act: Act | None,
) -> ToolAnswer:
    started = workflow.now()
    shown = ", ".join(f"{name}={' '.join(str(value).split())[:60]}" for name, value in call.input.items())
    change = None if card.effect is Effect.READ else run.undo.register(step, agent, card, call, shown, act)
    request = ToolRequest(
        tool=call.name,
        key=change.key if change else f"{workflow.info().workflow_id}/{step}/{call.id}",
        specs=specs,
        input=call.input,
        ref=call.ref,
        server=card.server,
        effect=card.effect if card.server else None,
        approval=approval,
        agent=agent if approval else "",
        attempts=card.attempts,
        changes=card.effect is not Effect.READ,
    )
    result: ToolResult | None = None
    try:
        with run.undo.at_work() if change is not None else nullcontext():
            result = await run_activity(
                ToolActivities.call_tool,
                request,
                **policies.call_tool(card, run.state.heartbeat, f"{step} · {card.name}({shown})"[:200]),
            )
    except ActivityError as error:
        if change is not None:
            run.undo.broke_off(change, error)
        run.trace.tool_called(step, agent, card.name, shown, None, text_of(error), workflow.now() - started, approval)
        if kind_of(error) in RAISED:
            raise
        if card.server and kind_of(error) in SERVER_LOST:
            run.state.tools.lacks(agent, (f"{card.name} ({text_of(error)})",))
        text = f"{card.name} could not be used: {text_of(error)[:500]}"
        return ToolAnswer(id=call.id, content=Part(text=text), failed=True)
    if card.server:
        run.state.tools.regains(agent, card.name)
    if change is not None:
        run.undo.completed(change, result)
    run.trace.tool_called(step, agent, card.name, shown, result, "", workflow.now() - started, approval)
    return ToolAnswer(id=call.id, content=Part.of(result.content), failed=result.failed)
