"""Works on a text that is longer than a model's window: part by part, then the parts' results are combined into one.

Combining goes in rounds, each of groups that fit the window, until one result is left. A group of one makes a round
that gets nowhere, so a group takes two even where they do not fit; what is too long is then cut, and the notes say so.
"""

from collections.abc import Mapping, Sequence

from temporalio.exceptions import ActivityError, is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.agents.asking import CHARACTERS_PER_TOKEN
from outlast.approvals.pausing import unpaused
from outlast.contracts import Catalog, Content, Part, StepRow, StepState
from outlast.documents.activities import DocumentActivities
from outlast.documents.contracts import DocumentSource, ExtractRequest
from outlast.errors import kind_of, non_retryable, text_of
from outlast.gather import each
from outlast.workflow import policies
from outlast.workflow.activity_calls import run_activity

WINDOW_SHARE = 0.6
"""Share of a model's window that one part may fill; the rest is for the prompt and the answer."""

SMALLEST_PART = 1000
MAX_PARALLEL_PARTS = 4

COMBINE = "Combine these analyses of the parts of one document into one analysis. Keep figures, names and dates."


def part_characters(catalog: Catalog) -> int:
    """Return how many characters of text every agent of the catalog can read at once."""
    window = min(card.window for card in catalog.agents)
    return max(SMALLEST_PART, int(window * WINDOW_SHARE * CHARACTERS_PER_TOKEN))


def labelled(question: str, context: Mapping[str, Content]) -> list[Part]:
    """Put labelled material in front of a question, where a provider's prompt cache finds it again."""
    return [*(Part.of(content, label=label) for label, content in context.items()), Part(text=question)]


async def read_document(agents: Agents, step: str, document: DocumentSource) -> list[Part]:
    """Turn a document into labelled parts that every agent of the run can read, as a step that people see.

    Raises a non-retryable ApplicationError of the kind that the extraction failed with.
    """
    await unpaused(agents.run.state)
    agents.run.state.add(StepRow(step=step, input=document.name[:200]))
    agents.run.state.begin(step)
    try:
        with agents.run.trace.spans.within(step):
            text = await run_activity(
                DocumentActivities.extract_text,
                ExtractRequest(document=document, part_characters=part_characters(agents.catalog)),
                **policies.extract_text(agents.run.state.heartbeat, f"extract {document.name}"),
            )
    except ActivityError as error:
        agents.run.state.end(step, StepState.FAILED, note=text_of(error))
        if is_cancelled_exception(error):
            raise
        raise non_retryable(kind_of(error), text_of(error)) from error
    agents.run.state.end(step, StepState.DONE, output=text.parts[0], note=f"{text.characters} characters")
    several = len(text.parts) > 1
    return [
        Part.of(part, label=f"{document.name}, part {number} of {len(text.parts)}" if several else document.name)
        for number, part in enumerate(text.parts, 1)
    ]


class Digest:
    """The reading of one long text by one agent, as one step of a run; `notes` say what happened on the way."""

    def __init__(self, agents: Agents, step: str, agent: str) -> None:
        self.notes: list[str] = []
        self._agents = agents
        self._step = step
        self._agent = agent

    async def of(self, parts: Sequence[Content]) -> Answer:
        """Analyse every part and combine the analyses; raises the error of the first part that failed."""
        names = {f"part {number} of {len(parts)}": part for number, part in enumerate(parts, 1)}
        outcomes = await each(
            names,
            lambda name: self._ask(f"Analyse {name} of a long document.", {name: names[name]}),
            max_parallel=MAX_PARALLEL_PARTS,
        )
        analyses: dict[str, Content] = {}
        for name in names:
            outcome = outcomes[name]
            if outcome.error is not None:
                raise outcome.error
            assert outcome.value is not None
            analyses[name] = outcome.value.content
        return await self._combined(analyses)

    async def _combined(self, analyses: dict[str, Content]) -> Answer:
        while True:
            groups = groups_of(analyses, part_characters(self._agents.catalog))
            answers = [await self._ask(COMBINE, group) for group in groups]
            if len(answers) == 1:
                return answers[0]
            analyses = {f"group {number}": answer.content for number, answer in enumerate(answers, 1)}

    async def _ask(self, question: str, context: Mapping[str, Content]) -> Answer:
        answer = await self._agents.ask_within(self._step, self._agent, labelled(question, context))
        self.notes += answer.notes
        return answer


def groups_of(contents: Mapping[str, Content], characters: int) -> list[dict[str, Content]]:
    """Pack contents in order into groups that fit, at least two to each but the last, so that every round makes fewer."""
    groups: list[dict[str, Content]] = [{}]
    for name, content in contents.items():
        size = sum(other.size for other in groups[-1].values())
        if len(groups[-1]) >= 2 and size + content.size > characters:
            groups.append({})
        groups[-1][name] = content
    return groups
