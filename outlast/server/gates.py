"""Operations by which people decide: the gates that wait, a decision at one, and the answer to a question.

Who decides is held to the same rules as in the inbox. With APPROVER_SECRET an approver token proves it, and signs this one
decision for the run; else the name of the caller's token counts; on this machine alone, without either, a typed name.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from outlast.approvals.standing.bounds import read_bounds
from outlast.approvals.tokens import TokenError, grant_of
from outlast.cli.decisions.listing import WaitingGate, waiting_for_people, whole
from outlast.cli.decisions.messaging import send_message
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach, word
from outlast.contracts import GateRecord, GatesShown, GateView, Question, QuestionAnswered, Verdict
from outlast.server.access import Caller, Scope
from outlast.server.deciding import Decided, outcome_line, send
from outlast.server.operations import Answer, Body, Call, HttpError
from outlast.server.starting import KEY
from outlast.server.waiting import see_run, shown_gates

APPROVER = "Approver-Token"
SHORTEST_DIGEST = 12


class GateListed(BaseModel):
    """A gate that waits for people."""

    id: str
    """Workflow id of its run."""
    type: str
    """Workflow of its run."""
    gate: GateView
    """What waits there."""


class QuestionListed(BaseModel):
    """A question that waits for an answer."""

    id: str
    """Workflow id of its run."""
    type: str
    """Workflow of its run."""
    question: Question
    """What is asked."""


class GatesListed(BaseModel):
    """What waits for people, the nearest deadline first."""

    gates: list[GateListed]
    """The gates."""
    questions: list[QuestionListed] = []
    """The questions."""


class DecideBody(Body):
    """A decision at a gate."""

    verdict: Literal["approve", "deny", "revoke"]
    """What is decided; `revoke` takes back an approval that stands for the run, at the gate where it was given."""
    digest: str = Field(min_length=SHORTEST_DIGEST, max_length=64, pattern="^[0-9a-f]+$")
    """Digest of the action that was looked at, its first 12 characters at least."""
    by: str = Field(default="", max_length=64)
    """Who decides, where no token says so."""
    reason: str = Field(default="", max_length=1000)
    """Why."""
    edit: dict[str, Any] | None = None
    """Other arguments, all of them: it is another action then, which waits for its own approval."""
    stop_asking: StrictBool | dict[str, Any] = False
    """Whether it stands for further calls of the tool in this run: true, or within bounds: `same` and `same_host` (names of
    arguments), `at_most` (arguments, and the most that each may be)."""


class DecisionTaken(BaseModel):
    """What came of a decision."""

    outcome: str
    """The outcome in words."""
    record: GateRecord | None
    """The record in the decision log; null: no worker answers now, and it counts once one is back."""


class AnswerBody(Body):
    """An answer to a question of a run."""

    answer: str = Field(max_length=100_000)
    """The answer."""
    question: str = Field(default="", max_length=200)
    """Which question, where several are open."""


class AnswerTaken(BaseModel):
    """Whether an answer was sent."""

    question: str
    """The question that it went to; empty: the only one that is open, and no worker says yet which that is."""
    waits: bool = False
    """Whether no worker answers now: it counts once one is back, if it fits."""


async def inbox(call: Call) -> Answer:
    """List all gates and questions that wait, of all runs."""
    listed = GatesListed(gates=[], questions=[])
    for one in await waiting_for_people(call.reach):
        run = {"id": one.workflow_id, "type": one.workflow_type}
        if isinstance(one, WaitingGate):
            listed.gates.append(GateListed(**run, gate=one.gate))
        else:
            listed.questions.append(QuestionListed(**run, question=one.question))
    return listed


async def gates(call: Call) -> Answer:
    """List the gates of a run, their arguments whole where they can be had."""
    found = await call.find()
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return GatesShown()
    shown = await shown_gates(found)
    return shown.model_copy(update={"waiting": tuple(await whole(call.reach, found, shown.waiting))})


async def decide(call: Call) -> Answer:
    """Decide at a gate."""
    body: DecideBody = call.body
    found = await call.find()
    decider = who_decides(call.reach, call.caller, body.by, call.request.headers.get(APPROVER, ""))
    if found.status is not WorkflowExecutionStatus.RUNNING:
        raise HttpError(409, f"{found.id} has ended already ({word(found.status)}); nothing was sent")
    bounds = read_bounds(body.stop_asking)
    if isinstance(bounds, str):
        raise HttpError(422, bounds)
    gate, verdict = call.params["gate"], Verdict(body.verdict)
    if verdict is not Verdict.APPROVE and bounds is not None:
        raise HttpError(422, "stop_asking: it goes with the verdict approve; leave it out")
    decision = Decided(gate, verdict, body.digest, " ".join(body.reason.split()), body.edit, bounds)
    try:
        seen = await see_run(call.reach, found.id, whole=False)
        record = await send(call.reach, seen, decider, decision, "http")
    except (LeavingError, TokenError) as error:
        raise HttpError(409, str(error)) from error
    return (202 if record is None else 200), DecisionTaken(outcome=outcome_line(gate, record), record=record)


def who_decides(reach: Reach, caller: Caller, given: str, token: str) -> Caller:
    """Return who decides, and what proves it; raises HttpError where nothing does."""
    if caller.grant:
        return caller
    secret = reach.settings.approver_secret
    if secret is not None:
        try:
            claims = grant_of(secret.get_secret_value(), token, datetime.now(UTC))
        except TokenError as error:
            why = str(error) if token else "decisions must be signed; send the token of whoever decides"
            raise HttpError(401, f"{APPROVER}: {why}", {"WWW-Authenticate": APPROVER}) from error
        return Caller(claims["sub"], frozenset({Scope.DECIDE}), token.strip())
    named = " ".join(given.split())
    if caller.name and named and named.casefold() != caller.name.casefold():
        raise HttpError(403, f"by: this is the token of {caller.name}")
    if not (caller.name or named):
        raise HttpError(422, "by: say who decides")
    return Caller(caller.name or named, caller.scopes)


async def answer(call: Call) -> Answer:
    """Answer what a run asks a person."""
    body: AnswerBody = call.body
    key = call.request.headers.get(KEY, "")
    taken = await send_answer(call.reach, await call.find(), call.caller, body.question, body.answer, key)
    return 202, AnswerTaken(question=body.question if taken is None else taken.question, waits=taken is None)


async def send_answer(
    reach: Reach, found: WorkflowExecutionDescription, caller: Caller, question: str, given: str, key: str = ""
) -> QuestionAnswered | None:
    """Answer an open question ("": the only one), and return what came of it, None where no worker answers now.

    Raises HttpError where the run has ended, and RefusedError where that is no answer.
    """
    if found.status is not WorkflowExecutionStatus.RUNNING:
        raise HttpError(409, f"{found.id} has ended already ({word(found.status)}); nothing was answered")
    message = {"question": question, "answer": given, "by": caller.name, "key": key}
    return await send_message(reach, found, "answer", message, QuestionAnswered)
