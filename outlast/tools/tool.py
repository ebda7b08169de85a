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
    """Raised by a tool for what the model can fix itself, before anything was changed; the model reads the text."""


class NeverHappenedError(Exception):
    """Raised by an undo tool that finds nothing to undo, because the call never had its effect."""


@dataclass(frozen=True)
class Undo:
    """How a call will be undone; what `prepare` of a tool returns before the call has its effect.

    Attributes:
        arguments: The arguments of the undo tool.
        kept: Bytes that are too large for a message, by the name of an argument: they go to the content store, and that argument
            becomes their reference (None stays None).
    """

    arguments: Mapping[str, Any]
    kept: Mapping[str, bytes | None] = field(default_factory=dict)


Prepare = Callable[[Any, str], Undo]
Made = Callable[[Any, Mapping[str, Any]], str]


@dataclass(frozen=True)
class Tool:
    """One tool, as `tool` makes it.

    Attributes:
        name: What models call it by.
        description: What it does, for models to read.
        arguments: The pydantic model that it takes.
        call: The function: plain, which runs in a thread, or a coroutine function.
        effect: What a call does to the world.
        timeout: Longest time of one call, in seconds.
        undo: Name of the tool that undoes a call; empty: none.
        prepare: Says, before the effect, how a call will be undone.
        made: Gives the answer of an earlier attempt whose effect is there already.
        keyed: Whether `call` takes the idempotency key as well.
        undoable: Requests of an irreversible tool that can be undone after all.
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
    """Make a tool of a typed function, plain (it runs in a thread) or `async`; models see its name, docstring and argument model.

    The function takes one pydantic model, and may take a second argument, a `str`: the idempotency key, which is the same in
    every attempt of a call. It returns a text, a pydantic model or JSON data, and raises `ToolError` for what models can fix.

    Args:
        effect: What a call does to the world. WRITE needs `undo` and `prepare`; IRREVERSIBLE waits for a person, each time.
        timeout: Longest time of one call, in seconds.
        undo: Name of the tool that undoes a call.
        prepare: Called with the arguments and the key before the effect; returns the arguments of the undo.
        made: Called with the arguments and those of the undo when a call is made again although its effect is there already;
            returns the answer of the earlier attempt.
        undoable: Requests of an irreversible tool that can be undone after all, so that they wait for nobody.

    Raises:
        TypeError: The function does not take exactly one pydantic model (and perhaps a key), or has no docstring.

    Example:
        ```python
        @tool(effect=Effect.WRITE, undo="free_table", prepare=lambda table, key: Undo({"guest": table.guest}))
        def book_table(table: Table) -> str:
            return tables.book(table.guest)
        ```
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
