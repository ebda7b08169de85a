"""The page of a staged delivery: whole, failed in the middle, and failed before anything was done."""

from rich.console import Console

from cli.results.staged import ReadStage, StagedPage
from outlast.contracts import Content, RunState
from outlast.stages.contracts import StagedResult, StageOutput

FACTS = StageOutput(stage="facts", content=Content(text="{}"), data=Content(text="{}"), steps=2, notes=("a note",))
REVIEW = StageOutput(stage="review", content=Content(text="The end."), score=85, rounds=2)


def page(*outputs: StageOutput, failed: str = "") -> StagedPage:
    state = RunState.FAILED if failed else RunState.COMPLETED
    result = StagedResult(state=state, stages=outputs, report=Content(), failed=failed)
    return StagedPage("run-1", result, tuple(ReadStage(one, one.content.text or "", None) for one in outputs))


def shown(page: StagedPage) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        for line in page.lines():
            console.print(line)
    return captured.get()


def test_a_whole_run_shows_its_last_output_and_every_stage() -> None:
    whole = page(FACTS, REVIEW)
    assert shown(whole).startswith("The end.\n")
    assert "note: facts: a note" in shown(whole)
    assert "--resume" not in shown(whole)
    assert whole.headline == "facts: 2 steps, review: 85 of 100 · The end."


def test_a_failed_run_shows_how_to_go_on_and_no_output_as_if_it_were_the_last() -> None:
    failed = page(FACTS, failed="draft")
    assert shown(failed).startswith("stage")
    assert "stage 'draft' failed; go on from there: python starter.py staged --resume run-1" in shown(failed)
    assert failed.headline.startswith("facts: 2 steps, draft: failed · ")


def test_a_run_that_failed_at_once_has_a_page_too() -> None:
    assert page(failed="facts").headline == "facts: failed · "
    assert page(failed="facts").data()["stages"] == []
