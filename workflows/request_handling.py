"""Routing: each request goes to the handler of its category, many requests side by side.

Every request fails alone. A grave request must not be lost because a model is away, so its ticket is opened even
where nobody could write it.
"""

from collections.abc import Sequence

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from outlast.agents.answers import Answer
from outlast.contracts import (
    SUMMARY_LENGTH,
    Content,
    Part,
    RunState,
    StepRow,
    StepState,
    ToolSpec,
)
from outlast.documents.digest import part_characters
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.gather import distinct, each
from outlast.routing.categories import TICKET_SCHEMA
from outlast.routing.choosing import ROUTERS, Chooser
from outlast.routing.requests import RouteAnswer, RouteOutcome, RouteRequest, RouteResult, Ticket
from outlast.routing.rules import Choice, Route, categories_of, priority_of, problems, route_tools
from outlast.workflow import journal
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.failures import ENDINGS, FAILURES
from outlast.workflow.keeping import (
    SHORT,
    keep_text,
)

CAUSES_SHOWN = 3

HANDLE = "Write a short reply to the customer's request above."
OPEN_TICKET = "Write the ticket for the request above."

_SPECS = TypeAdapter(tuple[ToolSpec, ...])


@workflow.defn
class RequestHandlingWorkflow(AgentWorkflow[RouteRequest, RouteResult]):
    """Routes and handles requests; fails only if every request failed."""

    continues = True

    @workflow.init
    def __init__(self, request: RouteRequest) -> None:
        super().__init__(request)
        self._categories = categories_of(request)
        self._chooser = Chooser(self.agents, request, self._categories)
        names = distinct([each.name for each in request.requests])
        self._failures: list[ErrorKind] = []
        self._texts = {name: each.text for name, each in zip(names, request.requests, strict=True)}

    @workflow.run
    async def run(self, request: RouteRequest) -> RouteResult:
        """Route and handle each request on its own, `max_parallel` at a time."""
        await self._prepare()
        ended = await each(self._texts, self._outcome, max_parallel=request.max_parallel)
        outcomes = [value for name in self._texts if (value := ended[name].value) is not None]
        state = _state(outcomes)
        self.state.close(state)
        result = RouteResult(
            state=state, outcomes=tuple(outcomes), report=await self.keep_report(), spend=self.state.spend
        )
        if state is RunState.FAILED:
            causes = "; ".join(f"{outcome.name}: {outcome.error}" for outcome in outcomes[:CAUSES_SHOWN])
            same = len(dict.fromkeys(self._failures)) == 1
            raise non_retryable(self._failures[0] if same else ErrorKind.NOTHING_SUCCEEDED, causes, result)
        return result

    async def _prepare(self) -> None:
        """Check the categories, read the agents, and keep what must not travel through history."""
        if wrong := problems(self.request):
            raise non_retryable(ErrorKind.INPUT_INVALID, "; ".join(wrong))
        agents = [ROUTERS[self.request.router], *(category.agent for category in self._categories.values())]
        await self.agents.read([name for name in dict.fromkeys(agents) if name])
        specs: Part | None = None
        if self.request.router == "llm":
            tools = _SPECS.dump_json(route_tools(self._categories)).decode()
            specs = Part.of(await keep_text(tools, "keep the routes", by_reference=True))
        for name, text in self._texts.items():
            if text.ref is None and len(text.text or "") > SHORT:
                self._texts[name] = Part.of(await keep_text(text.text or "", f"keep {name}"))
        self._chooser = Chooser(self.agents, self.request, self._categories, specs)

    async def _outcome(self, name: str) -> RouteOutcome:
        """Take one request from its text to its answers; whatever goes wrong is its outcome, and nobody else's."""
        started = journal.now(name)
        try:
            outcome = await self._handle(name, self._texts[name])
        except FAILURES as error:
            if is_cancelled_exception(error):
                raise
            outcome = RouteOutcome(name=name, router=self.request.router, error=self._failed(error))
        seconds = journal.now("end") - started
        return outcome.model_copy(update={"seconds": round(seconds, 3)})

    def _failed(self, error: Exception) -> str:
        self._failures.append(kind_of(error))
        return f"{kind_of(error)}: {text_of(error)}"

    async def _handle(self, name: str, text: Part) -> RouteOutcome:
        if text.ref is None and not (text.text or "").strip():
            raise non_retryable(ErrorKind.INPUT_INVALID, "text: the request is empty; say what is wanted")
        choice = await self._choose(name, text)
        labels = distinct([f"{name} · {route.category.name}" for route in choice.routes])
        routes = dict(zip(labels, choice.routes, strict=True))
        notes = list(choice.notes)
        for step, route in routes.items():
            self.state.add(StepRow(step=step, agent=route.category.agent, depends_on=(f"{name} · route",)))
        ended = await each(routes, lambda step: self._answer(step, routes[step], text, notes))
        answers = [value for step in routes if (value := ended[step].value) is not None]
        failed = all(answer.error and answer.ticket is None for answer in answers)
        return RouteOutcome(
            name=name,
            category=choice.category,
            confidence=choice.confidence,
            router=self.request.router,
            answers=tuple(answers),
            error="; ".join(answer.error for answer in answers) if failed else "",
            notes=tuple(notes),
        )

    async def _choose(self, name: str, text: Part) -> Choice:
        """Choose the routes of a request, as a step that people see."""
        step = f"{name} · route"
        self.state.add(StepRow(step=step, agent=ROUTERS[self.request.router], input=_title(name, text)))
        self.state.begin(step)
        try:
            choice = await self._chooser.choose(step, text)
        except ENDINGS as error:
            self.state.end(step, StepState.FAILED, note=text_of(error))
            raise
        chosen = ", ".join(route.category.name for route in choice.routes)
        self.state.end(
            step, StepState.DONE, output=Content(text=chosen, size=len(chosen)), note="; ".join(choice.notes)
        )
        return choice

    async def _answer(self, step: str, route: Route, text: Part, notes: list[str]) -> RouteAnswer:
        """Let one handler answer; its failure is this answer's, and a ticket is opened all the same."""
        category = route.category
        answer: Answer | None = None
        error = ""
        try:
            answer = await self._asked(step, route, text)
            notes += answer.notes
        except FAILURES as failure:
            if is_cancelled_exception(failure):
                raise
            error = self._failed(failure)
        if category.ticket and answer is None:
            notes.append(f"the ticket is open, but {category.agent} could not write it")
        return RouteAnswer(
            category=category.name,
            agent=answer.agent if answer else category.agent,
            content=await self._full_text(step, route, answer) if answer else None,
            ticket=self._ticket(step, route, answer, text) if category.ticket else None,
            filled=route.filled,
            error=error,
        )

    async def _asked(self, step: str, route: Route, text: Part) -> Answer:
        parts = [text.model_copy(update={"label": "request"})]
        if route.filled is not None:
            parts.insert(0, Part.of(route.filled, label="what the router noted"))
        category = route.category
        return await self.agents.ask(
            category.agent,
            [*parts, Part(text=OPEN_TICKET if category.ticket else HANDLE)],
            step=step,
            schema=TICKET_SCHEMA if category.ticket else None,
            accept_invalid=category.ticket,
            context_characters=part_characters(self.agents.catalog),
        )

    async def _full_text(self, step: str, route: Route, answer: Answer) -> Content:
        """Return what people read: of a ticket its note, where there is one."""
        note = (answer.data or {}).get("note")
        if not route.category.ticket or not isinstance(note, str) or not note.strip():
            return answer.content
        return await keep_text(note.strip(), f"keep {step}")

    def _ticket(self, step: str, route: Route, answer: Answer | None, text: Part) -> Ticket:
        data = (answer.data if answer else None) or {}
        title = " ".join(str(data.get("title") or "").split()) or _title(step, text)
        return Ticket(
            title=title[:SUMMARY_LENGTH],
            priority=priority_of(data.get("priority")),
            category=route.category.name,
            request=text,
        )


def _state(outcomes: Sequence[RouteOutcome]) -> RunState:
    """Judge a run: failed if every request failed, partial if anything did."""
    if all(outcome.error for outcome in outcomes):
        return RunState.FAILED
    partly = any(outcome.error or any(answer.error for answer in outcome.answers) for outcome in outcomes)
    return RunState.PARTIAL if partly else RunState.COMPLETED


def _title(name: str, text: Part) -> str:
    """Return the beginning of a request in one line, or its name where its text lies elsewhere."""
    return " ".join((text.text or name).split())[:SUMMARY_LENGTH]
