"""Requests to route, and scripted routers and handlers for them."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from outlast.contracts import Part, StopReason, ToolCall, Usage
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from outlast.routing.requests import RequestText, RouteOutcome, RouteRequest, RouteResult
from outlast.routing.training import Example, Examples, train
from tests.workflow.conftest import Runner
from workflows.request_handling import RequestHandlingWorkflow

RUN = RequestHandlingWorkflow.run

BILLING = "I was charged twice in May, please refund one of the payments."
TECHNICAL = "The app crashes with error 500 when I log in."
GENERAL = "Do you have a shop in Vienna?"
GRAVE = "My lawyer will sue you: your charger burned my hand!"
TEXTS = {"billing": BILLING, "technical_support": TECHNICAL, "general_inquiry": GENERAL, "escalation_required": GRAVE}

TICKET = json.dumps({"title": "Charger burned a customer", "priority": "urgent", "note": "A charger burned a hand."})


def texts(*requests: str) -> tuple[RequestText, ...]:
    """Name requests as the command does."""
    return tuple(RequestText(name=f"request-{at}", text=Part(text=text)) for at, text in enumerate(requests, 1))


def asking(*requests: str, **fields: Any) -> RouteRequest:
    """Build a request to route texts."""
    return RouteRequest(requests=texts(*requests), **fields)


def is_classifier(call: ModelCall) -> bool:
    return call.system.startswith("You sort requests")


def is_router(call: ModelCall) -> bool:
    return call.system.startswith("You route requests")


def is_escalation(call: ModelCall) -> bool:
    return call.system.startswith("You hand requests over")


def said(call: ModelCall) -> str:
    """Return all that a model was told in texts."""
    return "\n".join(text for _, text in call.messages)


def labelling(answers: Mapping[str, Any] | None = None, handler: Script | None = None) -> Script:
    """Sort each known text into its category, or as `answers` say (by text), and let handlers answer."""

    def script(call: ModelCall) -> Any:
        if is_classifier(call):
            text = next(text for text in (*(answers or {}), *TEXTS.values()) if text in said(call))
            own = next((name for name, known in TEXTS.items() if known == text), "")
            answer = (answers or {}).get(text, {"category": own, "confidence": 0.9})
            return answer if isinstance(answer, str) else json.dumps(answer)
        return (handler or handling)(call)

    return script


def handling(call: ModelCall) -> str:
    """Answer as the handler that is asked."""
    if is_escalation(call):
        return TICKET
    words = call.system.split(":")[0].removeprefix("You ")
    return f"Answer of who {words}"


def calls(*picks: tuple[str, dict[str, Any]], turn: int = 1) -> ModelReply:
    """Reply with picked routes."""
    made = tuple(ToolCall(id=f"t{turn}-{at}", name=name, input=given) for at, (name, given) in enumerate(picks))
    return ModelReply("", StopReason.TOOL_USE, Usage(input_tokens=10, output_tokens=5), "m", tool_calls=made)


def picking(*turns: ModelReply | str, handler: Script | None = None) -> Script:
    """Pick in turns, and let handlers answer."""

    def script(call: ModelCall) -> Any:
        if is_router(call):
            return turns[sum(message["role"] == "assistant" for message in call.history)]
        return (handler or handling)(call)

    return script


@cache
def tiny_model() -> bytes:
    """Train a classifier on a few words of each category."""
    words = {
        "billing": ["charged twice", "refund one payment", "my invoice", "payments in May", "the refund please"],
        "technical_support": ["app crashes", "error when I log in", "error 500", "the app", "crashes with error"],
        "general_inquiry": ["a shop in Vienna", "do you have a shop", "your shop", "are you in Vienna", "a shop?"],
        "escalation_required": ["my lawyer", "burned my hand", "will sue you", "charger burned", "lawyer will sue"],
    }
    examples = [Example(text, label, 0) for label, listed in words.items() for text in listed]
    return train(Examples(tuple(examples))).model.model_dump_json().encode()


async def trained(runner: Runner) -> str:
    """Keep the tiny classifier and return its reference."""
    return await runner.store.put(tiny_model())


async def route(runner: Runner, script: Script, request: RouteRequest) -> tuple[RouteResult, list[ModelCall]]:
    result, llm = await runner.run(script, RUN, request)
    assert isinstance(result, RouteResult)
    return result, llm.calls


async def one(runner: Runner, script: Script, text: str, **fields: Any) -> tuple[RouteOutcome, list[ModelCall]]:
    result, made = await route(runner, script, asking(text, **fields))
    return result.outcomes[0], made


async def failure(runner: Runner, script: Script, request: RouteRequest) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await runner.run(script, RUN, request)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


def out_of_order(call: ModelCall) -> str:
    raise non_retryable(ErrorKind.MODEL_REJECTED, "out of order")
