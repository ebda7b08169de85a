"""What a tool is: a function that takes one pydantic model and returns a text or data, with its effect on the world.

What goes wrong for a reason the model can fix (a wrong path, a text that is not there) is a `ToolError`, and goes to the model;
everything else is the world's fault, and is tried again. So a tool raises `ToolError` only where nothing was changed.
"""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter

from outlast.contracts import Effect, ToolCard, ToolSpec, UndoablePair

SPECS: TypeAdapter[tuple[ToolSpec, ...]] = TypeAdapter(tuple[ToolSpec, ...])


@lru_cache(maxsize=32)
def read_specs(written: str) -> tuple[ToolSpec, ...]:
    """Read the tools of an agent as the content store keeps them; each of its turns and tool calls needs the same ones."""
    return SPECS.validate_json(written)


class ToolError(Exception):
    """A tool's own error; its text tells the model what to do differently."""


class NeverHappenedError(Exception):
    """Raised by an undo that finds out that there is nothing to undo."""


@dataclass(frozen=True)
class Undo:
    """How a call will be undone: the arguments of its undo tool, known before its effect.

    `kept` are bytes too large to travel: they go to the content store, and the undo's argument of that name becomes their
    reference (None stays None).
    """

    arguments: Mapping[str, Any]
    kept: Mapping[str, bytes | None] = field(default_factory=dict)


Prepare = Callable[[Any, str], Undo]
Made = Callable[[Any, Mapping[str, Any]], str]


@dataclass(frozen=True)
class Tool:
    """One tool; `timeout` in seconds for a call, `undo` names the tool that undoes it.

    `call` is a plain function, which runs in a thread, or a coroutine function; a `keyed` one also takes the key that is the
    same in every attempt of a call. `prepare(arguments, key)` tells how the call will be undone, before it has its effect;
    `made(arguments, undo's arguments)` gives a later attempt the answer of an earlier one whose effect is there already.
    `undoable` are the requests of an irreversible tool that its undo takes back after all.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    call: Callable[..., Any]
    effect: Effect = Effect.READ
    timeout: float = 60.0
    undo: str = ""
    prepare: Prepare | None = None
    made: Made | None = None
    keyed: bool = False
    undoable: tuple[UndoablePair, ...] = ()

    @property
    def card(self) -> ToolCard:
        """The tool as a running execution sees it."""
        takes = tuple(field.alias or name for name, field in self.arguments.model_fields.items())
        return ToolCard(
            name=self.name,
            effect=self.effect,
            timeout=self.timeout,
            undo=self.undo,
            undoable=self.undoable,
            takes=takes,
        )

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        schema = self.arguments.model_json_schema()
        return ToolSpec(name=self.name, description=self.description, input_schema=schema)

    async def run(self, arguments: BaseModel, key: str = "") -> str:
        """Call the tool and return what the model shall read; raises ToolError, and whatever else the call raises."""
        given = (arguments, key) if self.keyed else (arguments,)
        if inspect.iscoroutinefunction(self.call):
            result = await self.call(*given)
        else:
            result = await asyncio.to_thread(self.call, *given)
        if isinstance(result, BaseModel):
            return result.model_dump_json()
        return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def tool(
    *,
    effect: Effect = Effect.READ,
    timeout: float = 60.0,
    undo: str = "",
    prepare: Prepare | None = None,
    made: Made | None = None,
    undoable: tuple[UndoablePair, ...] = (),
) -> Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function: its name, its docstring and the model it takes say the rest.

    A second parameter, a string, makes it a keyed tool. Raises TypeError for a function that does not take exactly one
    pydantic model (and perhaps a key), or has no docstring.
    """

    def make(function: Callable[..., Any]) -> Tool:
        hints = [kind for name, kind in get_type_hints(function).items() if name != "return"]
        keyed = len(hints) == 2 and hints[1] is str
        if len(hints) != 1 + keyed or not isinstance(hints[0], type) or not issubclass(hints[0], BaseModel):
            raise TypeError(
                f"tool {function.__name__}: give it one argument, annotated with a pydantic model (and perhaps a second, a str, "
                "for the idempotency key)"
            )
        if not function.__doc__:
            raise TypeError(f"tool {function.__name__}: write a docstring; the model reads it")
        description = " ".join(function.__doc__.split())
        return Tool(
            function.__name__, description, hints[0], function, effect, timeout, undo, prepare, made, keyed, undoable
        )

    return make
