"""Asks an agent and gets a usable answer: every way a model call can end leads somewhere.

An answer that breaks its schema goes back with the errors, one cut off by its token limit is continued, a prompt that
does not fit is compacted, and whatever remains goes to the agent's fallbacks: another agent, another model, a person, a
canned answer. Each call is an activity, so nothing that was paid is asked twice. An agent with tools works in a loop.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.answers import Answer, Check, checked
from outlast.agents.cards import AgentCards
from outlast.agents.model_calls import LENIENTLY, call_model
from outlast.agents.tool_loop import AgentLoop
from outlast.contracts import (
    CUT_NOTE,
    AgentCard,
    Content,
    Message,
    ModelRequest,
    ModelTurn,
    OnFallback,
    Part,
    StopReason,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.undo.acts import Attempt

T = TypeVar("T")

MAX_FALLBACKS = 20
PERSON = "person"
CANNED = "say:"
MAX_REPAIRS = 2
MAX_COMPACTIONS = 2
CHARACTERS_PER_TOKEN = 3.0
"""How many characters of context we count on a token when a prompt must shrink; low, to be on the safe side."""

NO_FALLBACK = frozenset(
    {
        ErrorKind.CONTENT_MISSING,
        ErrorKind.CONTENT_ALTERED,
        ErrorKind.CONTENT_UNAVAILABLE,
        ErrorKind.PAYLOAD_TOO_LARGE,
        ErrorKind.BUDGET_REACHED,
    }
)
"""Failures that any other agent would meet as well."""


@dataclass
class Ask:
    """One question to an agent, for one step of a run.

    `context_characters` cuts labelled parts from the first call on; `max_repairs` bounds how often an answer that breaks
    `schema` goes back; with `accept_invalid` such an answer is returned as it is, for askers that can fix it themselves.
    With `wait_for_cost`, cancelling waits until the running call has reported its cost. `shared_parts` is how many of the
    first parts other agents are given as well, at about the same time. `check` lists what is wrong with an answer that fits
    `schema`.
    """

    agents: AgentCards
    step: str
    parts: Sequence[Part]
    schema: dict[str, Any] | None = None
    max_repairs: int = MAX_REPAIRS
    accept_invalid: bool = False
    context_characters: int | None = None
    wait_for_cost: bool = False
    shared_parts: int = 0
    check: Check | None = None
    notes: list[str] = field(default_factory=list)

    async def of(self, agent: str) -> Answer:
        """Ask the agent, then its fallbacks in turn; raises a non-retryable ApplicationError when none of them answers."""
        try:
            return await ask_in_turn(agent, self._ask_one, self._fell_back, NO_FALLBACK)
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            raise non_retryable(kind_of(error), "; ".join([*self.notes, text_of(error)])) from error
        finally:
            self.agents.acts.settle(self.step)

    async def _ask_one(self, target: str, chain: list[str]) -> Answer:
        attempt = await self._attempt(target)
        try:
            answer = await self._answer_of(target, chain, attempt)
        except (ActivityError, ApplicationError) as error:
            if not is_cancelled_exception(error):
                self.agents.acts.failed(attempt)
            raise
        if self.schema is not None and answer.data is None:
            self.agents.acts.failed(attempt)  # the caller treats it as a failure
        return answer

    def _fell_back(self, origin: str, target: str, reason: str) -> None:
        self.notes.append(f"{origin} failed ({reason[:140]}), so {target[:60]} was asked")
        self.agents.run.trace.fell_back(self.step, origin, target, reason)

    async def _attempt(self, agent: str) -> Attempt:
        """Begin an attempt, once the policy has dealt with what those before it changed."""
        if self.agents.run.undo.on_fallback is OnFallback.ROLL_BACK:
            await self.agents.run.undo.undo_changes(self.agents.acts.changes(self.step))
        return self.agents.acts.attempt(self.step, agent)

    async def _answer_of(self, target: str, chain: list[str], attempt: Attempt) -> Answer:
        """Get the answer of one link of the chain, and put that link's own fallbacks at its end."""
        if target.startswith(CANNED):
            text = target.removeprefix(CANNED).strip()
            return Answer(Content(text=text, size=len(text.encode())), "canned answer", notes=tuple(self.notes))
        if target == PERSON:
            return await self._person()
        card = self.agents.card(target)
        # A canned answer or a person's words have no schema.
        usable = [
            name for name in card.fallbacks if self.schema is None or not (name == PERSON or name.startswith(CANNED))
        ]
        chain += [name for name in usable if name not in chain]
        if (cheaper := self.agents.cheaper(card)) is not card:
            why = "the soft limit of the run's budget is reached"
            self.notes.append(f"{cheaper.name} was asked in place of {card.name}: {why}")
            self.agents.run.trace.fell_back(self.step, card.name, cheaper.name, why)
            card = cheaper
        done_before = attempt.done_before()
        if card.tools or card.web_searches or card.agents:
            return await self._loop(card, attempt, [*done_before, *self.parts])
        return await self._ask(card, [*done_before, *self.parts])

    async def _loop(self, card: AgentCard, attempt: Attempt, parts: Sequence[Part]) -> Answer:
        loop = AgentLoop(
            self.agents,
            self.step,
            card,
            schema=self.schema,
            max_repairs=self.max_repairs,
            accept_invalid=self.accept_invalid,
            wait_for_cost=self.wait_for_cost,
            check=self.check,
            attempt=attempt,
        )
        ended = await loop.run(parts)
        self.notes += ended.notes
        return Answer(ended.content, loop.card.name, ended.data, tuple(self.notes), ended.wrong, ended.findings)

    async def _person(self) -> Answer:
        question = next((part.text for part in self.parts if part.text and not part.label), self.step)
        answer = await self.agents.run.people.ask(f"{self.step}: {question}")
        if answer is None:
            raise non_retryable(ErrorKind.NOT_ANSWERED, "no person answered in time")
        return Answer(Content(text=answer, size=len(answer.encode())), PERSON, notes=tuple(self.notes))

    async def _ask(self, card: AgentCard, parts: Sequence[Part]) -> Answer:
        request = self._request(card, parts)
        repairs = continuations = compactions = 0
        while True:
            try:
                turn = await call_model(self.agents.run, self.step, card, request, wait_for_cost=self.wait_for_cost)
            except ActivityError as error:
                if kind_of(error) is not ErrorKind.CONTEXT_EXCEEDED or compactions == MAX_COMPACTIONS:
                    raise
                compactions += 1
                request = self._compacted(card, request, compactions)
                continue
            if turn.stop_reason is StopReason.REFUSAL:
                raise non_retryable(ErrorKind.MODEL_REFUSED, f"{card.model} refused to answer")
            if turn.leniently:
                self.notes.append(f"{card.name}: {LENIENTLY} ({turn.leniently})")
            if turn.stop_reason is StopReason.CONTEXT_EXCEEDED and compactions < MAX_COMPACTIONS:
                compactions += 1
                request = self._compacted(card, request, compactions)
            elif turn.stop_reason is StopReason.MAX_TOKENS and self._continues(card, continuations):
                continuations += 1
                request = request.model_copy(update={"continues": Part.of(turn.content)})
            elif (wrong := self._wrong(turn)) and self.accept_invalid:
                return Answer(turn.content, card.name, turn.data, tuple(self.notes), wrong)
            elif wrong and repairs < self.max_repairs:
                repairs += 1
                self.notes.append(f"{card.name}: answer sent back ({wrong[0][:100]})")
                request = _repaired(request, turn, wrong)
            elif wrong:
                cut_off = turn.stop_reason is not StopReason.END_TURN and not turn.schema_errors and turn.data is None
                kind = ErrorKind.OUTPUT_CUT_OFF if cut_off else ErrorKind.OUTPUT_INVALID
                raise non_retryable(kind, f"the answer breaks its schema after {repairs} repairs: {'; '.join(wrong)}")
            else:
                return self._answer(card, turn)

    def _request(self, card: AgentCard, parts: Sequence[Part]) -> ModelRequest:
        return ModelRequest(
            agent=card.name,
            model=card.model,
            messages=(Message(parts=tuple(parts)),),
            max_tokens=card.max_tokens,
            system=card.system,
            output_schema=self.schema,
            temperature=card.temperature,
            context_characters=self.context_characters,
            shared_parts=self.shared_parts,
        )

    def _continues(self, card: AgentCard, continuations: int) -> bool:
        return self.schema is None and continuations < card.continuations

    def _wrong(self, turn: ModelTurn) -> tuple[str, ...]:
        if self.schema is not None and turn.stop_reason is not StopReason.END_TURN and turn.data is None:
            return turn.schema_errors or (f"the answer stopped early ({turn.stop_reason}); answer more briefly",)
        return turn.schema_errors or checked(turn, self.check)

    def _compacted(self, card: AgentCard, request: ModelRequest, times: int) -> ModelRequest:
        tokens = max(card.window - card.max_tokens, card.window // 2)
        characters = int(tokens * CHARACTERS_PER_TOKEN * 0.8 / 2 ** (times - 1))
        self.notes.append(f"{card.name}: context cut to {characters} characters to fit {card.model}")
        return request.model_copy(update={"context_characters": characters})

    def _answer(self, card: AgentCard, turn: ModelTurn) -> Answer:
        if turn.stop_reason in (StopReason.MAX_TOKENS, StopReason.CONTEXT_EXCEEDED):
            self.notes.append(f"{card.name}: {CUT_NOTE}")
        return Answer(
            content=turn.content,
            agent=card.name,
            data=turn.data,
            notes=tuple(self.notes),
            left_out_characters=turn.left_out_characters,
        )


async def ask_in_turn(
    first: str,
    ask: Callable[[str, list[str]], Awaitable[T]],
    on_fallback: Callable[[str, str, str], None],
    hopeless: Collection[ErrorKind],
) -> T:
    """Ask an agent, and its fallbacks in turn where it fails.

    Args:
        first: The agent that is asked first.
        ask: Asks one of the chain, and appends that one's own fallbacks to the chain, which it is given.
        on_fallback: Called at each fallback with who failed, who is asked instead, and why.
        hopeless: Failures that every other agent would meet as well.

    Returns:
        What the first one that does not fail has answered.

    Raises:
        ApplicationError: Nobody answered; it has the kind of the last failure, and names who failed last.
    """
    chain = [first]
    for position in range(MAX_FALLBACKS):
        target = chain[position]
        try:
            return await ask(target, chain)
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            kind, why = kind_of(error), text_of(error)
            if position + 1 == len(chain) or kind in hopeless:
                raise non_retryable(kind, f"{target}: {why}") from error
            on_fallback(target, chain[position + 1], f"{kind}: {why}")
    raise non_retryable(
        ErrorKind.UNKNOWN_AGENT, f"{first}: more than {MAX_FALLBACKS} fallbacks in a row; shorten the chain"
    )


def _repaired(request: ModelRequest, turn: ModelTurn, wrong: Sequence[str]) -> ModelRequest:
    listed = "\n".join(f"- {problem}" for problem in wrong)
    demand = Part(text=f"That answer cannot be used:\n{listed}\nGive the whole answer again, corrected.")
    previous = Message(role="assistant", parts=(Part.of(turn.content),))
    return request.model_copy(update={"messages": (*request.messages, previous, Message(parts=(demand,)))})
