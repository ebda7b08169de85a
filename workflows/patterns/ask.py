"""Asks an agent and gets a usable answer: every way a model call can end leads somewhere.

An answer that breaks its schema goes back with the errors, one cut off by its token limit is continued, a prompt that
does not fit is compacted, and whatever remains goes to the agent's fallback. Each call is an activity, so nothing that
was paid is asked twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.agent import AgentActivities
from activities.contracts import (
    AgentCard,
    Catalog,
    Content,
    Message,
    ModelFailure,
    ModelRequest,
    ModelTurn,
    Part,
    StopReason,
)
from activities.errors import ErrorKind, final, kind_of, root_of, text_of
from workflows import policies
from workflows.patterns.tracing import RunLog

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
    }
)
"""Failures that any other agent would meet as well."""


@dataclass(frozen=True)
class Answer:
    """What an agent answered; `agent` is who did in the end, `notes` say what happened on the way.

    `wrong` says how `data` breaks the schema, where the asker takes broken answers.
    """

    content: Content
    agent: str
    data: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass
class Ask:
    """One question to an agent, for one step of a run.

    `context_characters` cuts labelled parts from the first call on; `max_repairs` bounds how often an answer that breaks
    `schema` goes back; with `takes_broken` such an answer is returned as it is, for askers that can mend it themselves.
    """

    log: RunLog
    catalog: Catalog
    step: str
    parts: Sequence[Part]
    schema: dict[str, Any] | None = None
    max_repairs: int = MAX_REPAIRS
    takes_broken: bool = False
    context_characters: int | None = None
    notes: list[str] = field(default_factory=list)

    async def of(self, agent: str) -> Answer:
        """Ask the agent, then its fallbacks in turn; raises a final ApplicationError when none of them answers."""
        card: AgentCard | None = self._card(agent)
        tried: list[str] = []
        while card is not None:
            tried.append(card.name)
            try:
                return await self._ask(card)
            except (ActivityError, ApplicationError) as error:
                if is_cancelled_exception(error):
                    raise
                kind, following = kind_of(error), card.fallback
                if following is None or following in tried or kind in NO_FALLBACK:
                    text = "; ".join([*self.notes, f"{card.name}: {text_of(error)}"])
                    raise final(kind, text) from error
                self.notes.append(f"{card.name} failed ({kind}: {text_of(error)[:120]}), so {following} was asked")
                card = self._card(following)
        raise AssertionError  # the loop leaves by return or raise

    def _card(self, agent: str) -> AgentCard:
        card = self.catalog.get(agent)
        if card is None:
            names = ", ".join(card.name for card in self.catalog.agents)
            raise final(ErrorKind.UNKNOWN_AGENT, f"there is no agent {agent!r}; there are {names}")
        return card

    async def _ask(self, card: AgentCard) -> Answer:
        request = ModelRequest(
            agent=card.name,
            model=card.model,
            messages=(Message(parts=tuple(self.parts)),),
            max_tokens=card.max_tokens,
            system=card.system,
            output_schema=self.schema,
            temperature=card.temperature,
            context_characters=self.context_characters,
        )
        repairs = continuations = compactions = 0
        while True:
            try:
                turn = await self._call(card, request)
            except ActivityError as error:
                if kind_of(error) is not ErrorKind.CONTEXT_EXCEEDED or compactions == MAX_COMPACTIONS:
                    raise
                compactions += 1
                request = self._compacted(card, request, compactions)
                continue
            if turn.stop_reason is StopReason.REFUSAL:
                raise final(ErrorKind.MODEL_REFUSED, f"{card.model} refused to answer")
            if turn.stop_reason is StopReason.CONTEXT_EXCEEDED and compactions < MAX_COMPACTIONS:
                compactions += 1
                request = self._compacted(card, request, compactions)
            elif turn.stop_reason is StopReason.MAX_TOKENS and self._continues(card, continuations):
                continuations += 1
                request = request.model_copy(update={"continues": Part.of(turn.content)})
            elif (wrong := self._wrong(turn)) and self.takes_broken:
                return Answer(turn.content, card.name, turn.data, tuple(self.notes), wrong)
            elif wrong and repairs < self.max_repairs:
                repairs += 1
                self.notes.append(f"{card.name}: answer sent back ({wrong[0][:100]})")
                request = _repaired(request, turn, wrong)
            elif wrong:
                kind = ErrorKind.OUTPUT_INVALID if turn.schema_errors else ErrorKind.OUTPUT_CUT_OFF
                raise final(kind, f"the answer breaks its schema after {repairs} repairs: {'; '.join(wrong)}")
            else:
                return self._answer(card, turn)

    async def _call(self, card: AgentCard, request: ModelRequest) -> ModelTurn:
        started = workflow.now()
        summary = f"{self.step} · {card.name}"
        try:
            turn = await workflow.execute_activity_method(
                AgentActivities.call_model,
                request,
                **policies.call_model(card, self.catalog.heartbeat, summary),
            )
        except ActivityError as error:
            self.log.call_failed(self.step, request, _failure(error), text_of(error), workflow.now() - started)
            raise
        self.log.call_done(self.step, request, turn, workflow.now() - started)
        return turn

    def _continues(self, card: AgentCard, continuations: int) -> bool:
        return self.schema is None and continuations < card.continuations

    def _wrong(self, turn: ModelTurn) -> tuple[str, ...]:
        if self.schema is not None and turn.stop_reason is not StopReason.END_TURN and turn.data is None:
            return turn.schema_errors or (f"the answer stopped early ({turn.stop_reason}); answer more briefly",)
        return turn.schema_errors

    def _compacted(self, card: AgentCard, request: ModelRequest, times: int) -> ModelRequest:
        tokens = max(card.window - card.max_tokens, card.window // 2)
        characters = int(tokens * CHARACTERS_PER_TOKEN * 0.8 / 2 ** (times - 1))
        self.notes.append(f"{card.name}: context cut to {characters} characters to fit {card.model}")
        return request.model_copy(update={"context_characters": characters})

    def _answer(self, card: AgentCard, turn: ModelTurn) -> Answer:
        if turn.stop_reason in (StopReason.MAX_TOKENS, StopReason.CONTEXT_EXCEEDED):
            self.notes.append(f"{card.name}: the answer is cut off at its token limit")
        return Answer(content=turn.content, agent=card.name, data=turn.data, notes=tuple(self.notes))


def _repaired(request: ModelRequest, turn: ModelTurn, wrong: Sequence[str]) -> ModelRequest:
    listed = "\n".join(f"- {problem}" for problem in wrong)
    demand = Part(text=f"That answer cannot be used:\n{listed}\nGive the whole answer again, corrected.")
    said = Message(role="assistant", parts=(Part.of(turn.content),))
    return request.model_copy(update={"messages": (*request.messages, said, Message(parts=(demand,)))})


def _failure(error: ActivityError) -> ModelFailure:
    root = root_of(error)
    if isinstance(root, ApplicationError) and root.details:
        try:
            return ModelFailure.model_validate(root.details[0])
        except ValueError:
            return ModelFailure()
    return ModelFailure()
