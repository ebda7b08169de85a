"""A question with a closed set of answers, put to people as a gate: a yes takes the proposed one, an edit another, a no none.

Whoever answers thinks of a question and not of a gate. So the signal `answer` with one of the options decides, too.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow

from outlast.approvals.gates import Gates
from outlast.approvals.messages import read_answer
from outlast.approvals.people import with_options
from outlast.contracts import Effect, GateOutcome, GateRecord, ProposedAction, Question, Risk, Verdict
from outlast.workflow import journal
from outlast.workflow.state import ExecutionState

CHOICE = "choice"


async def choose(
    gates: Gates, state: ExecutionState, text: str, options: Sequence[str], *, name: str, seconds: float
) -> tuple[str | None, str]:
    """Wait until people have chosen; returns the option and by whom, or None and why nobody did."""

    def wrong(edited: ProposedAction) -> Sequence[str]:
        chosen = edited.input.get(CHOICE)
        return () if chosen in options else (f"{CHOICE}: {chosen!r} is not one of {', '.join(options)}",)

    action = ProposedAction(
        description=with_options(f"{text}: {options[0]}?", options),
        input={CHOICE: options[0]},
        effect=Effect.READ,
        risk=Risk.LOW,
    )
    wanted: dict[str, Any] = {"deadline": seconds, "deadlines": {}, "edit_needs_another_approver": False}
    wanted["requester_may_approve"] = True  # a choice changes nothing outside the run, so the requester may make it
    gates.choices[name] = tuple(options)
    since = journal.now(name) - workflow.time()
    deadline = workflow.now() + timedelta(seconds=since + seconds)
    state.asks(Question(id=name, text=with_options(text, options), deadline=deadline))
    try:
        decision = await gates.open(
            action,
            gates.policy.model_copy(update=wanted),
            name=name,
            check=wrong,
            describe=lambda edited: with_options(f"{text}: {edited.input[CHOICE]}?", options),
        )
    finally:
        state.answered(name)
        gates.choices.pop(name)
    by = ", ".join(decision.by)
    if decision.approved:
        return str(decision.action.input[CHOICE]), by
    if decision.outcome is GateOutcome.TIMED_OUT:
        return None, f"no person answered within {seconds:g} s"
    return None, f"it was {decision.outcome}" + (f" by {by}" if by else "")


def meant(gates: Gates, state: ExecutionState, arguments: Sequence[Any]) -> tuple[str, str] | None:
    """Return the choice that an answer is for, and the option it takes; None where it is for another question."""
    question, answer = read_answer(arguments)
    if answer is None or (not question and (len(gates.choices) != 1 or len(state.questions) != 1)):
        return None
    name = question or next(iter(gates.choices))
    if name not in gates.choices:
        return None
    return name, next((each for each in gates.choices[name] if each.casefold() == answer.strip().casefold()), answer)


async def answered(gates: Gates, name: str, chosen: str) -> GateRecord:
    """Take an answer as the decision on the choice of this name."""
    return await gates.receive([{"gate": name, "edit": {CHOICE: chosen}}], Verdict.APPROVE, "answer")
