"""`scripted`: a model for tests, whose answers are written down beforehand."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, TypeAlias

from pydantic import BaseModel

from outlast.contracts import StopReason, ToolCall, Usage
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import ScriptedLLM

Answer: TypeAlias = str | BaseModel | dict[str, Any] | ToolCall | tuple[ToolCall, ...] | ModelReply | Exception
"""A text, data that becomes JSON, tool calls, a whole reply, or an error of `outlast.errors` that is raised."""

Answers: TypeAlias = Answer | list[Answer] | Callable[[ModelCall], Answer]
"""One answer to every call, a list of answers to one call after the other, or a function of the call."""

_ids = count(1)


def call_tool(name: str, /, **arguments: Any) -> ToolCall:
    """Make a tool call, as an answer of `scripted`; a tuple of them is made at once.

    Example:
        ```python
        scripted([(call_tool("read_file", path="a.log"), call_tool("read_file", path="b.log")), "Both logs are empty."])
        ```
    """
    return ToolCall(id=f"call-{next(_ids)}", name=name, input=arguments)


def scripted(answers: Answers | None = None, *, latency: float = 0.0, **by_agent: Answers) -> ScriptedLLM:
    """Make a model whose answers are written down beforehand.

    Args:
        answers: The answers to all agents that are not named in `by_agent`.
        latency: Seconds that each answer takes.
        by_agent: The answers to one agent, by its name; `**{"log-reader": …}` for a name with dashes.

    Returns:
        The model; its `calls` hold every call made, in order.

    Example:
        ```python
        llm = scripted("Nothing to add.", analyst={"severity": "high"}, writer=["A first draft.", "A better one."])
        ```
    """
    return ScriptedLLM(_Script({**by_agent} if answers is None else {"*": answers, **by_agent}).answer, latency=latency)


class _Script:
    def __init__(self, agents: Mapping[str, Answers]) -> None:
        self._agents = agents
        self._asked: Counter[str] = Counter()

    def answer(self, call: ModelCall) -> str | ModelReply:
        """Answer one call; a missing answer ends the run, with the reason."""
        name = call.agent if call.agent in self._agents else "*"
        if name not in self._agents:
            known = ", ".join(self._agents) or "no agent"
            raise _missing(f"agent {call.agent!r} was asked and has no answer; there are answers of {known}")
        answers = self._agents[name]
        if isinstance(answers, list):
            self._asked[name] += 1
            if self._asked[name] > len(answers):
                has = f"{len(answers)} answer{'' if len(answers) == 1 else 's'}"
                raise _missing(f"agent {call.agent!r} was asked {self._asked[name]} times and has {has}")
            return _reply(call, answers[self._asked[name] - 1])
        return _reply(call, answers(call) if callable(answers) else answers)


def _missing(message: str) -> Exception:
    # Of a kind that no fallback answers: the run would end well, without what the test forgot.
    return non_retryable(ErrorKind.CONTENT_MISSING, f"scripted: {message}")


def _reply(call: ModelCall, answer: Answer) -> str | ModelReply:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, ToolCall):
        answer = (answer,)
    if isinstance(answer, tuple):
        usage = Usage(input_tokens=len(call.messages), output_tokens=len(answer))
        return ModelReply("", StopReason.TOOL_USE, usage, call.model, tool_calls=answer)
    if isinstance(answer, BaseModel):
        return answer.model_dump_json()
    return answer if isinstance(answer, str | ModelReply) else json.dumps(answer, ensure_ascii=False)
