"""The real model activity against a real HTTP server on the loopback."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import Message, ModelFailure, ModelRequest, ModelTurn, Part
from outlast.llm.activities import AgentActivities
from outlast.llm.base import LLM, ModelSpec, ModelTable
from outlast.llm.claude import ClaudeLLM, SdkClient, make_client
from outlast.llm.endpoint import Known
from outlast.storage.activities import ContentStore
from tests.doubles.wire import MODEL, Wire, serving

PRICES = {"input": 2.0, "output": 10.0, "cache_read": 0.2, "cache_write": 2.5}
TABLE = ModelTable(
    models={
        MODEL: ModelSpec(**PRICES, forced_tools=False),
        "warm-model": ModelSpec(temperature=True),
        "small-model": ModelSpec(hints=True),
        "long-model": ModelSpec(**PRICES, long_prompt=1000, long_factor=5.0),
    }
)

ENOUGH = timedelta(seconds=30)
"""Time for one call; the environment's own second is too short for a first call on a busy machine."""


def asking(text: str = "How are the tides?", **fields: Any) -> ModelRequest:
    """Build a request of one question."""
    question = Message(parts=(Part(text=text),))
    return ModelRequest.model_validate(
        {"agent": "a", "model": MODEL, "max_tokens": 50, "messages": (question,)} | fields
    )


@dataclass
class Caller:
    """Runs `call_model` the way a worker does."""

    llm: LLM
    agent: AgentActivities
    env: ActivityEnvironment

    async def call(self, request: ModelRequest | None = None) -> ModelTurn:
        """Make the call and return the turn."""
        return await self.env.run(self.agent.call_model, request or asking())

    async def fail(self, request: ModelRequest | None = None) -> tuple[ApplicationError, ModelFailure]:
        """Make a call that must fail; returns the error and what it says of the call."""
        with pytest.raises(ApplicationError) as caught:
            await self.call(request)
        details = caught.value.details[0]
        assert isinstance(details, ModelFailure)
        return caught.value, details

    def beat(self, seconds: float) -> None:
        """Give the activity a heartbeat time-out."""
        self.env.info = replace(self.env.info, heartbeat_timeout=timedelta(seconds=seconds))


def calling(client: SdkClient, store: ContentStore, known: Known | None = None) -> Caller:
    """Build a caller of one client."""
    llm, env = ClaudeLLM(client, known=known), ActivityEnvironment()
    env.info = replace(env.info, start_to_close_timeout=ENOUGH)
    return Caller(llm, AgentActivities(llm, store, TABLE), env)


def point_s3_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Set the environment that obstore reads, as a person would for a server of one's own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving() as server:
        yield server


@pytest.fixture
async def caller(wire: Wire, store: ContentStore) -> AsyncIterator[Caller]:
    async with make_client("test-key", wire.url, timeout=10) as client:
        yield calling(client, store)
