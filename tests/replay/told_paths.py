"""The paths of runs whose people are told: a worker with two channels, one of which takes no notice, one
with a webhook, and one with Slack."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from outlast.contracts import PlanRequest
from outlast.llm.scripted import ScriptedLLM
from tests.doubles.slack import CHANNEL, TOKEN, slack_double
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.people.test_gated_actions import confirmed
from tests.workflow.telling.telling import hooks
from tests.workflow.undo.rolling_back import PLAN

FOR_EVER = 1_000


@dataclass(frozen=True)
class ToldPath(Path):
    """A path whose worker knows two channels."""

    @asynccontextmanager
    async def worker(self, runner: Runner) -> AsyncIterator[ScriptedLLM]:
        with hooks({"/dead": FOR_EVER}) as (_, hook):
            told = {"notify_urls": SecretStr(f"{hook}/taken {hook}/dead")}
            ours = Runner(runner.env, runner.settings.model_copy(update=told), runner.store)
            async with super().worker(ours) as llm:
                yield llm


@dataclass(frozen=True)
class ReportingPath(Path):
    """A path whose worker knows one address of webhooks."""

    @asynccontextmanager
    async def worker(self, runner: Runner) -> AsyncIterator[ScriptedLLM]:
        with hooks({}) as (_, hook):
            url = hook.replace("json://", "http://")
            told = {"webhook_urls": (f"{url}/hook",), "webhook_secret": SecretStr("s" * 32), "webhook_private": True}
            ours = Runner(runner.env, runner.settings.model_copy(update=told), runner.store)
            async with super().worker(ours) as llm:
                yield llm


@dataclass(frozen=True)
class SlackPath(Path):
    """A path whose worker posts to Slack."""

    @asynccontextmanager
    async def worker(self, runner: Runner) -> AsyncIterator[ScriptedLLM]:
        with slack_double() as slack:
            told = {"slack_bot_token": SecretStr(TOKEN), "slack_channel": CHANNEL, "slack_api_url": slack.url}
            ours = Runner(runner.env, runner.settings.model_copy(update=told), runner.store)
            async with super().worker(ours) as llm:
                yield llm


def in_slack() -> Path:
    async def request(runner: Runner) -> PlanRequest:
        return confirmed()

    return SlackPath(PLAN, request, lambda: lambda _: "said", decisions=(("approve", {"by": "ann"}),))


def reported() -> Path:
    async def request(runner: Runner) -> PlanRequest:
        return confirmed().model_copy(update={"webhooks": ("http://127.0.0.1:9/own",)})

    return ReportingPath(PLAN, request, lambda: lambda _: "said", decisions=(("approve", {"by": "ann"}),))


def told(*decisions: tuple[str, dict[str, str]]) -> Path:
    async def request(runner: Runner) -> PlanRequest:
        return confirmed()

    return ToldPath(PLAN, request, lambda: lambda _: "said", decisions=decisions)


TOLD_PATHS: dict[str, Path] = {
    "shown-in-slack": in_slack(),
    "told-by-two-approved": told(("approve", {"by": "ann"})),
    "told-by-two-timed-out": told(),
    "webhooks-of-a-gate-and-the-end": reported(),
}
