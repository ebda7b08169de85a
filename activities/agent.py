"""One model turn as one activity: resolve references, make the call, keep the answer, check it against its schema.

An answer that breaks its schema is not an error here: the call was paid, so the turn says what is wrong and the workflow
decides (repair, fallback). The trap: never raise a raw exception, because its class is lost on the way into history.
"""

import json
import time
from typing import Any

from jsonschema import Draft202012Validator
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.content import ContentStore
from activities.contracts import Message, ModelFailure, ModelRequest, ModelTurn, Part, StopReason
from activities.errors import ErrorKind, passing, text_of
from activities.heartbeat import beating
from activities.llm.base import LLM, ModelCall, ModelReply, ModelTable, Progress
from activities.prompting import CONTINUE, cut_to_fit, render

SCHEMA_ERRORS_SHOWN = 10


class AgentActivities:
    """Calls models on behalf of agents."""

    def __init__(self, llm: LLM, store: ContentStore, models: ModelTable) -> None:
        self._llm = llm
        self._store = store
        self._models = models

    @activity.defn
    async def call_model(self, request: ModelRequest) -> ModelTurn:
        """Make one Messages API call.

        Raises the errors drawn in `activities.errors`; retryable ones carry the server's wished delay.
        """
        started = time.monotonic()
        call, beginning, left_out = await self._resolve(request)
        progress = Progress()
        async with beating(lambda: {"characters": progress.characters}):
            try:
                reply = await self._llm.answer(call, progress)
            except ApplicationError as error:
                raise self._priced(error) from error.__cause__
            except Exception as error:
                failure = ModelFailure(model=call.model, usage=progress.usage)
                raise passing(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}", failure) from error
        return await self._turn(request, reply, beginning, left_out, started)

    async def _resolve(self, request: ModelRequest) -> tuple[ModelCall, str, int]:
        """Fetch all texts; returns the call, the beginning to continue (or ""), and how many characters were cut."""
        texts = {part: await self._store.text(part) for message in request.messages for part in message.parts}
        left_out = 0
        if request.context_characters is not None:
            texts, left_out = cut_to_fit(texts, request.context_characters)
        messages = [(message.role, _rendered(message, texts)) for message in request.messages]
        beginning = ""
        if request.continues is not None:
            beginning = await self._store.text(request.continues)
            messages += [("assistant", beginning), ("user", CONTINUE)]
        takes_temperature = self._models.spec(request.model).temperature
        call = ModelCall(
            model=request.model,
            messages=tuple(messages),
            max_tokens=request.max_tokens,
            system=await self._store.text(request.system) if request.system else "",
            output_schema=request.output_schema,
            tools=request.tools,
            tool_choice=request.tool_choice,
            temperature=request.temperature if takes_temperature else None,
        )
        return call, beginning, left_out

    async def _turn(
        self, request: ModelRequest, reply: ModelReply, beginning: str, left_out: int, started: float
    ) -> ModelTurn:
        text = beginning + reply.text
        data: dict[str, Any] | None = None
        schema_errors: tuple[str, ...] = ()
        if request.output_schema is not None and reply.stop_reason not in _NO_ANSWER:
            data, schema_errors = parse(text, request.output_schema)
        return ModelTurn(
            content=await self._store.keep(text),
            stop_reason=reply.stop_reason,
            data=data,
            schema_errors=schema_errors,
            tool_calls=reply.tool_calls,
            usage=reply.usage,
            model="" if reply.model == request.model else reply.model,
            request_id=reply.request_id,
            usd=self._models.usd(request.model, reply.usage),
            ms=round((time.monotonic() - started) * 1000),
            attempt=activity.info().attempt,
            left_out_characters=left_out,
        )

    def _priced(self, error: ApplicationError) -> ApplicationError:
        """Add what the failed call cost, so that the ledger of the run is complete."""
        details = error.details[0] if error.details else None
        if not isinstance(details, ModelFailure):
            return error
        usd = self._models.usd(details.model, details.usage)
        return ApplicationError(
            error.message,
            details.model_copy(update={"usd": usd}),
            type=error.type,
            non_retryable=error.non_retryable,
            next_retry_delay=error.next_retry_delay,
        )


_NO_ANSWER = frozenset({StopReason.REFUSAL, StopReason.MAX_TOKENS, StopReason.CONTEXT_EXCEEDED})


def _rendered(message: Message, texts: dict[Part, str]) -> str:
    # The API refuses empty messages, and a model may well have answered nothing.
    return render([(part.label, texts[part]) for part in message.parts]) or "(nothing)"


def parse(text: str, schema: dict[str, Any]) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Read a JSON object out of an answer and check it; returns it if it is one, and what is wrong in words for the model."""
    stripped = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        data = json.loads(stripped)
    except ValueError as error:
        return None, (f"the answer is not JSON: {error}",)
    if not isinstance(data, dict):
        return None, (f"the answer must be a JSON object, not {type(data).__name__}",)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(data), key=lambda error: list(map(str, error.absolute_path))
    )
    if errors:
        return data, tuple(f"{error.json_path}: {error.message}"[:300] for error in errors[:SCHEMA_ERRORS_SHOWN])
    return data, ()
