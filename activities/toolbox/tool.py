"""What a tool is: a function that takes one pydantic model and returns a text or data, with its effect on the world.

The trap: what goes wrong for a reason the model can mend (a wrong path, a text that is not there) is a `ToolError`, and goes to
the model; everything else is the world's fault, and is tried again.
"""

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from activities.contracts import Effect, ToolCard, ToolSpec


class ToolError(Exception):
    """A tool's own error; its text tells the model what to do differently."""


@dataclass(frozen=True)
class Former:
    """What a call is about to replace: the file, and its bytes (None: there is none yet)."""

    path: str
    data: bytes | None


@dataclass(frozen=True)
class Tool:
    """One tool; `timeout` in seconds for a call, `undo` names the tool that undoes it.

    `call` is a plain function, which runs in a thread, or a coroutine function. `former` tells what a call with these
    arguments is about to replace, so that the undo has something to restore.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    call: Callable[[Any], Any]
    effect: Effect = Effect.READ
    timeout: float = 60.0
    undo: str = ""
    former: Callable[[Any], Former] | None = None

    @property
    def card(self) -> ToolCard:
        """The tool as a running execution sees it."""
        return ToolCard(name=self.name, effect=self.effect, timeout=self.timeout, undo=self.undo)

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        schema = self.arguments.model_json_schema()
        return ToolSpec(name=self.name, description=self.description, input_schema=schema)

    async def run(self, arguments: BaseModel) -> str:
        """Call the tool and return what the model shall read; raises ToolError, and whatever else the call raises."""
        if inspect.iscoroutinefunction(self.call):
            result = await self.call(arguments)
        else:
            result = await asyncio.to_thread(self.call, arguments)
        if isinstance(result, BaseModel):
            return result.model_dump_json()
        return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def tool(
    *,
    effect: Effect = Effect.READ,
    timeout: float = 60.0,
    undo: str = "",
    former: Callable[[Any], Former] | None = None,
) -> Callable[[Callable[[Any], Any]], Tool]:
    """Make a tool of a typed function: its name, its docstring and the model it takes say the rest.

    Raises TypeError for a function that does not take exactly one pydantic model, or has no docstring.
    """

    def make(function: Callable[[Any], Any]) -> Tool:
        hints = [kind for name, kind in function.__annotations__.items() if name != "return"]
        if len(hints) != 1 or not isinstance(hints[0], type) or not issubclass(hints[0], BaseModel):
            raise TypeError(f"tool {function.__name__}: give it one argument, annotated with a pydantic model")
        if not function.__doc__:
            raise TypeError(f"tool {function.__name__}: write a docstring; the model reads it")
        description = " ".join(function.__doc__.split())
        return Tool(function.__name__, description, hints[0], function, effect, timeout, undo, former)

    return make
