"""The recorded answers of the showcase: small, quick, streamed as the API does, and never made up."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import pytest

from cli.demo import recorded_api
from cli.demo.recorded_api import ANSWERS, PACE, PIECE, answers, build_app
from cli.demo.tour_stops import LAUNCH


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[anthropic.AsyncAnthropic]:
    monkeypatch.setattr(recorded_api, "PACE", 0)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=build_app()))
    async with anthropic.AsyncAnthropic(
        base_url="http://recorded", api_key="x", max_retries=0, http_client=http
    ) as sdk:
        yield sdk


def asked(system: str, user: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 99, "system": system, "messages": [{"role": "user", "content": user}], **more}


def test_they_are_small_and_take_less_than_a_minute_even_one_after_the_other() -> None:
    assert ANSWERS.stat().st_size < 200_000
    written = sum(len(each.text) + len(str(each.data or each.input)) for each in answers())
    assert sum(each.seconds for each in answers()) + written / PIECE * PACE < 60


async def test_a_call_that_nothing_is_recorded_for_is_refused(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="no answer is recorded for this call: …Say something new"):
        await client.messages.create(**asked("You plan work for a team.", "Say something new"))


async def test_a_recorded_answer_is_the_same_streamed_and_whole(client: anthropic.AsyncAnthropic) -> None:
    call = asked("You plan work for a team.", f"Task:\n{LAUNCH}")
    whole = await client.messages.create(**call)
    async with client.messages.stream(**call) as stream:
        streamed = await stream.get_final_message()

    assert (whole.stop_reason, streamed.stop_reason) == ("end_turn", "end_turn")
    assert whole.usage.output_tokens > 100
    first, block = whole.content[0], streamed.content[0]
    assert first.type == block.type == "text"
    assert first.text == block.text
    assert '"confirm": true' in block.text, "the last step waits for a person"
