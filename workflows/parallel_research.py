"""Fan-out: every source is searched and read by its own agent at once; what is there at the deadline becomes one answer.

A source that is dead, slow or empty is a gap, told to the synthesiser and in the result. The trap: a model cites what does not
exist, so every citation is checked against what the sources gave before anybody reads the answer.
"""

from collections.abc import Sequence
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.content import ContentActivities
from activities.contracts import (
    SUMMARY_LENGTH,
    Catalog,
    CitedText,
    CiteRequest,
    Finding,
    Findings,
    FoundRequest,
    Part,
    SearchRequest,
    SourceKind,
    StoreRequest,
)
from activities.errors import ErrorKind, final, kind_of, text_of
from activities.search import SearchActivities
from workflows import policies
from workflows.contracts import (
    ResearchRequest,
    ResearchResult,
    RunState,
    SourceOutcome,
    SourcePlan,
    StepRow,
    StepState,
)
from workflows.patterns.crew import Crew
from workflows.patterns.digest import part_characters
from workflows.patterns.failing import ENDINGS
from workflows.patterns.gathering import gather
from workflows.patterns.observed import Observed, closing, taking_back
from workflows.patterns.pausing import unpaused
from workflows.patterns.tracing import RunLog

READERS = {
    SourceKind.WEB: "web-researcher",
    SourceKind.ACADEMIC: "academic-researcher",
    SourceKind.NEWS: "news-researcher",
    SourceKind.LOCAL: "local-researcher",
}
SEARCHER = "web-searcher"
"""Searches the web by itself, where its model can and no search service is configured."""
DEFAULT_SOURCES = (SourceKind.WEB, SourceKind.ACADEMIC, SourceKind.NEWS)
POLITE = (SourceKind.ACADEMIC,)
"""Sources whose searches are spaced by the rate limit of a task queue of their own."""
LOCAL_SECONDS = 60.0
"""How long the local documents may take where too few other sources gave findings; it comes on top of the deadline."""
QUERY_CHARACTERS = 1000
"""How much of a topic is searched for."""
SHORT_TOPIC = 1000
"""Longer topics are kept in the content store, because every call repeats them."""
NOTHING = "nothing found"


@workflow.defn
class ParallelResearchWorkflow(Observed):
    """Researches a topic in several sources at once; fails when fewer than `min_sources` gave findings."""

    @workflow.init
    def __init__(self, request: ResearchRequest) -> None:
        self.log = RunLog("parallel research")
        self._request = request
        self._crew = Crew(self.log, Catalog(agents=()))
        self._plans = _plans(request)
        self._topic = Part(text=request.topic)
        self._found: dict[SourceKind, Findings] = {}
        self._outcomes: dict[SourceKind, SourceOutcome] = {}
        self._notes: list[str] = []

    @workflow.run
    @closing
    @taking_back
    async def run(self, request: ResearchRequest) -> ResearchResult:
        """Search and read all sources, join their notes, and check the citations."""
        await self._prepare()
        await self._research(self._plans, request.deadline)
        if len(self._answered()) < request.min_sources and SourceKind.LOCAL not in self._outcomes:
            self._notes.append("too few sources gave findings, so local documents were searched as well")
            await self._research([_plan(SourcePlan(source=SourceKind.LOCAL, timeout=LOCAL_SECONDS))], LOCAL_SECONDS)
        if len(self._answered()) < request.min_sources:
            raise await self._failed(ErrorKind.NOTHING_SUCCEEDED, self._causes())
        try:
            cited = await self._synthesise()
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            raise await self._failed(kind_of(error), f"nobody joined the notes: {text_of(error)}") from error
        return await self._result(cited)

    async def _prepare(self) -> None:
        """Read the agents, and the topic into the content store if it is long."""
        kinds = [plan.source for plan in self._plans]
        twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if twice:
            raise final(ErrorKind.INPUT_INVALID, f"{', '.join(twice)}: name each source once")
        agents = [*(plan.agent for plan in self._plans), READERS[SourceKind.LOCAL], SEARCHER, self._request.synthesiser]
        self._crew = await Crew.assemble(
            self.log,
            self.people,
            agents=list(dict.fromkeys(agents)),
            rollback=self.rollback,
            gates=self.gates,
            budget=self.budget,
        )
        if len(self._request.topic) > SHORT_TOPIC:
            kept = await workflow.execute_local_activity_method(
                ContentActivities.keep_text,
                StoreRequest(text=self._request.topic),
                **policies.keep_text("keep the topic"),
            )
            self._topic = Part.of(kept)

    async def _research(self, plans: Sequence[SourcePlan], deadline: float) -> None:
        """Search and read sources at once, each within its own time and all within the deadline."""
        by_name = {plan.source.value: plan for plan in plans}
        seconds: dict[str, float] = {}

        async def branch(name: str) -> SourceOutcome:
            started = workflow.time()
            try:
                return await self._search_and_read(by_name[name], min(by_name[name].timeout, deadline))
            finally:
                if workflow.in_workflow():  # not where a run that leaves memory is closed
                    seconds[name] = round(workflow.time() - started, 3)

        for name, plan in by_name.items():
            self.log.add(StepRow(step=f"{name} · search"))
            self.log.add(StepRow(step=f"{name} · read", agent=plan.agent, depends_on=(f"{name} · search",)))
        ended = await gather(
            {name: partial(branch, name) for name in by_name},
            each_within={name: plan.timeout for name, plan in by_name.items()},
            deadline=deadline,
        )
        for name, plan in by_name.items():
            outcome = ended[name].value or self._without_reader(plan, ended[name].error)
            self._outcomes[plan.source] = outcome.model_copy(update={"seconds": seconds.get(name, 0.0)})
            if not outcome.findings:
                self._skip(f"{name} · read")

    async def _search_and_read(self, plan: SourcePlan, seconds: float) -> SourceOutcome:
        """Take one source from the question to its agent's notes."""
        findings = await self._search(plan.source, seconds)
        if not findings.found:
            gap = "; ".join((NOTHING, *findings.notes))[:SUMMARY_LENGTH]
            return SourceOutcome(source=plan.source, agent=plan.agent, gap=gap)
        self._found[plan.source] = findings
        question = "What do these findings say about the topic below? Cite their ids in square brackets."
        answer = await self._crew.step(
            f"{plan.source} · read",
            plan.agent,
            [Part.of(findings.text, label=f"findings: {plan.source}"), Part(text=question), self._topic_part()],
            context_characters=part_characters(self._crew.catalog),
        )
        self._notes += answer.notes
        return SourceOutcome(source=plan.source, agent=answer.agent, notes=answer.content, findings=len(findings.found))

    async def _search(self, kind: SourceKind, seconds: float) -> Findings:
        step = f"{kind} · search"
        self.log.begin(step)
        try:
            with self.log.spans.within(step):
                findings = await self._found_by(step, kind, seconds)
        except ENDINGS as error:
            self.log.end(step, StepState.FAILED, note=text_of(error))
            raise
        self._notes += [f"{kind}: {note}" for note in findings.notes]
        note = f"{len(findings.found)} findings" + (", remembered from today" if findings.cached else "")
        self.log.end(step, StepState.DONE, output=findings.text, note=note)
        return findings

    async def _found_by(self, step: str, kind: SourceKind, seconds: float) -> Findings:
        """Search a source; the web, where no search service is configured, by a model that can search it itself."""
        queue = policies.polite_queue(workflow.info().task_queue) if kind in POLITE else None
        query = " ".join(self._request.topic.split())[:QUERY_CHARACTERS]
        await unpaused(self.log)
        try:
            return await workflow.execute_activity_method(
                SearchActivities.search,
                SearchRequest(source=kind, query=query, limit=self._request.findings_per_source),
                **policies.search(self._crew.catalog.heartbeat, seconds, f"search {kind}", task_queue=queue),
            )
        except ActivityError as error:
            unconfigured = kind is SourceKind.WEB and kind_of(error) is ErrorKind.SOURCE_NOT_CONFIGURED
            if not (unconfigured and self._crew.card(SEARCHER).web_searches):
                raise
        answer = await self._crew.ask(step, SEARCHER, [self._topic_part()])
        return await workflow.execute_local_activity_method(
            SearchActivities.number_findings,
            FoundRequest(source=kind, found=answer.findings, limit=self._request.findings_per_source),
            **policies.number_findings("number what the model found"),
        )

    def _without_reader(self, plan: SourcePlan, error: BaseException | None) -> SourceOutcome:
        """Make do with what there is of a branch that failed: its findings, or nothing."""
        why = text_of(error) if error else "ended without an answer"
        findings = self._found.get(plan.source)
        if findings is None:
            return SourceOutcome(source=plan.source, agent=plan.agent, gap=why[:SUMMARY_LENGTH])
        return SourceOutcome(
            source=plan.source,
            agent=plan.agent,
            notes=findings.text,
            findings=len(findings.found),
            gap=f"its findings stand as they were found, because nobody read them: {why}"[:SUMMARY_LENGTH],
        )

    async def _synthesise(self) -> CitedText:
        """Join the notes of all sources into one answer whose citations are true."""
        parts = [
            Part.of(outcome.notes, label=f"notes: {outcome.source}")
            for outcome in self._answered()
            if outcome.notes is not None
        ]
        gaps = [f"- {line}" for line in map(_gap_line, self._outcomes.values()) if line]
        told = f"\nGaps to be named in the answer:\n{chr(10).join(gaps)}" if gaps else ""
        question = f"What do these notes say about the topic below? Give one answer, with their citations.{told}"
        draft = await self._crew.step(
            "synthesise",
            self._request.synthesiser,
            [*parts, Part(text=question), self._topic_part()],
            context_characters=part_characters(self._crew.catalog),
        )
        self._notes += draft.notes
        findings = [finding for kind in self._outcomes for finding in self._findings_of(kind)]
        cited = await workflow.execute_local_activity_method(
            SearchActivities.check_citations,
            CiteRequest(text=Part.of(draft.content), findings=tuple(findings)),
            **policies.check_citations("check the citations"),
        )
        if cited.removed:
            self._notes.append(f"citations to nothing were removed: {', '.join(cited.removed)}")
        if not cited.cited:
            self._notes.append("the answer cites none of its sources")
        return cited

    def _topic_part(self) -> Part:
        return self._topic if self._topic.ref is None else self._topic.model_copy(update={"label": "topic"})

    def _findings_of(self, kind: SourceKind) -> Sequence[Finding]:
        found = self._found.get(kind)
        return found.found if found else ()

    def _answered(self) -> list[SourceOutcome]:
        return [outcome for outcome in self._outcomes.values() if outcome.findings]

    def _skip(self, step: str) -> None:
        if self.log.steps[step].state is StepState.PENDING:
            self.log.end(step, StepState.SKIPPED, note="skipped, because there is nothing to read")

    def _causes(self) -> str:
        gaps = "; ".join(f"{outcome.source}: {outcome.gap}" for outcome in self._outcomes.values() if outcome.gap)
        return f"{len(self._answered())} of the {self._request.min_sources} sources needed gave findings ({gaps})"

    async def _failed(self, kind: ErrorKind, why: str) -> Exception:
        return final(kind, why, await self._result(None))

    async def _result(self, cited: CitedText | None) -> ResearchResult:
        gaps = any(outcome.gap for outcome in self._outcomes.values())
        state = RunState.FAILED if cited is None else RunState.PARTIAL if gaps else RunState.COMPLETED
        self.log.close(state)
        return ResearchResult(
            state=state,
            answer=cited.content if cited else None,
            sources=tuple(self._outcomes.values()),
            cited=cited.cited if cited else (),
            removed=cited.removed if cited else (),
            spend=self.log.spend,
            notes=tuple(self._notes),
            report=await self._crew.keep_report(),
        )


def _plans(request: ResearchRequest) -> list[SourcePlan]:
    return [_plan(plan) for plan in request.sources or [SourcePlan(source=kind) for kind in DEFAULT_SOURCES]]


def _plan(plan: SourcePlan) -> SourcePlan:
    """Fill in the agent that reads a source."""
    return plan if plan.agent else plan.model_copy(update={"agent": READERS[plan.source]})


def _gap_line(outcome: SourceOutcome) -> str:
    """Tell the synthesiser of a gap, or nothing where there is none."""
    if not outcome.gap:
        return ""
    if outcome.findings:
        return f"The source {outcome.source.value!r} was not read by its agent: {outcome.gap}."
    return f"The source {outcome.source.value!r} gave nothing: {outcome.gap}."
