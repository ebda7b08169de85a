"""Claude, or anything that speaks the Messages API: the only file that imports `anthropic`.

Always streamed, because the API refuses long answers otherwise; the SDK's own retries are off, because two layers of
retries multiply. The trap: a stream can end early without an error, so a reply without a stop reason is a failure.
"""

from typing import Any

import anthropic
import httpx2
from anthropic.types import Message

from activities.contracts import ModelFailure, StopReason, ToolCall, Usage
from activities.errors import ErrorKind, passing
from activities.llm.base import ModelCall, ModelReply, Progress
from activities.llm.posture import DEFAULT_RETRY_AFTER_CAP, error_for_status

CLAUDE_URL = "https://api.anthropic.com"
WEB_SEARCH = "web_search_20250305"
CONNECT_TIMEOUT = 10.0
"""Seconds for a connection to open; a server that is there answers within a few round trips."""


def make_client(api_key: str | None, base_url: str | None, timeout: float) -> anthropic.AsyncAnthropic:
    """Build the one client of a worker; `timeout` in seconds between two pieces of a stream."""
    # An endpoint of one's own needs no key, but the SDK insists on one.
    key = api_key or ("no-key-needed" if base_url else None)
    # Left out, the URL would be read from the environment, where an empty ANTHROPIC_BASE_URL breaks every call.
    return anthropic.AsyncAnthropic(
        api_key=key,
        base_url=base_url or CLAUDE_URL,
        max_retries=0,
        timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
    )


class ClaudeLLM:
    """Makes one streamed Messages API call and turns what comes back into a reply or a typed error."""

    def __init__(self, client: anthropic.AsyncAnthropic, retry_after_cap: float = DEFAULT_RETRY_AFTER_CAP) -> None:
        self._client = client
        self._retry_after_cap = retry_after_cap

    async def answer(self, call: ModelCall, progress: Progress) -> ModelReply:
        """Make the call; raises the errors of `activities.llm.posture`."""
        request_id = ""
        message: Message | None = None
        parameters = _parameters(call)
        try:
            async with self._client.messages.stream(**parameters) as stream:
                request_id = stream.request_id or ""
                async for event in stream:
                    if event.type in ("message_start", "message_delta"):
                        message = stream.current_message_snapshot
                        progress.usage, progress.counted = _usage(message), event.type == "message_delta"
                    elif event.type == "text":
                        progress.says(event.text)
                    elif event.type == "input_json":
                        progress.received(event.partial_json)
        except anthropic.APIStatusError as error:
            # Not as its cause: that holds the whole body, and a proxy's error page would land in history.
            raise self._status_error(error, call, progress) from None
        except (anthropic.APIError, httpx2.HTTPError) as error:
            raise self._broken(_reason(error), call, progress, request_id) from error
        except ValueError as error:
            raise self._broken(f"an event is not JSON: {error}", call, progress, request_id) from error
        if message is None or message.stop_reason is None:
            raise self._broken("the stream ended before the answer did", call, progress, request_id)
        return _reply(message, request_id)

    def _status_error(self, error: anthropic.APIStatusError, call: ModelCall, progress: Progress) -> Exception:
        return error_for_status(
            error.status_code,
            error_type=str(error.type) if error.type else None,
            # Other servers than Claude's send anything here.
            message=str(error.api_message or error.message),
            headers=error.response.headers,
            details=ModelFailure(
                status=error.status_code,
                request_id=error.request_id or "",
                model=call.model,
                usage=progress.paid(),
            ),
            cap=self._retry_after_cap,
        )

    def _broken(self, reason: str, call: ModelCall, progress: Progress, request_id: str) -> Exception:
        text = f"the connection to {self._client.base_url} failed: {reason}"
        return passing(
            ErrorKind.MODEL_UNAVAILABLE,
            f"{text} (request {request_id})" if request_id else text,
            ModelFailure(request_id=request_id, model=call.model, usage=progress.paid()),
        )


def _reason(error: Exception) -> str:
    # The SDK says no more than "Connection error."; what went wrong is its cause.
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"


def _parameters(call: ModelCall) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        "messages": [*call.history, *({"role": role, "content": text} for role, text in call.messages)],
    }
    if call.system:
        parameters["system"] = [{"type": "text", "text": call.system, "cache_control": {"type": "ephemeral"}}]
    if call.output_schema is not None:
        # The API takes a subset of JSON schema; the SDK moves the rest into descriptions. We check the whole ourselves.
        schema = anthropic.transform_schema(call.output_schema)
        parameters["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    tools: list[dict[str, Any]] = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema} for tool in call.tools
    ]
    if call.web_searches:
        tools.append({"type": WEB_SEARCH, "name": "web_search", "max_uses": call.web_searches})
    if tools:
        tools[-1]["cache_control"] = {"type": "ephemeral"}
        parameters["tools"] = tools
        parameters["tool_choice"] = {"type": call.tool_choice}
    if call.history:
        # The whole conversation so far is read again in the next turn: from the cache, at a tenth of the price.
        parameters["cache_control"] = {"type": "ephemeral"}
    if call.temperature is not None:
        # The SDK no longer names it, because current models refuse it; the model table says which still take it.
        parameters["extra_body"] = {"temperature": call.temperature}
    return parameters


def _reply(message: Message, request_id: str) -> ModelReply:
    return ModelReply(
        text="".join(block.text for block in message.content if block.type == "text"),
        stop_reason=_stop_reason(message),
        usage=_usage(message),
        model=message.model,
        request_id=request_id,
        tool_calls=tuple(
            ToolCall(id=block.id, name=block.name, input=dict(block.input))
            for block in message.content
            if block.type == "tool_use"
        ),
        blocks=tuple(block.to_dict(mode="json", exclude_none=True) for block in message.content),
    )


def _stop_reason(message: Message) -> StopReason:
    try:
        return StopReason(message.stop_reason or StopReason.END_TURN)
    except ValueError:
        # Newer than our list, or another server's word: the answer is whole and paid, and asking again would not help.
        return StopReason.END_TURN


def _usage(message: Message) -> Usage:
    usage = message.usage
    return Usage(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_read_tokens=usage.cache_read_input_tokens or 0,
        cache_write_tokens=usage.cache_creation_input_tokens or 0,
    )
