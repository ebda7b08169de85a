"""Fan-out: every source is searched and read by its own agent at once; what is there at the deadline becomes one answer.

A source that is dead, slow or empty is a gap, which the synthesiser and the result are given. Where the synthesiser names what is
missing, another round searches for that. A model cites what does not exist, so every citation is checked against what the
sources gave before anybody reads the answer.
"""

from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.search.activities import SearchActivities
from activities.search.contracts import CitedText, CiteRequest, SourceKind
from outlast.contracts import (
    Content,
    Part,
    RunState,
)
from outlast.documents.digest import part_characters
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_local
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.keeping import part_of
from workflows.contracts.research import ResearchRequest, ResearchResult, SourceOutcome, SourcePlan
from workflows.sourcing import SEARCHER, SourceRound

READERS = {
    SourceKind.WEB: "web-researcher",
    SourceKind.ACADEMIC: "academic-researcher",
    SourceKind.NEWS: "news-researcher",
    SourceKind.LOCAL: "local-researcher",
}
DEFAULT_SOURCES = (SourceKind.WEB, SourceKind.ACADEMIC, SourceKind.NEWS)
LOCAL_SECONDS = 60.0
"""How long the local documents may take where too few other sources gave findings; it comes on top of the deadline."""
NAME_WHAT_IS_MISSING = (
    "\nIf the notes leave out something that the topic asks for and that another search could find, write below your answer "
    "one line that begins with MISSING: and gives the query to search for."
)


@workflow.defn
class ParallelResearchWorkflow(AgentWorkflow[ResearchRequest, ResearchResult]):
    """Researches a topic in several sources at once; fails when fewer than `min_sources` gave findings."""

    continues = True

    @workflow.init
    def __init__(self, request: ResearchRequest) -> None:
        super().__init__(request)
        self._plans = _plans(request)
        self._topic = Part(text=request.topic)
        self._rounds: list[SourceRound] = []
        self._notes: list[str] = []

    @workflow.run
    async def run(self, request: ResearchRequest) -> ResearchResult:
        """Search and read all sources, join their notes, and check the citations."""
        await self._prepare()
        first = await self._search(request.topic, self._plans, request.deadline)
        if len(first.answered) < request.min_sources and SourceKind.LOCAL not in first.outcomes:
            self._notes.append("too few sources gave findings, so local documents were searched as well")
            await first.run([_plan(SourcePlan(source=SourceKind.LOCAL, timeout=LOCAL_SECONDS))], LOCAL_SECONDS)
        if len(first.answered) < request.min_sources:
            raise await self._failed(ErrorKind.NOTHING_SUCCEEDED, self._causes())
        try:
            cited = await self._synthesise()
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            raise await self._failed(kind_of(error), f"nobody joined the notes: {text_of(error)}") from error
        cited = await self._completed(cited)
        if request.result_schema is None:
            return await self._result(cited)
        answer = Part.of(cited.content, label="answer")
        try:
            data = await self.agents.fill_in(request.result_schema, request.synthesiser, [answer, self._topic_part()])
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            why = f"the answer could not be put into result_schema: {text_of(error)}"
            raise await self._failed(kind_of(error), why, cited) from error
        return await self._result(cited, data)

    async def _completed(self, cited: CitedText) -> CitedText:
        """Search for what the writer misses, as often as is allowed; where that fails, the answer so far stands."""
        try:
            while cited.missing and len(self._rounds) <= self.request.more_rounds:
                await self._search_again(cited.missing)
                cited = await self._synthesise()
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            self._notes.append(f"round {len(self._rounds)} failed, so the answer before it stands: {text_of(error)}")
        return cited

    async def _prepare(self) -> None:
        """Read the agents, and the topic into the content store if it is long."""
        kinds = [plan.source for plan in self._plans]
        twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if twice:
            raise non_retryable(ErrorKind.INPUT_INVALID, f"{', '.join(twice)}: name each source once")
        agents = [*(plan.agent for plan in self._plans), READERS[SourceKind.LOCAL], SEARCHER, self.request.synthesiser]
        await self.agents.read(list(dict.fromkeys(agents)))
        self._topic = await part_of(self.request.topic, "keep the topic")

    async def _search(self, query: str, plans: Sequence[SourcePlan], deadline: float) -> SourceRound:
        """Search and read sources at once, each within its own time and all within the deadline."""
        made = SourceRound(
            self.agents,
            self._topic_part(),
            query,
            limit=self.request.findings_per_source,
            number=len(self._rounds) + 1,
            taken={kind: sum(len(each.findings_of(kind)) for each in self._rounds) for kind in SourceKind},
        )
        self._rounds.append(made)
        await made.run(plans, deadline)
        return made

    async def _search_again(self, missing: str) -> None:
        """Search what is missing where the first round found something; a round that finds nothing changes nothing."""
        self._notes.append(f"round {len(self._rounds) + 1} searched for what was missing: {missing}")
        answered = [outcome.source for outcome in self._rounds[0].answered]
        plans = [plan for plan in self._plans if plan.source in answered]
        await self._search(
            missing, plans or [_plan(SourcePlan(source=kind)) for kind in answered], self.request.deadline
        )

    async def _synthesise(self) -> CitedText:
        """Join the notes of all sources into one answer whose citations are true."""
        parts = [
            Part.of(outcome.notes, label=_label(outcome))
            for one in self._rounds
            for outcome in one.answered
            if outcome.notes is not None
        ]
        gaps = [f"- {line}" for line in map(_gap_line, self._outcomes()) if line]
        gap_note = f"\nGaps to be named in the answer:\n{chr(10).join(gaps)}" if gaps else ""
        question = f"What do these notes say about the topic below? Give one answer, with their citations.{gap_note}"
        number = len(self._rounds)
        if number <= self.request.more_rounds:
            question += NAME_WHAT_IS_MISSING
        draft = await self.agents.ask(
            self.request.synthesiser,
            [*parts, Part(text=question), self._topic_part()],
            step="synthesise" if number == 1 else f"synthesise {number}",
            context_characters=part_characters(self.agents.catalog),
        )
        self._notes += draft.notes
        findings = [finding for one in self._rounds for kind in one.outcomes for finding in one.findings_of(kind)]
        cited = await run_local(
            SearchActivities.check_citations,
            CiteRequest(text=Part.of(draft.content), findings=tuple(findings)),
            **policies.local_call("check the citations"),
        )
        if cited.removed:
            self._notes.append(f"citations to nothing were removed: {', '.join(cited.removed)}")
        if not cited.cited:
            self._notes.append("the answer cites none of its sources")
        return cited

    def _topic_part(self) -> Part:
        return self._topic if self._topic.ref is None else self._topic.model_copy(update={"label": "topic"})

    def _outcomes(self) -> list[SourceOutcome]:
        return [outcome for one in self._rounds for outcome in one.outcomes.values()]

    def _causes(self) -> str:
        gaps = "; ".join(f"{outcome.source}: {outcome.gap}" for outcome in self._outcomes() if outcome.gap)
        return (
            f"{len(self._rounds[0].answered)} of the {self.request.min_sources} sources needed gave findings ({gaps})"
        )

    async def _failed(self, kind: ErrorKind, why: str, cited: CitedText | None = None) -> Exception:
        return non_retryable(kind, why, await self._result(cited, failed=True))

    async def _result(
        self, cited: CitedText | None, data: Content | None = None, *, failed: bool = False
    ) -> ResearchResult:
        gaps = any(outcome.gap for outcome in self._outcomes() if outcome.round == 1)
        state = RunState.FAILED if failed else RunState.PARTIAL if gaps else RunState.COMPLETED
        self.state.close(state)
        return ResearchResult(
            state=state,
            answer=cited.content if cited else None,
            data=data,
            sources=tuple(self._outcomes()),
            cited=cited.cited if cited else (),
            removed=cited.removed if cited else (),
            spend=self.state.spend,
            notes=(*(note for one in self._rounds for note in one.notes), *self._notes),
            report=await self.keep_report(),
        )


def _plans(request: ResearchRequest) -> list[SourcePlan]:
    return [_plan(plan) for plan in request.sources or [SourcePlan(source=kind) for kind in DEFAULT_SOURCES]]


def _plan(plan: SourcePlan) -> SourcePlan:
    """Fill in the agent that reads a source."""
    return plan if plan.agent else plan.model_copy(update={"agent": READERS[plan.source]})


def _label(outcome: SourceOutcome) -> str:
    return f"notes: {outcome.source}" + (f", round {outcome.round}" if outcome.round > 1 else "")


def _gap_line(outcome: SourceOutcome) -> str:
    """Return the synthesiser's note of a gap, empty where there is none."""
    if not outcome.gap:
        return ""
    if outcome.findings:
        return f"The source {outcome.source.value!r} was not read by its agent: {outcome.gap}."
    return f"The source {outcome.source.value!r} gave nothing: {outcome.gap}."
