"""What a run came to, in full, as the report begins with it. Pure: a result's page in, titles and texts out."""

from collections.abc import Iterable

from cli.recorded.suspicions import CUT_NOTE
from cli.results import Page
from cli.results.consensus import AgreementPage, ConsensusPage
from cli.results.documents import DocumentPage
from cli.results.plans import PlanPage
from cli.results.requests import RequestPage
from cli.results.research import ResearchPage
from cli.results.sessions import SessionPage
from cli.results.staged import StagedPage

LONGEST = 12_000
"""Characters of one answer that are shown; `starter.py result` shows all of it."""


def answers_of(page: Page) -> tuple[tuple[str, str], ...]:
    """Return the answers of a result by title, without empty ones."""
    match page:
        case PlanPage():
            notes = {row.step: (row.note,) for row in page.report.steps}
            found = [(f"step {step}{_cut(notes.get(step, ()))}", text) for step, text in page.answers.items()]
        case DocumentPage():
            found = [
                (f"{one.outcome.name} · {one.outcome.type or 'failed'}{_cut(one.outcome.notes)}", one.summary)
                for one in page.documents
            ]
        case AgreementPage():
            agreed = [f"agreed: {point.positions[0].position}" for point in page.agreement.agreed]
            found = [("", "\n".join([page.headline, *agreed]))]
        case ConsensusPage():
            cast = [
                f"{vote.voter}: {vote.verdict or vote.state}. {page.reasons(vote) or vote.error}"
                for vote in page.result.votes
            ]
            found = [("", "\n".join([page.headline, "", *cast]))]
        case SessionPage():
            found = [("", page.answer)]
        case ResearchPage():
            found = [(_cut(page.result.notes), page.answer)]
        case RequestPage():
            found = [(one.outcome.name, "\n\n".join(answer.said for answer in one.answers)) for one in page.requests]
        case StagedPage():
            found = [(f"{one.output.stage}{_cut(one.output.notes)}", one.text) for one in page.stages[-1:]]
        case _:
            found = [("", page.headline)]
    return tuple((title, _bounded(text)) for title, text in found if text.strip())


def _cut(notes: Iterable[str]) -> str:
    """Mark an answer that ends where its token limit was: it is a part of one."""
    return " · cut off at its token limit" if any(CUT_NOTE in note for note in notes) else ""


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … (the rest: python starter.py result)"
