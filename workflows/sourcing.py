"""One round of a research: several sources are asked the same query at once, and each is read by its own agent.

A source that is dead, slow or empty is a gap with its reason; what was found but not read stands as it was found.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.search.activities import SearchActivities
from activities.search.contracts import Finding, Findings, FoundRequest, SearchRequest, SourceKind
from outlast.agents.agents import Agents
from outlast.approvals.pausing import unpaused
from outlast.contracts import SUMMARY_LENGTH, Part, StepRow, StepState, hashed
from outlast.documents.digest import part_characters
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.gather import gather
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity, run_local
from outlast.workflow.failures import ENDINGS
from workflows.contracts.research import SourceOutcome, SourcePlan

SEARCHER = "web-searcher"
"""Searches the web by itself, where its model can and no search service is configured."""
SPACED = (SourceKind.ACADEMIC,)
"""Sources whose searches are spaced by the rate limit of a task queue of their own."""
QUERY_CHARACTERS = 1000
"""How much of a topic is searched for."""
NOTHING = "nothing found"
READ = "What do these findings say about the topic below? Cite their ids in square brackets."


class SourceRound:
    """The searches of one query; `number` counts rounds from 1, and `topic` is what the readers are asked about.

    `taken` says how many findings of a source earlier rounds have numbered, since ids are unique in a run.
    """

    def __init__(
        self,
        agents: Agents,
        topic: Part,
        query: str,
        *,
        limit: int,
        number: int = 1,
        taken: Mapping[SourceKind, int] | None = None,
    ) -> None:
        self.outcomes: dict[SourceKind, SourceOutcome] = {}
        self.notes: list[str] = []
        self._agents = agents
        self._state = agents.run.state
        self._topic = topic
        self._query = " ".join(query.split())[:QUERY_CHARACTERS]
        self._limit = limit
        self._number = number
        self._taken = taken or {}
        self._found: dict[SourceKind, Findings] = {}

    @property
    def answered(self) -> list[SourceOutcome]:
        """The sources that gave findings."""
        return [outcome for outcome in self.outcomes.values() if outcome.findings]

    def findings_of(self, kind: SourceKind) -> Sequence[Finding]:
        """Return what a source gave."""
        found = self._found.get(kind)
        return found.found if found else ()

    async def run(self, plans: Sequence[SourcePlan], deadline: float) -> None:
        """Search and read sources at once, each within its own time and all within the deadline (seconds)."""
        by_name = {plan.source.value: plan for plan in plans}
        seconds: dict[str, float] = {}

        async def branch(name: str) -> SourceOutcome:
            started = journal.now("begun")
            try:
                return await self._search_and_read(by_name[name], min(by_name[name].timeout, deadline))
            finally:
                if workflow.in_workflow():  # not where a run that leaves memory is closed
                    seconds[name] = round(journal.now("ended") - started, 3)

        for plan in plans:
            self._state.add(StepRow(step=self._step(plan.source, "search")))
            read = StepRow(
                step=self._step(plan.source, "read"),
                agent=plan.agent,
                depends_on=(self._step(plan.source, "search"),),
            )
            self._state.add(read)
        ended = await gather(
            {name: partial(branch, name) for name in by_name},
            each_within={name: plan.timeout for name, plan in by_name.items()},
            deadline=deadline,
        )
        for name, plan in by_name.items():
            outcome = ended[name].value or self._without_reader(plan, ended[name].error)
            self.outcomes[plan.source] = outcome.model_copy(
                update={"seconds": seconds.get(name, 0.0), **self._later_round()}
            )
            if not outcome.findings:
                self._skip(self._step(plan.source, "read"))

    def _later_round(self) -> dict[str, object]:
        return {} if self._number == 1 else {"round": self._number, "query": self._query[:SUMMARY_LENGTH]}

    def _step(self, kind: SourceKind, what: str) -> str:
        return f"{kind} · {what}" + (f" {self._number}" if self._number > 1 else "")

    async def _search_and_read(self, plan: SourcePlan, seconds: float) -> SourceOutcome:
        """Take one source from the query to its agent's notes."""
        findings = await self._search(plan.source, seconds)
        if not findings.found:
            gap = "; ".join((NOTHING, *findings.notes))[:SUMMARY_LENGTH]
            return SourceOutcome(source=plan.source, agent=plan.agent, gap=gap)
        self._found[plan.source] = findings
        answer = await self._agents.ask(
            plan.agent,
            [Part.of(findings.text, label=f"findings: {plan.source}"), Part(text=READ), self._topic],
            step=self._step(plan.source, "read"),
            context_characters=part_characters(self._agents.catalog),
        )
        self.notes += answer.notes
        return SourceOutcome(source=plan.source, agent=answer.agent, notes=answer.content, findings=len(findings.found))

    async def _search(self, kind: SourceKind, seconds: float) -> Findings:
        step = self._step(kind, "search")
        self._state.begin(step)
        try:
            with self._agents.run.trace.spans.within(step):
                findings = await self._found_once(step, kind, seconds)
        except ENDINGS as error:
            self._state.end(step, StepState.FAILED, note=text_of(error))
            raise
        self.notes += [f"{kind}: {note}" for note in findings.notes]
        note = f"{len(findings.found)} findings" + (", remembered from today" if findings.cached else "")
        self._state.end(step, StepState.DONE, output=findings.text, note=note)
        return findings

    async def _found_once(self, step: str, kind: SourceKind, seconds: float) -> Findings:
        """Search a source, unless this run is a fork and takes over what was found before; nothing found is searched again."""
        asked = hashed({"query": self._query, "limit": self._limit, "first": self._taken.get(kind, 0) + 1})
        outcomes = self._agents.outcomes
        taken = outcomes.take_data(step, asked)
        findings = await self._found_by(step, kind, seconds) if taken is None else Findings.model_validate(taken)
        if findings.found:
            outcomes.keep_data(step, asked, findings.model_dump(mode="json"))
        return findings

    async def _found_by(self, step: str, kind: SourceKind, seconds: float) -> Findings:
        """Search a source; the web, where no search service is configured, by a model that can search it itself."""
        queue = policies.spaced_queue(workflow.info().task_queue) if kind in SPACED else None
        first = self._taken.get(kind, 0) + 1
        await unpaused(self._state)
        try:
            return await run_activity(
                SearchActivities.search,
                SearchRequest(source=kind, query=self._query, limit=self._limit, first=first),
                **policies.search(self._agents.run.state.heartbeat, seconds, f"search {kind}", task_queue=queue),
            )
        except ActivityError as error:
            unconfigured = kind is SourceKind.WEB and kind_of(error) is ErrorKind.SOURCE_NOT_CONFIGURED
            if not (unconfigured and self._agents.card(SEARCHER).web_searches):
                raise
        asked = self._topic if self._number == 1 else Part(text=self._query)
        answer = await self._agents.ask_within(step, SEARCHER, [asked])
        return await run_local(
            SearchActivities.number_findings,
            FoundRequest(source=kind, found=answer.findings, limit=self._limit, first=first),
            **policies.local_call("number what the model found"),
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

    def _skip(self, step: str) -> None:
        if self._state.steps[step].state is StepState.PENDING:
            self._state.end(step, StepState.SKIPPED, note="skipped, because there is nothing to read")
