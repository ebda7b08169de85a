"""The web, searched by a model that can: without a search service, and only where its provider searches."""

from pathlib import Path

from activities.search.contracts import SourceKind
from outlast.contracts import RunState
from tests.workflow.choosing.researching import cannot_search, citing, searching_itself
from tests.workflow.conftest import Runner
from workflows.contracts.research import ResearchRequest, SourcePlan
from workflows.parallel_research import ParallelResearchWorkflow

REQUEST = ResearchRequest(topic="How efficient are heat pumps?", sources=(SourcePlan(source=SourceKind.WEB),))
RUN = ParallelResearchWorkflow.run


def with_claude(runner: Runner) -> Runner:
    """Give the runner the models of an endpoint that searches; the scripted model answers all the same."""
    settings = runner.settings.model_copy(update={"anthropic_base_url": "http://unused.invalid"})
    return Runner(runner.env, settings, runner.store)


async def test_a_model_that_can_search_stands_in_for_a_search_service(runner: Runner) -> None:
    ours = with_claude(runner)
    async with ours.worker(searching_itself, {SourceKind.WEB: cannot_search()}) as llm:
        handle = await ours.start(RUN, REQUEST)
        result = await handle.result()
    assert result.state is RunState.COMPLETED
    # What the model cited comes first, what it only saw after that; a date that is none is left out.
    assert [(found.id, found.title, found.published) for found in result.cited] == [
        ("W1", "Cited", "2026-02-03"),
        ("W2", "Seen", ""),
    ]
    assert [call.web_searches > 0 for call in llm.calls] == [True, False, False]
    assert result.spend.calls == 3


async def test_a_model_that_cannot_search_leaves_a_gap_that_names_the_setting(runner: Runner, tmp_path: Path) -> None:
    request = REQUEST.model_copy(update={"sources": (*REQUEST.sources, SourcePlan(source=SourceKind.LOCAL))})
    settings = runner.settings.model_copy(update={"library_dir": tmp_path / "library"})
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "pumps.md").write_text("# Heat pumps\n\nHeat pumps are efficient in mild winters.")
    ours = Runner(runner.env, settings, runner.store)
    async with ours.worker(citing) as llm:
        handle = await ours.start(RUN, request)
        result = await handle.result()
    assert "SEARXNG_URL" in result.sources[0].gap
    assert result.sources[1].findings == 1
    assert not any(call.web_searches for call in llm.calls)
