"""Research goes on where its writer names what is missing: bounded, and never at the price of the answer."""

import pytest

from activities.search.contracts import SourceKind
from activities.search.sources.base import Answered
from outlast.contracts import RunReport, RunState
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall
from tests.workflow.choosing.researching import Given, citing, hit, is_synthesis, missing, said
from tests.workflow.choosing.test_parallel_research import ACADEMIC, NEWS, WEB, all_three, dead, research
from tests.workflow.conftest import Runner


async def test_what_the_writer_misses_is_searched_once_where_something_was_found(runner: Runner) -> None:
    given = all_three(news=dead())
    result, calls = await research(runner, given, missing)
    assert [(one.source, one.round, one.query) for one in result.sources] == [
        (WEB, 1, ""),
        (ACADEMIC, 1, ""),
        (NEWS, 1, ""),
        (WEB, 2, "heat pump sales"),
        (ACADEMIC, 2, "heat pump sales"),
    ]
    web, news = given[SourceKind.WEB], given[SourceKind.NEWS]
    assert isinstance(web, Given)
    assert isinstance(news, Given)
    assert (web.asked[1:], len(news.asked)) == (["heat pump sales"], 1)
    assert [finding.id for finding in result.cited] == ["W1", "A1", "W2", "A2"]
    last = [call for call in calls if is_synthesis(call)][-1]
    assert 'label="notes: web, round 2"' in said(last)
    assert "MISSING:" not in said(last), "the last round does not ask for another one"
    assert "MISSING" not in await runner.text(result.answer)
    assert "round 2 searched for what was missing: heat pump sales" in result.notes
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert [row.step for row in report.steps][-5:] == [
        *("web · search 2", "web · read 2", "academic · search 2", "academic · read 2"),
        "synthesise 2",
    ]
    assert result.state is RunState.PARTIAL, "the news are still a gap"


@pytest.mark.parametrize(("more_rounds", "searches"), [(0, 1), (2, 3)])
async def test_rounds_are_bounded_by_the_request(runner: Runner, more_rounds: int, searches: int) -> None:
    given = all_three()
    await research(runner, given, missing, more_rounds=more_rounds)
    web = given[SourceKind.WEB]
    assert isinstance(web, Given)
    assert len(web.asked) == searches


async def test_a_round_that_finds_nothing_or_fails_leaves_the_answer_as_it_was(runner: Runner) -> None:
    class Once(Given):
        async def search(self, query: str, limit: int) -> Answered:
            return Answered() if query == "heat pump sales" else await super().search(query, limit)

    def failing_later(call: ModelCall) -> str:
        if (is_synthesis(call) or "What do these notes" in said(call)) and "MISSING:" not in said(call):
            raise non_retryable(ErrorKind.MODEL_NOT_FOUND, "no such model")
        return missing(call)

    nothing, _ = await research(runner, {**all_three(), WEB: Once((hit("Web page"),))}, missing)
    assert next((one.source, one.gap) for one in nothing.sources if one.round == 2) == (WEB, "nothing found")
    assert (await runner.text(nothing.answer)).startswith("Answer: W1 matters [1]")
    assert nothing.state is RunState.COMPLETED

    failed, _ = await research(runner, all_three(), failing_later)
    assert (await runner.text(failed.answer)).startswith("Answer: W1 matters [1]")
    assert any("round 2 failed, so the answer before it stands" in note for note in failed.notes)


async def test_an_answer_that_misses_nothing_is_not_searched_again(runner: Runner) -> None:
    result, calls = await research(runner, all_three(), citing)
    assert {one.round for one in result.sources} == {1}
    assert "begins with MISSING:" in said(next(call for call in calls if is_synthesis(call)))
