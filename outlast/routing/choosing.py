"""Chooses the route of one request: by a small model, by a trained classifier, or by the primary model that picks tools.

Whatever the router answers, the request gets a handler. A picked tool has to be answered before the model may
speak again, so picks that go back take one answer each, the right ones too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.asking import CANNED, NO_FALLBACK, PERSON, ask_in_turn
from outlast.agents.model_calls import call_model
from outlast.approvals.pausing import unpaused
from outlast.contracts import (
    AgentCard,
    Content,
    Message,
    ModelRequest,
    ModelTurn,
    Part,
    StepRow,
    StepState,
    StopReason,
    ToolAnswer,
)
from outlast.documents.digest import part_characters
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.routing.categories import NO_ROUTE
from outlast.routing.contracts import LabelRequest, Pick, PicksRequest
from outlast.routing.pick_activities import RoutePickActivities
from outlast.routing.requests import (
    Category,
    RequestText,
    RouteRequest,
)
from outlast.routing.rules import (
    Choice,
    categories_of,
    decided,
    general,
    label_question,
    label_schema,
    picked,
    problems,
)
from outlast.routing.trained_activities import TrainedRouterActivities
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_local
from outlast.workflow.failures import ENDINGS
from outlast.workflow.keeping import part_of

CLASSIFIER = "request-classifier"
ROUTER = "router"
ROUTERS = {"classifier": CLASSIFIER, "trained": "", "llm": ROUTER}
"""The agent of each router; a trained classifier needs none."""
CLASSIFIED_CHARACTERS = 4000
"""How much of a request the small model reads: its beginning and its end say what it wants."""
BROKEN_SETTING = NO_FALLBACK | {ErrorKind.CLASSIFIER_INVALID, ErrorKind.INPUT_INVALID}
"""Failures of a router that every request would meet: reported, and not covered up by the general handler."""

PICK = "Pick the routes for the request above."
PICK_ONE = f"Pick at least one of the tools; where no route fits, pick {NO_ROUTE}."
ACCEPTED = "Accepted. Do not pick it again."
WRONG = "That input cannot be used: {problems}. Pick this tool again with its whole input, corrected."


@dataclass(frozen=True)
class Chooser:
    """Chooses for the requests of one run; `specs` are the route tools in the content store, for the router `llm`."""

    agents: Agents
    request: RouteRequest
    categories: dict[str, Category]
    specs: Part | None = None

    async def choose(self, step: str, text: Part) -> Choice:
        """Choose the routes of one request; raises ApplicationError or ActivityError where a setting is broken."""
        try:
            if self.request.router == "trained":
                return await self._trained(step, text)
            if self.request.router == "llm":
                return await self._picked(step, text)
            return await self._classified(step, text)
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error) or kind_of(error) in BROKEN_SETTING:
                raise
            return general(self.request, f"the router gave no answer ({kind_of(error)}: {text_of(error)[:80]})")

    async def _classified(self, step: str, text: Part) -> Choice:
        answer = await self.agents.ask_within(
            step,
            CLASSIFIER,
            [_labelled(text), Part(text=label_question(self.categories))],
            schema=label_schema(self.categories),
            accept_invalid=True,
            context_characters=CLASSIFIED_CHARACTERS,
        )
        data = answer.data or {}
        category, confidence = str(data.get("category") or ""), data.get("confidence")
        sure = _probability(confidence)
        if confidence is not None and sure is None:
            choice = general(
                self.request, f"{category[:40] or 'nothing'} with a confidence of {str(confidence)[:20]!r} is unsure"
            )
        else:
            choice = decided(self.request, category, sure)
        return Choice(choice.routes, choice.confidence, (*answer.notes, *choice.notes))

    async def _trained(self, step: str, text: Part) -> Choice:
        await unpaused(self.agents.run.state)
        labelled = await run_local(
            TrainedRouterActivities.label_request,
            LabelRequest(text=text, classifier=self.request.trained),
            **policies.local_call(step),
        )
        return decided(self.request, labelled.category, labelled.confidence)

    async def _picked(self, step: str, text: Part) -> Choice:
        """Let the router pick, its fallbacks in turn where it fails; a canned answer or a person cannot pick tools."""

        async def pick(name: str, chain: list[str]) -> Choice:
            card = self.agents.card(name)
            usable = [link for link in card.fallbacks if link != PERSON and not link.startswith(CANNED)]
            chain += [link for link in usable if link not in chain]
            return await _Picking(self, step, card).run(text)

        return await ask_in_turn(ROUTER, pick, partial(self.agents.run.trace.fell_back, step), BROKEN_SETTING)


async def route(
    agents: Agents, text: str | Part, categories: Sequence[Category], *, general: str = "", threshold: float = 0.5
) -> Category:
    """Find the category that a request belongs to; who handles it is the caller's to ask.

    Args:
        agents: The agents of the run, `self.agents`.
        text: The request.
        categories: What there is to choose from.
        general: Name of the category for whatever fits no other, or does so too unsurely; by default the last one.
        threshold: How sure the classifier must be, from 0 to 1.

    Raises:
        ApplicationError: InputInvalid where the categories cannot be chosen from.

    Example:
        ```python
        category = await route(self.agents, request.ticket, [BILLING, OUTAGE, OTHER])
        answer = await self.agents.ask(category.agent, request.ticket)
        ```
    """
    state = agents.run.state
    step = state.unused("route")
    part = await part_of(text, f"{step} · keep the request") if isinstance(text, str) else text
    asked = RouteRequest(
        requests=(RequestText(name="request", text=part),),
        categories=tuple(categories),
        general=general or categories[-1].name,
        threshold=threshold,
    )
    if wrong := problems(asked):
        raise non_retryable(ErrorKind.INPUT_INVALID, "; ".join(wrong))
    state.add(StepRow(step=step, agent=CLASSIFIER))
    state.begin(step, CLASSIFIER)
    try:
        choice = await Chooser(agents, asked, categories_of(asked)).choose(step, part)
    except ENDINGS as error:
        state.end(step, StepState.FAILED, note=text_of(error))
        raise
    output = Content(text=choice.category, size=len(choice.category))
    state.end(step, StepState.DONE, output=output, note="; ".join(choice.notes))
    return choice.routes[0].category


class _Picking:
    """One agent picking the routes of one request."""

    def __init__(self, chooser: Chooser, step: str, card: AgentCard) -> None:
        self._chooser = chooser
        self._step = step
        self._card = card
        self._notes: list[str] = []

    async def run(self, text: Part) -> Choice:
        """Let the model pick; what cannot be used goes back once, and what is still wrong then is left out."""
        card = self._card
        asked = ModelRequest(
            agent=card.name,
            model=card.model,
            messages=(Message(parts=(_labelled(text), Part(text=PICK))),),
            max_tokens=card.max_tokens,
            system=card.system,
            temperature=card.temperature,
            tool_choice="any",
            toolset=self._chooser.specs,
            keeps_transcript=True,
            context_characters=part_characters(self._chooser.agents.catalog),
        )
        turn = await self._call(asked)
        picks = await self._checked(turn)
        good = [pick for pick in picks if not pick.wrong]
        if not picks or len(good) < len(picks):
            back = _sent_back(picks)
            self._notes.append(_sent_back_note(card.name, picks))
            again = await self._call(asked.model_copy(update={"messages": (back,), "transcript": turn.transcript}))
            second = await self._checked(again)
            self._notes += [f"{pick.tool} was left out: {pick.wrong[0]}"[:200] for pick in second if pick.wrong]
            good += [pick for pick in second if not pick.wrong]
        choice = picked(self._chooser.request, good)
        return Choice(choice.routes, notes=(*self._notes, *choice.notes))

    async def _call(self, request: ModelRequest) -> ModelTurn:
        turn = await call_model(self._chooser.agents.run, self._step, self._card, request)
        if turn.stop_reason is StopReason.REFUSAL:
            raise non_retryable(ErrorKind.MODEL_REFUSED, f"{self._card.model} refused to route")
        return turn

    async def _checked(self, turn: ModelTurn) -> Sequence[Pick]:
        # A turn that was cut off holds half a call, and the transcript has left it out.
        if turn.stop_reason is not StopReason.TOOL_USE or not turn.tool_calls:
            return ()
        assert self._chooser.specs is not None
        checked = await run_local(
            RoutePickActivities.check_picks,
            PicksRequest(calls=turn.tool_calls, specs=self._chooser.specs),
            **policies.local_call(f"{self._step} · check the picks"),
        )
        return checked.picks


def _sent_back(picks: Sequence[Pick]) -> Message:
    if not picks:
        return Message(parts=(Part(text=PICK_ONE),))
    return Message(answers=tuple(_answer(pick) for pick in picks))


def _answer(pick: Pick) -> ToolAnswer:
    text = WRONG.format(problems="; ".join(pick.wrong)) if pick.wrong else ACCEPTED
    return ToolAnswer(id=pick.id, content=Part(text=text), failed=bool(pick.wrong))


def _sent_back_note(agent: str, picks: Sequence[Pick]) -> str:
    wrong = next((pick for pick in picks if pick.wrong), None)
    why = f"{wrong.tool}: {wrong.wrong[0]}" if wrong else "it picked no tool"
    return f"{agent}: picks sent back ({why[:120]})"


def _labelled(text: Part) -> Part:
    return text.model_copy(update={"label": "request"})


def _probability(value: Any) -> float | None:
    """Read a confidence; what lies outside of 0 to 1 here is what the reader of answers could make nothing of."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
