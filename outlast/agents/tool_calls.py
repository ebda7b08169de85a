"""One tool call from workflow code, recorded; whatever goes wrong with it becomes something the model can read.

A call that changes something is put on the undo log before it is made: a crash in between must not hide it.

A call's key must be the same in every attempt and after a reset, so it is made of the workflow's id and the call's; or,
where a fallback may ask for the same act, of tool and arguments.
"""

import json
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from outlast.agents.sessions import OpenTurn
from outlast.approvals.pausing import unpaused
from outlast.contracts import (
    Approval,
    Content,
    Effect,
    Message,
    Part,
    ToolAnswer,
    ToolCall,
    ToolCard,
    ToolRequest,
    ToolResult,
    Toolset,
)
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.tools.activities import ToolActivities
from outlast.undo.acts import Act
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.context import RunContext
from outlast.workflow.inputs import plain
from outlast.workflow.keeping import part_of

RAISED = frozenset(
    {ErrorKind.APPROVED_BEFORE_RESET, ErrorKind.CONTENT_MISSING, ErrorKind.CONTENT_ALTERED, ErrorKind.CANCELLED}
)
"""Failures that no model can do anything about: they end the run, or a person is asked again."""

SERVER_LOST = frozenset({ErrorKind.TOOL_UNAVAILABLE, ErrorKind.TOOL_UNKNOWN})
"""Failures of a server's tool that mean the server itself."""


MOST_OPTIONS = 25
MOST_CHARACTERS = 2000
ANSWER_CHARACTERS = 100_000
FORM_CHARACTERS = 10_000

BROKEN_OFF = "this call was broken off, and nobody knows whether it was made; find out before you make it again"
FINAL = "This is final in this run: do not ask again, and do not try to reach the same in another way."
"""Told to a model whose act people have denied."""


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


def unanswered(call: ToolCall, why: str) -> ToolAnswer:
    """Answer a call that was not made."""
    return ToolAnswer(id=call.id, content=Part(text=json.dumps({"error": why})), failed=True)


async def ask_person(run: RunContext, step: str, agent: str, card: ToolCard, call: ToolCall, specs: Part) -> ToolAnswer:
    """Ask a person what the agent wants to know, and wait; an answer that does not fit is asked for again."""
    question, options, form = (call.input.get(name) for name in ("question", "options", "form"))
    options = options or []
    if wrong := _wrong(call, question, options, form):
        return ToolAnswer(id=call.id, content=Part(text=json.dumps({"error": wrong})), failed=True)
    checks = 0

    async def checked(filled: Any) -> ToolAnswer:
        nonlocal checks
        checks += 1
        given = {"question": question, "form": form, "filled": filled}
        asked = call.model_copy(update={"id": f"{call.id}/{checks}", "input": given})
        return await call_tool(run, step, agent, card, asked, specs)

    async def check(answer: str) -> str:
        if len(answer) > ANSWER_CHARACTERS:
            return f"the answer is longer than {ANSWER_CHARACTERS:,} characters; shorten it"
        if form is None:
            return ""
        filled = plain(answer)
        if not isinstance(filled, dict):
            return f"{answer[:60]!r} is no JSON object; fill in the form"
        found = await checked(filled)
        return (found.content.text or "it does not fit the form") if found.failed else ""

    if form is not None and (unusable := await checked(None)).failed:
        return unusable.model_copy(update={"id": call.id})
    started = workflow.now()
    with run.gates.waits:
        answer = await run.people.ask_patiently(call.id, str(question), [str(each) for each in options], form, check)
    if answer is None:
        return ToolAnswer(id=call.id, content=Part(text=json.dumps({"error": "nobody answered in time"})), failed=True)
    if form is None:
        result = ToolResult(content=Content(text=answer[:200], size=len(answer.encode())))
        run.trace.tool_called(step, agent, card.name, str(question)[:200], result, "", workflow.now() - started)
    return ToolAnswer(id=call.id, content=await part_of(answer, f"{step} · keep the answer"))


def _wrong(call: ToolCall, question: Any, options: Any, form: Any) -> str:
    if call.ref is not None:
        return "the question is too long; ask in a few sentences"
    if not isinstance(question, str) or not question.strip() or len(question) > MOST_CHARACTERS:
        return f"question: a text of 1 to {MOST_CHARACTERS} characters is needed"
    if not isinstance(options, list) or len(options) > MOST_OPTIONS or not all(isinstance(one, str) for one in options):
        return f"options: give a list of up to {MOST_OPTIONS} texts, or leave it out"
    if form is not None and not isinstance(form, dict):
        return "form: give a JSON schema of an object, or leave it out"
    if form is not None and len(json.dumps(form)) > FORM_CHARACTERS:
        return f"form: it is longer than {FORM_CHARACTERS:,} characters; ask for less"
    return "give options or a form, not both" if options and form is not None else ""


class OpenCalls:
    """The calls of one turn until all are answered; `done` holds the answers so far, by call, and `most` are made at a time."""

    def __init__(self, turn: OpenTurn, toolset: Toolset, run: RunContext, most: int) -> None:
        self._turn = turn
        self._cards = {call.id: toolset.get(call.name) for call in turn.calls}
        self._run, self._most = run, most
        self._since = run.gates.waits.seconds
        self.by_id = {call.id: call for call in turn.calls}
        self.done = {answer.id: answer for answer in turn.answers}

    @property
    def turn(self) -> OpenTurn:
        """The turn, with the answers so far."""
        return self._turn.model_copy(update={"answers": tuple(self.done.values())})

    @property
    def left(self) -> list[str]:
        """The calls that are not answered."""
        return [call for call in self.by_id if call not in self.done]

    @property
    def answers(self) -> tuple[ToolAnswer, ...]:
        """The answers to all calls, in the order of these."""
        return tuple(self.done[call.id] for call in self._turn.calls)

    @property
    def handed_to(self) -> str:
        """The agent to whom the conversation goes by a call that is answered; "" for none."""
        handed = [card.agent for one, answer in self.done.items() if (card := self._hands(one)) and not answer.failed]
        return handed[-1] if handed else ""

    @property
    def waited(self) -> float:
        """Seconds in which people were waited for."""
        return self._run.gates.waits.so_far - self._since

    def closing(self, why: str) -> tuple[Message, ...]:
        """Answer the calls of a turn that is broken off; its conversation is not handed over, and must not say so."""
        kept = {one: answer for one, answer in self.done.items() if not self._hands(one)}
        return (Message(answers=tuple(kept.get(call.id) or unanswered(call, why) for call in self._turn.calls)),)

    @property
    def wait_for_people(self) -> bool:
        """Whether all that are begun and not answered wait for a decision or an answer of people: the run may leave here."""
        run, left = self._run, self.left
        waiting = len(run.state.questions) + len(run.gates.actions.actions)
        delegated = any((card := self._cards[one]) and card.agent for one in left)
        return waiting == min(len(left), self._most) and not delegated and not run.budget.asking

    def _hands(self, call: str) -> ToolCard | None:
        card = self._cards[call]
        return card if card is not None and card.handoff else None
