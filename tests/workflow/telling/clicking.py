"""People at Slack: the double of its API, the server that it sends clicks to, and the workers of the runs that they are about."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from outlast.approvals.identity_activities import GateTermsActivities
from outlast.cli.reaching import Reach
from outlast.client import Settings
from outlast.notices.slack.api import SlackApi
from outlast.notices.slack.slack_activities import SlackActivities
from outlast.server.app import Server
from tests.doubles.slack import CHANNEL, SIGNING_SECRET, TOKEN, Slack, form, signed
from tests.policed import policed
from tests.workflow.conftest import Runner
from tests.workflow.people.gating import GatedWorkflow, Job, Paid, pay
from tests.workflow.telling.asking import Asked, Asking, AskingWorkflow

ADA, BOB, CYD, EVE = "U0ADA0000", "U0BOB0000", "U0CYD0000", "U0EVE0000"


@dataclass
class Desk:
    """People at Slack: the double, the HTTP API that it sends clicks to, and the workers of runs."""

    slack: Slack
    client: Client
    settings: Settings
    http: httpx2.AsyncClient
    queue: str

    async def click(self, member: str, contains: str, button: str) -> httpx2.Response:
        return await self.send(self.slack.clicked(member, contains, button))

    async def send(self, payload: dict[str, Any]) -> httpx2.Response:
        body = form(payload)
        began = time.monotonic()
        answer = await self.http.post("/slack/actions", content=body, headers=signed(body))
        assert time.monotonic() - began < 30
        return answer

    @property
    def told(self) -> list[tuple[str, str]]:
        """Who was told what, by themselves."""
        return [(one["user"], one["text"]) for one in self.slack.asked("chat.postEphemeral")]

    async def until(self, holds: Callable[[], Any]) -> Any:
        async with asyncio.timeout(20):
            while True:
                if found := holds():
                    return found
                await asyncio.sleep(0.03)

    async def until_true(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while True:
                if await holds():
                    return
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def gated(self, secret: str = "", channel: str = CHANNEL, token: str = TOKEN) -> AsyncIterator[None]:
        terms = GateTermsActivities(secret, slack=True)
        api = SlackApi(token, self.slack.url)
        posts = SlackActivities(api, channel, self.settings.slack_names, inbox_url="https://inbox.example")
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[GatedWorkflow, AskingWorkflow],
            activities=[pay, terms.gate_terms, terms.check_identity, posts.post_to_slack],
            workflow_runner=policed(),
            max_cached_workflows=0,  # no task waits for the worker that had the run before
        ):
            yield

    async def start(self, job: Job | Asking) -> WorkflowHandle[Any, Any]:
        name, gives = ("GatedWorkflow", Paid) if isinstance(job, Job) else ("AskingWorkflow", Asked)
        run = f"slack-{uuid4().hex[:8]}"
        return await self.client.start_workflow(name, job, id=run, task_queue=self.queue, result_type=gives)


def in_slack(settings: Settings, slack: Slack, **more: Any) -> Settings:
    return settings.model_copy(
        update={
            "slack_bot_token": SecretStr(TOKEN),
            "slack_channel": CHANNEL,
            "slack_signing_secret": SecretStr(SIGNING_SECRET),
            "slack_users": (f"{ADA}:ada", f"{BOB}:bob", f"{CYD}:cyd"),
            "slack_api_url": slack.url,
        }
        | more
    )


@asynccontextmanager
async def desk_of(runner: Runner, slack: Slack, **more: Any) -> AsyncIterator[Desk]:
    settings = in_slack(runner.settings, slack, **more)
    server = Server(Reach(settings, runner.env.client), ["api.example"])
    transport = httpx2.ASGITransport(server.app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.example", timeout=60) as http:
        yield Desk(slack, runner.env.client, settings, http, settings.task_queue)
    await server.aclose()


def outcomes(slack: Slack) -> list[str]:
    texts = [json.dumps(each.get("blocks"), ensure_ascii=False) for each in slack.messages.values()]
    return [text for text in texts if "Outcome" in text]
