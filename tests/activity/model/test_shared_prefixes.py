"""Agents that are given the same material at the same time: one call writes the provider's cache, the others read it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings
from outlast.consensus.verdicts import verdict_schema
from outlast.consensus.votes import ConsensusKind, ConsensusRequest, ConsensusResult, Voter, VoteState
from outlast.contracts import (
    SMALL_MODEL_HINT,
    Message,
    ModelRequest,
    Part,
)
from outlast.llm.base import ModelCall, Progress
from outlast.llm.claude import ClaudeLLM, make_client
from outlast.llm.claude_request import SHARED_SYSTEM, parameters_of, shared_prefix
from outlast.llm.prompting import schema_for
from outlast.llm.shared_prefixes import SharedPrefixes
from outlast.storage.activities import ContentStore
from tests.activity.conftest import Caller, asking, calling
from tests.doubles.prompt_cache import PromptCache
from tests.doubles.wire import MODEL, Hit, Reply, Wire, answer, error, message_start, serving
from worker import working
from workflows.consensus_analysis import ConsensusAnalysisWorkflow

MATERIAL = "The tenant shall pay rent on the first day of each month. " * 200
TIME_TO_FIRST = 0.15
"""Seconds until an answer begins; calls that are sent meanwhile cannot read what it writes."""


class Caching(Wire):
    """Answers after a while, and says what its cache gave; `said` is the text of an answer, `failing` how many fail first."""

    cache: PromptCache
    said: str = "Yes."
    failing: int = 0

    def choose(self, hit: Hit) -> Reply:
        self.failing -= 1
        if self.failing >= 0:
            return error(529, "overloaded_error")
        usage = self.cache.usage(hit.body)
        self.told.append(usage)
        reply, begins = answer(self.said), asyncio.Event()

        def begin() -> None:
            self.cache.begun(hit.body)
            begins.set()

        asyncio.get_running_loop().call_later(TIME_TO_FIRST, begin)
        start = message_start(hit.body["model"], **usage)
        return Reply(events=[begins, start, *reply.events[1:]])

    @property
    def told(self) -> list[dict[str, int]]:
        return self.__dict__.setdefault("usages", [])  # type: ignore[no-any-return]

    @property
    def tiers(self) -> tuple[int, int]:
        """How many requests read the cache, and how many wrote it."""
        reading = sum(usage["cache_read_input_tokens"] > 0 for usage in self.told)
        return reading, sum(usage["cache_creation_input_tokens"] > 0 for usage in self.told)


@pytest.fixture
async def provider() -> AsyncIterator[Caching]:
    async with serving(Caching) as wire:
        assert isinstance(wire, Caching)
        wire.cache = PromptCache()
        yield wire


@pytest.fixture
async def voter(provider: Caching, store: ContentStore) -> AsyncIterator[Caller]:
    async with make_client("key", provider.url, timeout=10) as client:
        yield calling(client, store)


def vote(angle: str, *, shared: int = 1, material: str = MATERIAL, **fields: Any) -> ModelRequest:
    parts = (Part(text=material, label="lease"), Part(text=f"Choose. {angle}"), Part(text="Does it bind?"))
    return asking(
        messages=(Message(parts=parts),), system=Part(text=f"You are {angle}."), shared_parts=shared, **fields
    )


async def test_one_writes_and_the_others_read(provider: Caching, voter: Caller) -> None:
    """With system prompts of their own, sent at once: what comes before the question is the same, byte by byte."""
    async with asyncio.timeout(10):
        turns = await asyncio.gather(*(voter.call(vote(angle)) for angle in ("bold", "shy", "exact", "late", "odd")))
    assert provider.tiers == (4, 1)
    assert len({json.dumps([hit.body["system"], hit.body["messages"][0]["content"][0]]) for hit in provider.hits}) == 1
    assert sum(turn.usage.cache_read_tokens for turn in turns) > 4 * len(MATERIAL) // 4
    await voter.call(vote("last"))
    assert provider.tiers == (5, 1)


async def test_what_differs_comes_behind_the_material(provider: Caching, voter: Caller) -> None:
    await voter.call(vote("bold"))
    body = provider.hits[0].body
    material, task = body["messages"][0]["content"]
    assert body["system"] == [{"type": "text", "text": SHARED_SYSTEM}]
    assert (material["text"][:20], material["cache_control"]) == ('<part label="lease">', {"type": "ephemeral"})
    assert material["text"].endswith("</part>")
    assert task == {"type": "text", "text": "<role>\nYou are bold.\n</role>\n\nChoose. bold\n\nDoes it bind?"}


@pytest.mark.parametrize(
    "request_",
    [
        vote("bold", shared=0),
        vote("bold", material="Short."),
        vote("bold", model="warm-model"),
    ],
    ids=["not shared", "too short for the cache", "a model without a cache"],
)
async def test_else_a_call_is_as_it_was(provider: Caching, voter: Caller, request_: ModelRequest) -> None:
    await voter.call(request_)
    body = provider.hits[0].body
    assert body["system"] == [{"type": "text", "text": "You are bold.", "cache_control": {"type": "ephemeral"}}]
    assert isinstance(body["messages"][0]["content"], str)
    assert provider.tiers == (0, 0)


async def test_where_the_first_fails_another_writes(provider: Caching, voter: Caller) -> None:
    provider.failing = 1
    async with asyncio.timeout(10):
        ended = await asyncio.gather(
            *(voter.call(vote(angle)) for angle in ("bold", "shy", "exact")), return_exceptions=True
        )
    assert sum(isinstance(each, Exception) for each in ended) == 1
    assert provider.tiers == (1, 1)


async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.llm.shared_prefixes.PATIENCE", 0.05)
    prefixes = SharedPrefixes()
    async with asyncio.timeout(5), prefixes.turn("a"), prefixes.turn("a") as begun, prefixes.turn("b"):
        begun()
    async with prefixes.turn("a"), prefixes.turn("a"), prefixes.turn(""), prefixes.turn(""):
        pass


def test_the_schemas_of_voters_with_other_angles_are_the_same_to_the_cache() -> None:
    """The angle stands in a hint for small models, which Claude is not sent: it would begin every prompt otherwise."""
    calls = [
        ModelCall(
            MODEL, (("user", f"{MATERIAL} {angle}"),), 50,
            output_schema=schema_for(verdict_schema("Why?", angle, ("yes", "no")), hints=False),
            shared=shared, system=angle,
        )
        for angle, shared in (("bold", len(MATERIAL)), ("shy", len(MATERIAL)), ("bold", 0))
    ]  # fmt: skip
    bold, shy, alone = ((call, parameters_of(call)) for call in calls)
    assert shared_prefix(*bold) == shared_prefix(*shy) != ""
    assert shared_prefix(*alone) == ""
    assert "Why?" not in json.dumps(alone[1]["output_config"])
    hinted = schema_for(verdict_schema("Why?", "bold", ("yes", "no")), hints=True)
    assert hinted is not None
    assert hinted["properties"]["verdict"]["description"] == "The option you choose. Cue: Why? bold The answer is:"
    assert SMALL_MODEL_HINT not in json.dumps(hinted)


@pytest.mark.parametrize("kind", [ConsensusKind.VOTE, ConsensusKind.FINDINGS])
async def test_the_voters_of_a_run_share_what_they_read(
    env: WorkflowEnvironment, provider: Caching, tmp_path: Path, kind: ConsensusKind
) -> None:
    verdict = {"evidence": ["shall pay rent"], "reasons": "It says so.", "verdict": "yes", "confidence": 0.9}
    findings = {"findings": [], "answer": "It binds."}
    provider.said = json.dumps(verdict if kind is ConsensusKind.VOTE else findings)
    voters = tuple(Voter(agent=agent) for agent in ("analyst", "sceptic", "legal-analyst", "financial-analyst"))
    request = ConsensusRequest(
        question="Does it bind the tenant?", material=Part(text=MATERIAL, label="lease"), voters=voters, kind=kind,
        rule={"kind": "unanimous"},
    )  # fmt: skip
    settings = Settings(state_dir=tmp_path, anthropic_base_url=provider.url, shutdown_grace=1, _env_file=None)
    async with make_client(None, provider.url, 10) as client, working(env.client, settings, ClaudeLLM(client)):
        handle = await env.client.start_workflow(
            ConsensusAnalysisWorkflow.run, request, id=f"test-{uuid4().hex[:8]}", task_queue=settings.task_queue
        )
        result: ConsensusResult = await handle.result()
    assert {vote.state for vote in result.votes} == {VoteState.CAST}
    assert provider.tiers == (3, 1)
    assert result.spend.cache_read_tokens > 3 * len(MATERIAL) // 4


async def test_progress_is_told_while_others_wait(provider: Caching) -> None:
    """A call that waits for its turn has cost nothing."""
    async with make_client("key", provider.url, timeout=10) as client:
        llm, call = ClaudeLLM(client), ModelCall(MODEL, (("user", MATERIAL),), 50, shared=len(MATERIAL))
        first, second = Progress(), Progress()
        async with asyncio.TaskGroup() as calls:
            calls.create_task(llm.answer(call, first))
            calls.create_task(llm.answer(call, second))
            await asyncio.sleep(TIME_TO_FIRST / 3)
            assert (len(provider.hits), second.paid().tokens) == (1, 0)
    assert (len(provider.hits), first.text, second.text) == (2, "Yes.", "Yes.")
