"""From a model call to the parameters of the Messages API, and where its prompt cache is used."""

from typing import Any

import anthropic

from activities.llm.base import ModelCall

WEB_SEARCH = "web_search_20250305"


def parameters_of(call: ModelCall) -> dict[str, Any]:
    """Return the parameters of `messages.create`, without `stream`."""
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
