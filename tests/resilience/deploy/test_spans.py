"""What an observability stack receives of every pattern: the whole tree of spans, the same whether runs are replayed or not.

`span_trees.txt` holds the trees, one section a run. One dev server, two sides at the same time; whatever one side sends twice,
loses, or hangs below another span than the other side is a difference in its text.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from outlast.client import data_converter
from outlast.contracts import CallTrace, RunStatus, Trace
from tests.doubles.otlp import Received
from tests.processes import dev_server, wait_for
from tests.resilience.deploy.seeing import Side, scenarios, side

pytestmark = pytest.mark.xdist_group("spans")

TREES = dict(
    re.findall(r"^## (\S+)\n(.*?)\n(?=\n## |\Z)", Path(__file__).with_name("span_trees.txt").read_text(), re.M | re.S)
)
ALWAYS_REPLAYED = ("--max-cached-workflows", "0")
CAPTURED = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
SHORT_HISTORY = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spans")


@pytest.fixture(scope="module")
def sides(place: Path) -> Iterator[tuple[Side, Side]]:
    with (
        dev_server(place, options=SHORT_HISTORY) as server,
        side(place / "kept", server, "kept", LOG_LEVEL="INFO") as kept,
        side(place / "replayed", server, "replayed", *ALWAYS_REPLAYED, LOG_LEVEL="INFO", **CAPTURED) as replayed,
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
        assert shown == TREES[name], f"{run}:\n{shown}\n{one.run('trace', run)}"
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


@pytest.mark.timeout(120)
async def test_query_json_lines_spans_and_log_tell_the_same(sides: tuple[Side, Side], place: Path) -> None:
    scenario = scenarios(place)["plan"]
    with ThreadPoolExecutor(2) as pool:
        played = list(pool.map(lambda one: scenario.play(one, "told")[0], sides))
    for one, run in zip(sides, played, strict=True):
        (whole,) = wait_for(partial(one.otlp.named, "RunWorkflow:*", temporalWorkflowID=run), "the end")
        spans = [span for span in one.otlp.spans if span.trace_id == whole.trace_id]
        client = await Client.connect(one.server.address, data_converter=data_converter(512 * 1024))
        handle = client.get_workflow_handle(run)
        calls = (await handle.query("trace", result_type=Trace)).calls
        rows = (await handle.query("status", result_type=RunStatus)).steps

        written = [json.loads(line) for line in one.run("trace", run, "--jsonl", "-").splitlines()]
        assert [CallTrace.model_validate(line) for line in written] == list(calls)
        assert len(calls) == 6
        told = [span for span in spans if "agent.success" in span.attributes]
        assert Counter(map(_of_span, told)) == Counter(map(_of_call, calls))
        steps = {span.attributes["agent.step"]: span for span in spans if "agent.step.state" in span.attributes}
        assert {step: span.attributes["agent.step.state"] for step, span in steps.items()} == dict.fromkeys(
            "123", "done"
        )
        for row in rows:
            assert row.started
            assert row.ended
            assert steps[row.step].start == pytest.approx(row.started.timestamp(), abs=1e-5)
            assert steps[row.step].end == pytest.approx(row.ended.timestamp(), abs=1e-5)
        captured = {span.attributes["agent.output"] for span in spans if "agent.output" in span.attributes}
        assert captured == ({call.output for call in calls} if one is sides[1] else set()), "only where switched on"

        lines = [json.loads(line) for line in one.worker.output.splitlines() if line.startswith("{")]
        ours = [line for line in lines if line["logger"] == "temporalio.workflow" and line["workflow_id"] == run]
        ended = [f"step {step} is done" for step in "123"]
        assert sorted(line["message"] for line in ours) == sorted(
            [*ended, "writer failed, so generalist is asked", "the run is completed"]
        )
        assert {line["trace_id"] for line in ours} == {whole.trace_id}
        assert {line.get("step") for line in ours} == {"1", "2", "3", None}
        assert {line["run_id"] for line in ours} == {whole.attributes["temporalRunID"]}


def _of_call(call: CallTrace) -> tuple[Any, ...]:
    spent = call.spend
    tokens = (spent.input_tokens, spent.output_tokens, spent.cache_read_tokens, spent.cache_write_tokens)
    about = (call.step, call.agent, call.model, call.success, call.attempt, call.ms, call.request_id, call.error)
    return (*about, len(call.input), len(call.output), tokens, spent.usd, round(call.started.timestamp(), 3))


def _of_span(span: Received) -> tuple[Any, ...]:
    said = span.attributes.get
    tokens = tuple(said(f"agent.tokens.{tier}") for tier in ("input", "output", "cache_read", "cache_write"))
    names = ("agent.step", "gen_ai.agent.name", "gen_ai.request.model", "agent.success", "agent.attempt", "agent.ms")
    about = (*map(said, names), said("agent.request_id"), span.error)
    assert said("agent.ms") == pytest.approx((span.end - span.start) * 1000, abs=1)
    lengths = (said("agent.input.length"), said("agent.output.length"))
    return (*about, *lengths, tokens, said("agent.cost.usd"), round(span.start, 3))
