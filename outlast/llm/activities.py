"""One model turn as one activity: resolve references, make the call, keep the answer, check it against its schema.

An answer that breaks its schema is not an error here: the call was paid, so the turn says what is wrong and the workflow
decides (repair, fallback). A raw exception is never raised, because its class would be lost on the way into history.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from outlast.activity.attempts import model_called, model_failed
from outlast.activity.heartbeat import heartbeats
from outlast.activity.outages import is_away
from outlast.activity.rate_pauses import RatePauses
from outlast.activity.waiting import reportable
from outlast.agents.transcript_activities import EMPTY, Transcripts
from outlast.contracts import Message, ModelFailure, ModelRequest, ModelTurn, Part, StopReason, ToolCall, Usage
from outlast.documents.parsing.pool import PARSERS
from outlast.documents.parsing.schemas import schema_problem
from outlast.errors import ErrorKind, non_retryable, retryable, text_of
from outlast.llm.answers import Answered, read_answer, web_findings
from outlast.llm.base import LLM, ModelCall, ModelReply, ModelSpec, ModelTable, Progress
from outlast.llm.prompting import (
    CONTINUE,
    cut_to_fit,
    references,
    render,
    rendered_length,
    resolved,
    schema_for,
    shortened,
)
from outlast.storage.activities import ContentStore, encodable
from outlast.storage.names import this_call, this_reply
from outlast.storage.paid_replies import PaidAttempts, PaidReply, hold, prompt_bound
from outlast.storage.spool import Spool, is_first_attempt
from outlast.tools.tool import read_specs
from outlast.tracing.live_text_activities import publishing
from outlast.tracing.live_text_settings import streamed


class AgentActivities:
    """Calls models on behalf of agents."""

    def __init__(
        self,
        llm: LLM,
        store: ContentStore,
        models: ModelTable,
        spool: Spool | None = None,
        pauses: RatePauses | None = None,
    ) -> None:
        self._llm = llm
        self._pauses = pauses or RatePauses(models.class_of)
        self._store = store
        self._models = models
        self._transcripts = Transcripts(store)
        self._attempts = PaidAttempts(store)
        self._replies = spool or Spool(store)

    @activity.defn
    async def call_model(self, request: ModelRequest) -> ModelTurn:
        """Make one Messages API call.

        A call that was answered is never made again: the reply is on record before anything else is done with it, and where
        it could not be reported (the worker died, the server or the store was away), the next attempt finds it. Raises
        the errors drawn in `outlast.errors`; retryable ones carry the delay that the server asked for.
        """
        started = time.monotonic()
        progress, wasted = Progress(), Usage()
        # All of it heartbeats: the content store can be slow as well, and a turn that is lost after the call is paid.
        shown = heartbeats(lambda: streamed(progress, self._store.inline_limit))
        async with shown, publishing(progress, wanted=request.stream):
            try:
                if (finished := await self._finished(request)) is not None:
                    return finished
                wasted = await self._attempts.earlier(this_call("call"), request)
                limit = self._pauses.limit_of(request.model, activity.info().task_queue)
                self._pauses.check(limit, _now(started))
                call, beginning, left_out = await self._resolve(request)
                bound = prompt_bound(call, self._models.spec(request.model).window) if request.reserved else 0
                hold(request, bound, wasted)
                reply = await self._answer(call, progress, started, limit)
                progress.usage, progress.counted = reply.usage, True
                ms = round((time.monotonic() - started) * 1000)
                paid = PaidReply(reply, ms, activity.info().attempt, left_out, bound, wasted)
                await self._replies.keep(this_reply(request), paid.dumped())
                turn = await self._turn(request, paid, beginning)
                model_called(request, turn)
                return turn
            except ApplicationError as error:
                priced = await self._priced(error, request, progress, wasted)
                if error.category is not ApplicationErrorCategory.BENIGN:  # one that is was not sent
                    model_failed(request, priced)
                raise priced from error.__cause__
            except asyncio.CancelledError as error:
                details = activity.cancellation_details()
                if progress.paid().plus(wasted) == Usage() or details is None or not details.cancel_requested:
                    await self._attempts.failed(this_call("call"), request, progress.paid())
                    raise
                # A cancelled activity can say nothing; a failed one can say what it cost.
                cancelled = non_retryable(ErrorKind.CANCELLED, "cancelled")
                raise await self._priced(cancelled, request, progress, wasted) from error
            except Exception as error:
                unexpected = retryable(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}")
                raise await self._priced(unexpected, request, progress, wasted) from error

    async def _answer(self, call: ModelCall, progress: Progress, started: float, shares: str) -> ModelReply:
        """Make the call within this attempt's time: a time-out that only the server notices tells no cost, and never counts.

        A refusal for the rate holds back whatever `shares` the limit of the call.
        """
        # Another call may have been refused while this one was put together.
        self._pauses.check(shares, _now(started))
        whole = activity.info().start_to_close_timeout
        seconds = reportable(whole.total_seconds()) - (time.monotonic() - started) if whole else None
        try:
            async with asyncio.timeout(seconds) as limit:
                reply = await self._llm.answer(call, progress)
        except ApplicationError as error:
            if error.type == ErrorKind.RATE_LIMITED:
                await self._pauses.refused(shares, _now(started), error.next_retry_delay)
            raise
        except TimeoutError:
            if not limit.expired():
                raise
            failure = ModelFailure(model=call.model, usage=progress.paid())
            raise retryable(ErrorKind.TIMED_OUT, f"no whole answer in {seconds:.0f} s", failure) from None
        self._pauses.answered(shares)
        return reply

    async def _finished(self, request: ModelRequest) -> ModelTurn | None:
        """Find the reply of an earlier attempt of this very call, or of the same call before a reset, and make its turn."""
        if is_first_attempt() and request.run in ("", activity.info().workflow_run_id):
            return None
        kept = await self._replies.find(this_reply(request))
        if kept is None:
            kept = await self._replies.find(this_call("call"))  # where version 0.2.0 kept it
        paid = PaidReply.loaded(kept) if kept is not None else None
        if paid is None:
            return None
        beginning = await self._store.text(request.continues) if request.continues is not None else ""
        return await self._turn(request, paid, beginning)

    async def _resolve(self, request: ModelRequest) -> tuple[ModelCall, str, int]:
        """Fetch all texts; returns the call, the beginning to continue (or ""), and how many characters were cut."""
        await _check(request.output_schema)
        texts = await self._store.texts(references(request))
        material = {part: resolved(part, texts) for message in request.messages for part in message.parts}
        left_out = 0
        if request.context_characters is not None:
            material, left_out = cut_to_fit(material, request.context_characters)
        history = await self._history(request)
        messages = [] if history else [(message.role, _rendered(message, material)) for message in request.messages]
        beginning = resolved(request.continues, texts)
        if beginning.strip():
            messages += [("assistant", beginning), ("user", CONTINUE)]
        spec = self._models.spec(request.model)
        call = ModelCall(
            model=request.model,
            messages=tuple(messages),
            history=tuple(history),
            max_tokens=request.max_tokens,
            system=resolved(request.system, texts),
            output_schema=schema_for(request.output_schema, hints=spec.hints),
            tools=(*request.tools, *(read_specs(resolved(request.toolset, texts)) if request.toolset else ())),
            tool_choice=request.tool_choice if spec.forced_tools or request.tool_choice != "any" else "auto",
            temperature=request.temperature if spec.temperature else None,
            web_searches=request.web_searches if spec.web_search else 0,
            shared=0 if history else _shared(request, material, spec),
            agent=request.agent,
        )
        return call, beginning, left_out

    async def _history(self, request: ModelRequest) -> list[dict[str, Any]]:
        """Return the conversation in the API's own form, where plain texts cannot hold it."""
        if request.transcript is None and not any(message.answers or message.blocks for message in request.messages):
            return []
        raw = await self._transcripts.conversation(request.transcript, request.messages)
        return shortened(raw, request.context_characters) if request.context_characters is not None else raw

    async def _turn(self, request: ModelRequest, paid: PaidReply, beginning: str) -> ModelTurn:
        reply = paid.reply
        text = encodable(beginning + reply.text)
        answered = Answered(None)
        if request.output_schema is not None and reply.stop_reason in _ANSWERED:
            answered = await PARSERS.off_loop(read_answer, text, request.output_schema)
        turn = ModelTurn(
            content=await self._store.keep(text),
            stop_reason=reply.stop_reason,
            data=answered.data,
            schema_errors=answered.wrong,
            leniently=answered.leniently,
            tool_calls=tuple([await self._call(call) for call in reply.tool_calls]),
            usage=reply.usage,
            model="" if reply.model == request.model else reply.model,
            request_id=reply.request_id,
            usd=self._models.usd(request.model, reply.usage),
            ms=paid.ms,
            attempt=paid.attempt,
            left_out_characters=paid.left_out,
            transcript=await self._extended(request, reply),
            findings=await self._findings(reply),
        )
        return self._reckoned(turn, request, paid.bound, paid.wasted)

    async def _call(self, call: ToolCall) -> ToolCall:
        """Keep large arguments out of history."""
        written = json.dumps(dict(call.input), ensure_ascii=False)
        kept = await self._store.keep(written, media_type="application/json")
        return call if kept.ref is None else call.model_copy(update={"input": {}, "ref": kept.ref})

    async def _extended(self, request: ModelRequest, reply: ModelReply) -> str | None:
        if not request.keeps_transcript:
            return None
        # A call that was cut off has no end, and one that nobody answers makes the conversation unusable.
        whole = reply.stop_reason in (StopReason.TOOL_USE, StopReason.PAUSE_TURN)
        blocks = [block for block in reply.content() if whole or block.get("type") != "tool_use"]
        assistant = await self._transcripts.assistant(blocks)
        return (await self._transcripts.append(request.transcript, (*request.messages, assistant))).ref

    async def _findings(self, reply: ModelReply) -> Part | None:
        """Keep what the provider found on the web: titles, addresses and dates, in its order."""
        found = web_findings(reply.blocks)
        if not found:
            return None
        return Part.of(await self._store.keep(json.dumps(found, ensure_ascii=False), media_type="application/json"))

    def _reckoned(self, turn: ModelTurn, request: ModelRequest, bound: int, wasted: Usage) -> ModelTurn:
        """Add what the run's budget needs to know; nothing in a run without one whose first attempt succeeded."""
        update: dict[str, Any] = {"prompt_bound": bound} if bound else {}
        if wasted != Usage():
            update |= {"wasted": wasted, "wasted_usd": self._models.usd(request.model, wasted)}
        return turn.model_copy(update=update)

    async def _priced(
        self, error: ApplicationError, request: ModelRequest, progress: Progress, wasted: Usage
    ) -> ApplicationError:
        """Add what the failed call cost in all its attempts, so that the ledger of the run is complete."""
        details = error.details[0] if error.details else None
        if not isinstance(details, ModelFailure):
            if progress.usage == Usage() and wasted == Usage():
                await self._attempts.failed(this_call("call"), request, Usage())
                return error
            details = ModelFailure(model=request.model, usage=progress.paid())
        if is_away(error, details):
            details = details.model_copy(update={"away": True})
        await self._attempts.failed(this_call("call"), request, details.usage)
        usd = self._models.usd(details.model, details.usage) + self._models.usd(request.model, wasted)
        details = details.model_copy(update={"usage": details.usage.plus(wasted)})
        return ApplicationError(
            error.message,
            details.model_copy(update={"usd": usd}),
            type=error.type,
            non_retryable=error.non_retryable,
            next_retry_delay=error.next_retry_delay,
            category=error.category,
        )


def _now(started: float) -> float:
    """Return the time by the server's clock, in an attempt that began at `started` by the machine's monotonic one."""
    return activity.info().started_time.timestamp() + time.monotonic() - started


_ANSWERED = frozenset({StopReason.END_TURN, StopReason.STOP_SEQUENCE})


async def _check(schema: dict[str, Any] | None) -> None:
    """Refuse a wrong schema before the call is paid; afterwards no answer could be checked."""
    problem = await PARSERS.off_loop(schema_problem, schema) if schema is not None else ""
    if problem:
        raise non_retryable(ErrorKind.INPUT_INVALID, f"the output schema is wrong: {problem}")


def _shared(request: ModelRequest, texts: Mapping[Part, str], spec: ModelSpec) -> int:
    """Count the characters at the beginning that other calls have as well, where it pays to keep them in the cache."""
    parts = request.messages[0].parts[: request.shared_parts] if request.messages else ()
    characters = rendered_length([(part.label, texts[part]) for part in parts])
    return characters if spec.caches(characters) else 0


def _rendered(message: Message, texts: Mapping[Part, str]) -> str:
    text = render([(part.label, texts[part]) for part in message.parts])
    return text if text.strip() else EMPTY
