"""A tool call that cannot be undone waits for a person, and the activity that makes it checks the yes against the call.

A person may change the arguments. The answer then says so, or the model would believe that its own were used.
An undo that keeps failing waits for a person, too: a yes tries it again, a no or silence gives it up.
"""

import json
from collections.abc import Mapping
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from outlast.agents.cards import AgentCards
from outlast.agents.tool_calls import FINAL, ask_person, call_tool
from outlast.approvals.gates import Gates
from outlast.approvals.views import beginning_of, produced
from outlast.contracts import (
    SUMMARY_LENGTH,
    Approval,
    Change,
    Content,
    Effect,
    GateDecision,
    GateOutcome,
    OnTimeout,
    Part,
    Produced,
    ProposedAction,
    Risk,
    StuckDecision,
    ToolAnswer,
    ToolCall,
    ToolCard,
)
from outlast.errors import ErrorKind, kind_of
from outlast.tools.names import ASK_PERSON
from outlast.undo.acts import Act, Attempt
from outlast.workflow.state import ExecutionState

BEFOREHAND = "allowed by the request"
NOT_EDITED = "an undo has no arguments to change; approve it or deny it"


async def call_by_effect(
    agents: AgentCards,
    step: str,
    agent: str,
    card: ToolCard,
    call: ToolCall,
    specs: Part,
    attempt: Attempt | None,
    said: Content | None = None,
) -> tuple[ToolAnswer, str]:
    """Call a tool as its effect demands; returns the answer, and a note on what happened on the way ("" for nothing).

    `said` are the last words of the agent, for whoever must approve the call. What an earlier attempt at the step did is not
    done again, but answered as it was then. Raises as `call_gated`.
    """
    if card.name == ASK_PERSON and not card.server:
        return await ask_person(agents.run, step, agent, card, call, specs), ""
    card = card.of_call(call.input, call.ref)
    act = attempt.act(call) if attempt and card.effect is not Effect.READ else None
    if attempt and act and (before := attempt.answered(act, call)):
        return before, f"{agent} asked for {card.name} again, which {act.agent} had done already"
    if card.effect is Effect.IRREVERSIBLE:
        answer, note = await call_gated(agents, step, agent, card, call, specs, act, said)
    else:
        answer, note = await call_tool(agents.run, step, agent, card, call, specs, act=act), ""
    if act is not None:
        act.answer = answer
    return answer, note


async def call_gated(
    agents: AgentCards,
    step: str,
    agent: str,
    card: ToolCard,
    call: ToolCall,
    specs: Part,
    act: Act | None = None,
    said: Content | None = None,
) -> tuple[ToolAnswer, str]:
    """Call an irreversible tool with a person's yes; returns the answer, and a note on what people decided ("" for nothing).

    Raises HaltedError where the policy halts the run, and InputInvalid where nobody could ever approve it.
    """
    action = proposed(step, agent, card, call)
    if card.name in agents.allowed:
        agents.run.gates.allow(action)
        return await call_tool(agents.run, step, agent, card, call, specs, approved_with(action), act), ""
    before = _before(agents.run.state, step, agent, said)
    decision = await _asked(agents.run.gates, step, card, call, action, repeats=True, before=before)
    if not decision.approved:
        why = reason_of(decision)
        agents.run.undo.denied(f"{decision.gate}: {card.name} {why}")
        final = f" {FINAL}" if decision.outcome is GateOutcome.DENIED else ""
        refusal = f"{card.name} was not called: {why}.{final} Go on without it."
        return _refused(call, refusal), f"{card.name} was not called: {why}"
    made = call.model_copy(update={"input": decision.action.input, "ref": decision.action.ref})
    try:
        answer = await call_tool(agents.run, step, agent, card, made, specs, decision.approval, act)
    except ActivityError as error:
        if kind_of(error) is not ErrorKind.APPROVED_BEFORE_RESET:
            raise
        return await _once_more(agents, step, agent, card, call, specs, decision, act)
    if decision.action.digest == action.digest:
        return answer, f"{card.name} was {decision.standing or 'approved by ' + ', '.join(decision.by)}"
    changed = json.dumps(dict(made.input), ensure_ascii=False)
    heading = f"A person changed the arguments to {changed}. What came of it:"
    content = answer.content.model_copy(
        update={"text": f"{heading}\n{answer.content.text}"} if answer.content.ref is None else {"label": heading}
    )
    note = f"{card.name} was approved by {', '.join(decision.by)} with changed arguments"
    return answer.model_copy(update={"content": content}), note


def _before(state: ExecutionState, step: str, agent: str, said: Content | None) -> tuple[Produced, ...]:
    """Return what the steps came to that this one was given, and what the agent said last."""
    row = state.steps.get(step)
    words = beginning_of(said)
    last = (Produced(step=step, agent=agent, summary=words),) if words else ()
    return (*produced(state.steps, row.depends_on if row else ()), *last)


async def _asked(
    gates: Gates, step: str, card: ToolCard, call: ToolCall, action: ProposedAction, **how: Any
) -> GateDecision:
    """Ask people; an edit may give what the tool takes, and is then described by what it gives."""

    def described(edited: ProposedAction) -> str:
        return _in_words(step, edited.agent, card, edited.input)

    known = (*card.takes, *(name for name in call.input if name not in card.takes)) if card.takes else None
    return await gates.open(action, describe=described, takes=known, **how)


async def _once_more(
    agents: AgentCards,
    step: str,
    agent: str,
    card: ToolCard,
    call: ToolCall,
    specs: Part,
    before: GateDecision,
    act: Act | None,
) -> tuple[ToolAnswer, str]:
    """Ask again in a run that was reset: what was approved before may be done already, and people must know."""
    call = call.model_copy(update={"input": before.action.input, "ref": before.action.ref})
    by = ", ".join(before.by)
    text = f"again after a reset, {before.gate} approved by {by}, and perhaps done already: {before.action.description}"
    action = before.action.model_copy(update={"description": text[:SUMMARY_LENGTH]})
    decision = await _asked(agents.run.gates, step, card, call, action)
    if not decision.approved:
        why = reason_of(decision)
        agents.run.undo.denied(f"{decision.gate}: {card.name} {why}")
        text = f"{card.name} was not called again after a reset: {why}"
        return _refused(call, f"{text}. It may have been done before. Go on."), text
    made = call.model_copy(update={"input": decision.action.input, "ref": decision.action.ref})
    if act is None and made == call:
        act = _act_of(agents, step, agent, call)
    answer = await call_tool(agents.run, step, agent, card, made, specs, decision.approval, act)
    return answer, f"{card.name} was approved again after a reset by {', '.join(decision.by)}"


def proposed(step: str, agent: str, card: ToolCard, call: ToolCall) -> ProposedAction:
    """Describe a call as the action that people decide on."""
    return ProposedAction(
        description=_in_words(step, agent, card, call.input),
        agent=agent,
        tool=call.name,
        input=call.input,
        ref=call.ref,
        effect=card.effect,
        risk=Risk.HIGH,
        target=card.server,
    )


def _in_words(step: str, agent: str, card: ToolCard, arguments: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{name}={' '.join(str(value).split())[:60]}" for name, value in arguments.items())
    return f"{step}: {agent} wants to call {card.name}({shown})"[:SUMMARY_LENGTH]


def reason_of(decision: GateDecision) -> str:
    """Return in words why an action was not approved."""
    if decision.outcome is GateOutcome.TIMED_OUT:
        return "nobody approved it in time"
    by = f" by {', '.join(decision.by)}" if decision.by else ""
    return f"it was {decision.outcome}{by}" + (f" ({decision.reason})" if decision.reason else "")


def approved_with(
    action: ProposedAction, gate: str = BEFOREHAND, by: tuple[str, ...] = (BEFOREHAND,), run: str = ""
) -> Approval:
    """Approve an action that another yes covers: the request's, or that of a gate whose action this one follows from.

    `run` is that of the other approval.
    """
    return Approval(
        workflow_id=workflow.info().workflow_id,
        run=run,
        gate=gate,
        digest=action.digest,
        by=by,
        agent=action.agent,
        target=action.target,
    )


def _refused(call: ToolCall, why: str) -> ToolAnswer:
    return ToolAnswer(id=call.id, content=Part(text=json.dumps({"error": why})), failed=True)


async def decide_on_stuck(gates: Gates, change: Change, error: str) -> StuckDecision:
    """Ask whether an undo shall be tried again."""
    action = ProposedAction(
        description=f"try again to undo {change.step} · {change.tool}({change.arguments}), which fails: {error}"[:200],
        agent=change.agent,
        tool=change.undo_tool,
        input={"key": change.key, **change.undo},
        effect=change.effect,
        risk=Risk.MEDIUM,
    )
    policy = gates.policy
    if policy.on_timeout is OnTimeout.HALT:
        # The run is ending already; a halt must not break off the rollback.
        policy = policy.model_copy(update={"on_timeout": OnTimeout.DENY})
    decision = await gates.open(action, policy, check=lambda _: (NOT_EDITED,))
    return StuckDecision.RETRY if decision.approved else StuckDecision.GIVE_UP


def _act_of(agents: AgentCards, step: str, agent: str, call: ToolCall) -> Act | None:
    """Return what this very call began before, so that it is made again under the same key; None if it never got so far."""
    key = f"{workflow.info().workflow_id}/{step}/{call.id}"
    known = [one.seq for one in agents.run.undo.changes.changes if one.key == key or one.key.startswith(f"{key}/")]
    return Act(step, agent, call, known[-1]) if known else None
