"""What an observability stack receives of every pattern: the whole tree of spans, the same whether runs are replayed or not.

`span_trees.txt` holds the trees, one section a run. One dev server, two sides at the same time; whatever one side sends twice,
loses, or hangs below another span than the other side is a difference in its text.
"""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import dev_server, wait_for
from tests.resilience.seeing import Side, scenarios, side

pytestmark = pytest.mark.xdist_group("spans")

TREES = dict(
    re.findall(r"^## (\S+)\n(.*?)\n(?=\n## |\Z)", Path(__file__).with_name("span_trees.txt").read_text(), re.M | re.S)
)
SHORT_HISTORY = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spans")


@pytest.fixture(scope="module")
def sides(place: Path) -> Iterator[tuple[Side, Side]]:
    with (
        dev_server(place, options=SHORT_HISTORY) as server,
        side(place / "kept", server, "kept") as kept,
        side(place / "replayed", server, "replayed", "--max-cached-workflows", "0") as replayed,
    ):
        yield kept, replayed


@pytest.mark.parametrize("name", TREES)
@pytest.mark.timeout(120)
def test_the_whole_tree_comes_once(name: str, sides: tuple[Side, Side], place: Path) -> None:
    scenario = scenarios(place)[name]
    with ThreadPoolExecutor(2) as pool:
        played = list(pool.map(lambda one: scenario.play(one, name), sides))
    for one, (run, result) in zip(sides, played, strict=True):
        shown = _settled(one, run, TREES[name])
        assert shown == TREES[name], f"{run}:\n{shown}"
        assert [span for span, times in Counter(span.span_id for span in one.otlp.spans).items() if times > 1] == []
        assert [span.name for span in one.otlp.spans if "Query" in span.name] == []
        assert _tokens_of_spans(one, run) == _tokens_of(result["spend"])
        _assert_messages_are_linked(one, run)


def _settled(one: Side, run: str, expected: str) -> str:
    """Wait until the tree is what it should be, or no more comes."""
    with suppress(AssertionError):
        wait_for(lambda: one.trees(run) == expected, "the tree", timeout=8)
    return one.trees(run)


def _tokens_of_spans(one: Side, run: str) -> Counter[str]:
    """What stands on the spans of the model client, which is the only place where tokens are GenAI usage."""
    found: Counter[str] = Counter()
    below = [
        span for root in one.otlp.named("*", temporalWorkflowID=run) if not root.parent for span in one.otlp.below(root)
    ]
    for span in below:
        used = {
            key.removeprefix("gen_ai.usage."): value for key, value in span.attributes.items() if "gen_ai.usage" in key
        }
        assert not used or span.name == "anthropic.messages.create", span
        # The convention's input tokens hold the cached ones; ours do not.
        cached = used.get("cache_read.input_tokens", 0) + used.get("cache_write.input_tokens", 0)
        found.update(input=used.get("input_tokens", 0) - cached, output=used.get("output_tokens", 0), cached=cached)
    return found


def _tokens_of(spent: dict[str, int]) -> Counter[str]:
    cached = spent["cache_read_tokens"] + spent["cache_write_tokens"]
    return Counter(input=spent["input_tokens"], output=spent["output_tokens"], cached=cached)


def _assert_messages_are_linked(one: Side, run: str) -> None:
    """From a message, which has a trace of its own, there is a way to the run, and back."""
    runs = one.otlp.named("RunWorkflow:*", temporalWorkflowID=run)
    messages = one.otlp.named("HandleUpdate:*", temporalWorkflowID=run)
    messages += one.otlp.named("HandleSignal:*", temporalWorkflowID=run)
    assert sorted(link for each in runs for link in each.links) == sorted(message.span_id for message in messages)
    assert {message.links for message in messages} <= {(each.span_id,) for each in runs}
