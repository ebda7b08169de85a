"""Failures, each with the status and body of Anthropic's API and as the SDK's typed exception."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from pytest_httpserver import HTTPServer

from outlast.devstack.local_model.app import create_app
from outlast.devstack.local_model.engine import Engine
from tests.local_model.local_model_process import LocalModel

pytestmark = pytest.mark.xdist_group("local_model")

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
GOOD: Any = {"model": "m", "max_tokens": 5, "messages": HELLO}


async def post(url: str, content: str, path: str = "/v1/messages", method: str = "POST") -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        return await http.request(method, url + path, content=content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "model: "),
        ({"max_tokens": None}, "max_tokens: "),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"messages": None}, "messages: "),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.type: "),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0: text.text: Field required",
        ),
        ({"temperature": 1.5}, "temperature: "),
        ({"tool_choice": {"type": "any"}}, "tool_choice: type 'any' needs tools"),
        ({"tools": [{"name": "a"}], "tool_choice": {"type": "tool", "name": "b"}}, "Tool 'b' not found"),
        ({"tools": [{"name": "a", "input_schema": {"type": 7}}], "tool_choice": {"type": "any"}}, "schema of 'a'"),
    ],
)
async def test_wrong_request_names_the_field(url: str, changes: dict[str, Any], message: str) -> None:
    body = {name: value for name, value in (GOOD | changes).items() if value is not None}
    response = await post(url, json.dumps(body))
    assert response.status_code == 400
    found = response.json()
    assert found["type"] == "error"
    assert found["error"]["type"] == "invalid_request_error"
    assert message in found["error"]["message"]
    assert found["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize("content", ["{broken", "", "[1]", "\x00", "[" * 100_000])
async def test_body_that_is_no_json_object_is_a_400(url: str, content: str) -> None:
    response = await post(url, content)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_unknown_path_and_wrong_method(url: str) -> None:
    unknown = await post(url, "{}", "/v1/batches")
    method = await post(url, "", method="GET")
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")
    assert (method.status_code, method.json()["error"]["type"]) == (405, "invalid_request_error")
    assert unknown.headers["request-id"].startswith("req_")


@pytest.mark.parametrize("stream", [False, True])
async def test_prompt_longer_than_the_window(client: AsyncAnthropic, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: 90\d\d tokens > 8191 maximum"):
        await client.messages.create(model="m", max_tokens=5, messages=messages, stream=stream)


def sdk_of(engine: Engine) -> AsyncAnthropic:
    transport = httpx2.ASGITransport(create_app(engine))
    http = httpx2.AsyncClient(transport=transport, base_url="http://local")
    return AsyncAnthropic(base_url="http://local", api_key="x", max_retries=0, http_client=http)


async def test_dead_engine_is_an_api_error_and_unhealthy() -> None:
    engine = Engine("http://127.0.0.1:1")
    async with sdk_of(engine) as sdk:
        with pytest.raises(anthropic.InternalServerError) as caught:
            await sdk.messages.create(**GOOD)
        body: Any = caught.value.body
        assert body["error"]["type"] == "api_error"
        assert caught.value.status_code == 500
        with pytest.raises(anthropic.APIStatusError) as unhealthy:
            await sdk.get("/health", cast_to=object)
        assert unhealthy.value.status_code == 503
    await engine.close()


async def test_engine_that_fails_within_a_stream_sends_an_error_event(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/tokenize").respond_with_json({"tokens": [1, 2, 3]})
    httpserver.expect_request("/apply-template").respond_with_json({"prompt": "a\x020\x03b"})
    httpserver.expect_request("/completion").respond_with_json({"error": {"message": "out of memory"}}, status=500)
    engine = Engine(httpserver.url_for("").rstrip("/"))
    async with sdk_of(engine) as sdk:
        events = await sdk.messages.create(**GOOD, stream=True)
        seen = [(await anext(events)).type for _ in range(2)]
        with pytest.raises(anthropic.APIStatusError, match="out of memory"):
            await anext(events)
        assert seen == ["message_start", "content_block_start"]
        with pytest.raises(anthropic.InternalServerError, match="out of memory"):
            await sdk.messages.create(**GOOD)
    await engine.close()


async def test_full_queue_is_overloaded(start_local_model: Callable[..., LocalModel]) -> None:
    url = start_local_model("--parallel", "1", "--queue", "0", "--context", "4096").wait_until_ready()
    async with AsyncAnthropic(base_url=url, api_key="x", max_retries=0) as sdk:
        extra = {"temperature": 1.0}
        stream = await sdk.messages.create(**GOOD | {"max_tokens": 200}, stream=True, extra_body=extra)
        with pytest.raises(anthropic.APIStatusError) as caught:
            await sdk.messages.create(**GOOD)
        body: Any = caught.value.body
        assert caught.value.status_code == 529
        assert body["error"]["type"] == "overloaded_error"
        assert caught.value.response.headers["retry-after"] == "2"
        await stream.close()
        for _ in range(100):
            try:
                assert (await sdk.messages.create(**GOOD)).content
                break
            except anthropic.APIStatusError:
                await asyncio.sleep(0.1)
        else:
            pytest.fail("the place was not given back")
