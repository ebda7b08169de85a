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


def make_client(api_key: str | None, base_url: str | None, timeout: float) -> anthropic.AsyncAnthropic:
    """Build the one client of a worker; `timeout` in seconds between two pieces of a stream."""
    # An endpoint of one's own needs no key, but the SDK insists on one.
    key = api_key or ("no-key-needed" if base_url else None)
    return anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0, timeout=timeout)


class ClaudeLLM:
    """Makes one streamed Messages API call and turns what comes back into a reply or a typed error."""

    def __init__(self, client: anthropic.AsyncAnthropic, retry_after_cap: float = DEFAULT_RETRY_AFTER_CAP) -> None:
        self._client = client
        self._retry_after_cap = retry_after_cap

    async def answer(self, call: ModelCall, progress: Progress) -> ModelReply:
        """Make the call; raises the errors of `activities.llm.posture`."""
        try:
            async with self._client.messages.stream(**_parameters(call)) as stream:
                async for event in stream:
                    if event.type == "message_start":
                        progress.usage = _usage(event.message)
                    elif event.type == "text":
                        progress.received(event.text)
                message = await stream.get_final_message()
                request_id = stream.request_id or ""
        except anthropic.APIStatusError as error:
            raise self._status_error(error, call, progress) from error
        except (anthropic.APIError, httpx2.HTTPError) as error:
            raise self._broken(f"{type(error).__name__}: {error}", call, progress) from error
        if message.stop_reason is None:
            raise self._broken("the stream ended before the answer did", call, progress)
        return _reply(message, request_id)

    def _status_error(self, error: anthropic.APIStatusError, call: ModelCall, progress: Progress) -> Exception:
        return error_for_status(
            error.status_code,
            error_type=error.type,
            message=error.api_message or error.message,
            headers=error.response.headers,
            details=ModelFailure(
                status=error.status_code,
                request_id=error.request_id or "",
                model=call.model,
                usage=progress.usage,
            ),
            cap=self._retry_after_cap,
        )

    def _broken(self, reason: str, call: ModelCall, progress: Progress) -> Exception:
        return passing(
            ErrorKind.MODEL_UNAVAILABLE,
            f"the connection to {self._client.base_url} failed: {reason}",
            ModelFailure(model=call.model, usage=progress.usage),
        )


def _parameters(call: ModelCall) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        "messages": [{"role": role, "content": text} for role, text in call.messages],
    }
    if call.system:
        parameters["system"] = [{"type": "text", "text": call.system, "cache_control": {"type": "ephemeral"}}]
    if call.output_schema is not None:
        # The API takes a subset of JSON schema; the SDK moves the rest into descriptions. We check the whole ourselves.
        schema = anthropic.transform_schema(call.output_schema)
        parameters["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if call.tools:
        tools: list[dict[str, Any]] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in call.tools
        ]
        tools[-1]["cache_control"] = {"type": "ephemeral"}
        parameters["tools"] = tools
        parameters["tool_choice"] = {"type": call.tool_choice}
    if call.temperature is not None:
        # The SDK no longer names it, because current models refuse it; the model table says which still take it.
        parameters["extra_body"] = {"temperature": call.temperature}
    return parameters


def _reply(message: Message, request_id: str) -> ModelReply:
    return ModelReply(
        text="".join(block.text for block in message.content if block.type == "text"),
        stop_reason=StopReason(message.stop_reason or StopReason.END_TURN),
        usage=_usage(message),
        model=message.model,
        request_id=request_id,
        tool_calls=tuple(
            ToolCall(id=block.id, name=block.name, input=dict(block.input))
            for block in message.content
            if block.type == "tool_use"
        ),
    )


def _usage(message: Message) -> Usage:
    usage = message.usage
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens or 0,
        cache_write_tokens=usage.cache_creation_input_tokens or 0,
    )
