"""Works on a text that is longer than a model's window: part by part, then the parts' results are combined into one.

Combining goes in rounds, each of groups that fit the window, until one result is left. The trap: a group of one makes a round
that gets nowhere, so a group takes two even where they do not fit; what is too long is then cut, and the notes say so.
"""

from collections.abc import Mapping, Sequence

from activities.contracts import Catalog, Content, Part
from workflows.patterns.ask import CHARACTERS_PER_TOKEN
from workflows.patterns.calling import Answer
from workflows.patterns.crew import Crew
from workflows.patterns.gathering import each

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


class Digest:
    """The reading of one long text by one agent, as one step of a run; `notes` say what happened on the way."""

    def __init__(self, crew: Crew, step: str, agent: str) -> None:
        self.notes: list[str] = []
        self._crew = crew
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
            groups = groups_of(analyses, part_characters(self._crew.catalog))
            answers = [await self._ask(COMBINE, group) for group in groups]
            if len(answers) == 1:
                return answers[0]
            analyses = {f"group {number}": answer.content for number, answer in enumerate(answers, 1)}

    async def _ask(self, question: str, context: Mapping[str, Content]) -> Answer:
        answer = await self._crew.ask(self._step, self._agent, labelled(question, context))
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
