"""How a request is answered: as text, as JSON that matches a schema, or as the call of one tool.

Everything comes out as events in order (one block is opened, filled, finished), for a stream or for one message.
What can be reported with an HTTP status (a request that is wrong or too long) is found in `prepare`, before
the first event.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema.validators import validator_for
from jsonschema_specifications import REGISTRY
from referencing.exceptions import Unresolvable

from outlast.devstack.local_model import choosing, prompting
from outlast.devstack.local_model.assembly import Assembler, Written
from outlast.devstack.local_model.dialect import Schema
from outlast.devstack.local_model.engine import Engine, Piece, Sampling
from outlast.devstack.local_model.errors import ApiError, invalid
from outlast.devstack.local_model.messages import MessageRequest, Tool, Usage
from outlast.devstack.local_model.prompting import Prompt, Renderer
from outlast.devstack.local_model.schema import fitted

# After so many tokens the built-in model is stopped at the next sentence end: by itself it often never ends.
LONG_TEXT = 128
LONG_JSON = 320  # tokens that the bounds of a JSON answer of the built-in model add up to
STOP_REASONS = {"eos": "end_turn", "word": "stop_sequence", "long": "max_tokens"}


@dataclass(frozen=True)
class Opened:
    """A block begins: a call of `tool`, or text if that is empty."""

    tool: str = ""


@dataclass(frozen=True)
class Delta:
    """More of the block: text, or JSON of a tool's input."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The answer is complete."""

    stop_reason: str
    stop_sequence: str | None
    usage: Usage


Event = Opened | Delta | Finished


@dataclass(frozen=True)
class Job:
    """A request that has been understood: its prompt, and the schemas that its answer or tool call must match."""

    request: MessageRequest
    prompt: Prompt
    tools: tuple[tuple[Tool, Schema], ...] = ()
    schema: Schema | None = None


class Answerer:
    """Answers requests with one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.renderer = Renderer(engine)
        self.chooser = choosing.Chooser(engine)
        self.assembler = Assembler(engine, self.renderer, self.chooser)

    async def prepare(self, request: MessageRequest) -> Job:
        """Understand a request; 400 if it cannot be answered as asked or does not fit into the window."""
        budget = min(request.max_tokens, LONG_JSON) if self.engine.built_in else request.max_tokens
        if tools := request.candidates() or (request.offered() if self.engine.built_in else []):
            for tool in tools:
                _check(tool.input_schema, f"tools: input_schema of '{tool.name}'")
            closed = tuple((tool, fitted(tool.input_schema, budget, strict=False)) for tool in tools)
            instruction = prompting.call(*closed[0]) if len(closed) == 1 else ""
            return Job(request, await self.renderer.prompt(request, instruction), closed)
        if (wanted := request.answer_schema()) is not None:
            _check(wanted, "output_config.format.schema")
            schema = fitted(wanted, budget, strict=True)
            return Job(request, await self.renderer.prompt(request, prompting.form(schema)), (), schema)
        return Job(request, await self.renderer.prompt(request))

    async def events(self, job: Job) -> AsyncGenerator[Event, None]:
        """Yield the answer as it comes."""
        if job.tools:
            tool, schema, prompt = await self._picked(job)
            yield Opened(tool.name)
            written = await self.assembler.write(job.request, prompt, schema, ask=False)
            done = written.value is not None
            yield Delta(written.text if done else "{}")
            yield Finished("tool_use" if done else self._stop_reason(written.last, job), None, written.usage)
        elif job.schema is not None:
            yield Opened()
            written = await self.assembler.write(job.request, job.prompt, job.schema, ask=self.engine.built_in)
            if written.value is not None:
                _verify(written.value, job.request.answer_schema() or {})
            yield Delta(written.text)
            yield Finished(self._stop_reason(written.last, job), None, written.usage)
        else:
            async with aclosing(self._text(job)) as events:
                async for event in events:
                    yield event

    async def _picked(self, job: Job) -> tuple[Tool, Schema, Prompt]:
        if len(job.tools) == 1:
            return (*job.tools[0], job.prompt)
        asked = choosing.tool_question([tool for tool, _ in job.tools])
        odds = await self.chooser.probabilities(asked, job.prompt)
        tool, schema = job.tools[max(range(len(odds)), key=odds.__getitem__)]
        return tool, schema, await self.renderer.prompt(job.request, prompting.call(tool, schema))

    async def _text(self, job: Job) -> AsyncGenerator[Event, None]:
        request = job.request
        limit = min(request.max_tokens, self.engine.window - len(job.prompt.tokens))
        text, written, last = "", 0, Piece("")
        yield Opened()
        pieces = self.engine.generate(job.prompt.tokens, limit, _sampling(request), stop=request.stop_sequences)
        async with aclosing(pieces):
            async for piece in pieces:
                if piece.read or piece.stopped:
                    last = piece
                if piece.text:
                    text, written = text + piece.text, written + 1
                    yield Delta(piece.text)
                if self.engine.built_in and not piece.stopped and (why := _rambles(text, written)):
                    last = Piece("", why, read=last.read, cached=last.cached, written=written)
                    break
        stop = self._stop_reason(last, job)
        yield Finished(stop, last.stop_word if stop == "stop_sequence" else None, Written(last=last).usage)

    def _stop_reason(self, last: Piece, job: Job) -> str:
        if last.stopped != "limit":
            return STOP_REASONS.get(last.stopped, "end_turn")
        available = self.engine.window - len(job.prompt.tokens)
        return "max_tokens" if job.request.max_tokens <= available else "model_context_window_exceeded"


def _rambles(text: str, written: int) -> str:
    """Return why a text is stopped here, if it is: "long" at a sentence end after the limit, "eos" where it repeats itself."""
    sentences = [part.strip() for part in prompting.SENTENCE_END.split(text)]
    at_end = len(sentences) > 1 and not sentences[-1]
    if at_end and sentences[-2] in sentences[:-2]:
        return "eos"
    return "long" if written >= (LONG_TEXT if at_end else 2 * LONG_TEXT) else ""


def _sampling(request: MessageRequest) -> Sampling:
    return Sampling(request.temperature, request.top_p, request.top_k)


def _check(schema: Schema, where: str) -> None:
    try:
        validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise invalid(f"{where}: JSON schema is invalid: {error.message}") from None


def _verify(value: Any, schema: Schema) -> None:
    """Check the promise; the grammar compiler drops a schema that it does not understand without a word."""
    # With the registry of the standard alone: the default one fetches whatever address a schema refers to.
    validator = validator_for(schema, default=jsonschema.Draft202012Validator)(schema, registry=REGISTRY)
    # Binary fractions make `multipleOf` report 0.07 as no multiple of 0.01.
    try:
        wrong = [error for error in validator.iter_errors(value) if error.validator != "multipleOf"]
    except Unresolvable as error:
        raise invalid(f"The JSON schema refers to something that is not in it: {error}") from None
    if wrong:
        raise ApiError(500, f"The answer does not match the JSON schema: {wrong[0].message}")
