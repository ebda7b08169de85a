"""The real model activity against a real HTTP server on the loopback."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.agent import AgentActivities
from activities.content import ContentStore
from activities.contracts import Message, ModelFailure, ModelRequest, ModelTurn, Part
from activities.llm.base import ModelSpec, ModelTable
from activities.llm.claude import ClaudeLLM, make_client
from tests.doubles.wire import MODEL, Wire, serving

PRICES = {"input": 2.0, "output": 10.0, "cache_read": 0.2, "cache_write": 2.5}
TABLE = ModelTable(
    models={
        MODEL: ModelSpec(**PRICES, forced_tools=False),
        "warm-model": ModelSpec(temperature=True),
        "long-model": ModelSpec(**PRICES, long_prompt=1000, long_factor=5.0),
    }
)


def asking(text: str = "How are the tides?", **fields: Any) -> ModelRequest:
    """Build a request of one question."""
    question = Message(parts=(Part(text=text),))
    return ModelRequest.model_validate(
        {"agent": "a", "model": MODEL, "max_tokens": 50, "messages": (question,)} | fields
    )


@dataclass
class Caller:
    """Runs `call_model` the way a worker does."""

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


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving() as server:
        yield server


@pytest.fixture
async def caller(wire: Wire, store: ContentStore) -> AsyncIterator[Caller]:
    async with make_client("test-key", wire.url, timeout=10) as client:
        yield Caller(AgentActivities(ClaudeLLM(client), store, TABLE), ActivityEnvironment())
