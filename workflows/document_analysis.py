"""Fixed pipeline: extract → classify → specialist → summary, for one document or many at once.

No model decides the order, so it is fast and predictable. Each document fails alone; one longer than the model's window
is worked on in parts, which are then combined.
"""

from temporalio import workflow

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.approvals.pausing import unpaused
from outlast.contracts import (
    SMALL_MODEL_HINT,
    Content,
    RunState,
    StepRow,
    StepState,
)
from outlast.documents.activities import DocumentActivities
from outlast.documents.contracts import DocumentSource, ExtractedText, ExtractRequest
from outlast.documents.digest import Digest, labelled, part_characters
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.gather import distinct, each
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.failures import FAILURES
from outlast.workflow.keeping import keep_report
from workflows.contracts.documents import (
    DocumentAnalysisRequest,
    DocumentAnalysisResult,
    DocumentOutcome,
    DocumentReport,
    DocumentType,
)

CLASSIFIER = "classifier"
SUMMARISER = "summariser"
SPECIALISTS = {
    DocumentType.LEGAL: "legal-analyst",
    DocumentType.FINANCIAL: "financial-analyst",
    DocumentType.GENERAL: "general-analyst",
}
CLASSIFIED_CHARACTERS = 4000
"""How much of a document the classifier reads: its beginning and its end say what it is."""

TYPE_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {
            "type": "string",
            "enum": [kind.value for kind in DocumentType],
            "description": "Kind of document.",
            SMALL_MODEL_HINT: "Label words: legal=law/legal/contract/agreement, "
            "financial=finance/financial/money/business, general=daily/life/people/stories. "
            "Cue: The text above is a document about",
        }
    },
    "required": ["type"],
    "additionalProperties": False,
}


@workflow.defn
class DocumentAnalysisWorkflow(AgentWorkflow[DocumentAnalysisRequest, DocumentAnalysisResult]):
    """Analyses documents; fails only if every document failed."""

    continues = True

    @workflow.init
    def __init__(self, request: DocumentAnalysisRequest) -> None:
        super().__init__(request)
        self._names = distinct([document.name for document in request.documents])
        self._documents = dict(zip(self._names, request.documents, strict=True))

    @workflow.run
    async def run(self, request: DocumentAnalysisRequest) -> DocumentAnalysisResult:
        """Analyse each document on its own, `max_parallel` at a time."""
        await self.agents.read((CLASSIFIER, SUMMARISER, *SPECIALISTS.values()))
        outcomes = await each(self._documents, self._analyse, max_parallel=request.max_parallel)
        documents = tuple(value for name in self._names if (value := outcomes[name].value) is not None)
        failed = [document for document in documents if document.error]
        state = RunState.FAILED if len(failed) == len(documents) else RunState.PARTIAL if failed else RunState.COMPLETED
        self.state.close(state)
        result = DocumentAnalysisResult(
            state=state, documents=documents, spend=self.state.spend, report=await self._keep_report()
        )
        if state is RunState.FAILED:
            causes = "; ".join(f"{document.name}: {document.error}" for document in failed[:3])
            kind = ErrorKind(failed[0].error_kind) if len(failed) == 1 else ErrorKind.NOTHING_SUCCEEDED
            raise non_retryable(kind, causes, result)
        return result

    async def _analyse(self, name: str) -> DocumentOutcome:
        """Take one document through the pipeline; whatever goes wrong is its outcome, and nobody else's."""
        started = journal.now(name)
        pipeline = _Pipeline(self.agents, name, self._documents[name])
        try:
            outcome = await pipeline.run()
        except FAILURES as error:
            pipeline.failed(text_of(error))
            outcome = DocumentOutcome(name=name, error_kind=kind_of(error), error=text_of(error))
        seconds = journal.now("end") - started
        return outcome.model_copy(update={"seconds": round(seconds, 3)})

    async def _keep_report(self) -> Content:
        report = DocumentReport(steps=tuple(self.state.steps.values()), trace=self.trace.all_calls())
        return await keep_report(report, "keep the step trace", "step trace")


class _Pipeline:
    """The stages of one document."""

    def __init__(self, agents: Agents, name: str, document: DocumentSource) -> None:
        self.agents = agents
        self._state = agents.run.state
        self._name = name
        self._document = document
        self._notes: list[str] = []
        for stage in ("extract", "classify", "analyse", "summarise"):
            agents.run.state.add(StepRow(step=f"{name} · {stage}"))

    async def run(self) -> DocumentOutcome:
        text = await self._extract()
        kind = await self._classify(text.parts[0])
        analysis = await self._specialist(kind, text)
        summary = await self._ask("summarise", SUMMARISER, "Summarise this analysis.", {"analysis": analysis.content})
        return DocumentOutcome(
            name=self._name,
            type=kind,
            analysis=analysis.content,
            summary=summary.content,
            parts=len(text.parts),
            pages=text.pages,
            notes=tuple(self._notes),
        )

    def failed(self, note: str) -> None:
        """Mark the running stage as failed and what would have come after it as skipped."""
        for step in [step for step in self._state.steps if step.startswith(f"{self._name} · ")]:
            state = self._state.steps[step].state
            if state is StepState.RUNNING:
                self._state.end(step, StepState.FAILED, note=note)
            elif state is StepState.PENDING:
                self._state.end(step, StepState.SKIPPED, note="skipped, because an earlier stage failed")

    async def _extract(self) -> ExtractedText:
        step = f"{self._name} · extract"
        await unpaused(self._state)
        self._state.begin(step)
        with self.agents.run.trace.spans.within(step):
            text = await run_activity(
                DocumentActivities.extract_text,
                ExtractRequest(document=self._document, part_characters=part_characters(self.agents.catalog)),
                **policies.extract_text(self.agents.run.state.heartbeat, step),
            )
        note = f"{len(text.parts)} parts" if len(text.parts) > 1 else ""
        self._state.end(step, StepState.DONE, output=text.parts[0], note=note)
        return text

    async def _classify(self, beginning: Content) -> DocumentType:
        question = "What kind of document is this: legal, financial or general?"
        answer = await self._ask(
            "classify",
            CLASSIFIER,
            question,
            {"document": beginning},
            schema=TYPE_SCHEMA,
            accept_invalid=True,
            context_characters=CLASSIFIED_CHARACTERS,
        )
        answered = str((answer.data or {}).get("type", "")).strip().lower()
        if answered not in set(DocumentType):
            self._notes.append(
                f"the classifier said {answered[:40]!r}, which is not a known type, so it is read as general"
            )
            return DocumentType.GENERAL
        return DocumentType(answered)

    async def _specialist(self, kind: DocumentType, text: ExtractedText) -> Answer:
        """Let the specialist read the document, part by part where it has several."""
        agent, step = SPECIALISTS[kind], f"{self._name} · analyse"
        if len(text.parts) == 1:
            return await self._ask("analyse", agent, "Analyse this document.", {"document": text.parts[0]})
        self._state.begin(step, agent)
        digest = Digest(self.agents, step, agent)
        answer = await digest.of(text.parts)
        self._notes += digest.notes
        note = f"worked on in {len(text.parts)} parts, then combined"
        self._state.end(step, StepState.DONE, output=answer.content, note=note)
        return answer

    async def _ask(
        self,
        stage: str,
        agent: str,
        question: str,
        context: dict[str, Content],
        *,
        schema: dict[str, object] | None = None,
        accept_invalid: bool = False,
        context_characters: int | None = None,
    ) -> Answer:
        step = f"{self._name} · {stage}"
        self._state.begin(step, agent)
        answer = await self.agents.ask_within(
            step,
            agent,
            labelled(question, context),
            schema=schema,
            accept_invalid=accept_invalid,
            context_characters=context_characters,
        )
        self._notes += answer.notes
        self._state.end(step, StepState.DONE, output=answer.content, note="; ".join(answer.notes))
        return answer
