"""The baseline's one activity: a model call, by the stand-in in this process or by the Messages API over HTTP."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio import activity

from benchmarks.graphs import CallLog, Work, text_of

if TYPE_CHECKING:  # it takes more than a second to import, and the stand-in does without
    from anthropic import AsyncAnthropic


@dataclass
class StepInput:
    """The whole prompt of one step."""

    prompt: str


class BareSteps:
    """Calls the model; with no `client`, the stand-in answers and writes to `log`."""

    def __init__(self, log: CallLog, client: "AsyncAnthropic | None" = None) -> None:
        self._log = log
        self._client = client

    @activity.defn
    async def answer(self, work: StepInput) -> str:
        """Answer the prompt."""
        timeout = activity.info().heartbeat_timeout
        beats = asyncio.create_task(_beat(timeout.total_seconds() / 3)) if timeout else None
        try:
            return await (self._ask(work.prompt) if self._client else self._stand_in(work.prompt))
        finally:
            if beats:
                beats.cancel()

    async def _stand_in(self, prompt: str) -> str:
        work = Work.read(prompt)
        self._log.write("start", work.step)
        await asyncio.sleep(work.latency)
        answer = text_of(work.size)
        self._log.write("end", work.step)
        return answer

    async def _ask(self, prompt: str) -> str:
        assert self._client
        messages = self._client.messages
        asked = [{"role": "user", "content": prompt}]
        async with messages.stream(model="bench", max_tokens=8192, messages=asked) as stream:  # type: ignore[arg-type]
            return await stream.get_final_text()


async def _beat(interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        activity.heartbeat()
