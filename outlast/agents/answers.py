"""What an agent answered, and answers of a type that the asker chose."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from outlast.contracts import Content, Message, ModelTurn, Part, Transcript
from outlast.errors import ErrorKind, non_retryable

Model = TypeVar("Model", bound=BaseModel)

PROBLEMS_SHOWN = 20


Check = Callable[[dict[str, Any]], Sequence[str]]
"""Lists what is wrong with the data of an answer that fits its schema, in words for the model."""


@dataclass(frozen=True)
class Answer:
    """What an agent answered.

    Attributes:
        content: The answer by reference; `text` gives it in words.
        agent: Who answered in the end: the agent that was asked, or a fallback.
        data: The answer as JSON data, where a schema or a type was asked for; else None.
        notes: What happened on the way: repairs, fallbacks, parts that were cut.
        wrong: How `data` breaks the schema, where the asker accepts that.
        findings: What the model found on the web by itself, by reference.
        left_out_characters: How much of the labelled parts the model was not shown, in characters.
    """

    content: Content
    agent: str
    data: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    findings: tuple[Part, ...] = ()
    left_out_characters: int = 0

    @property
    def text(self) -> str:
        """The answer in words, whole where it is short (CONTENT_INLINE_BYTES, 1 KiB); else its beginning, 200 characters at most.

        To return or pass on an answer of any length, use `content`.
        """
        return self.content.summary if self.content.text is None else self.content.text


@dataclass(frozen=True)
class TypedAnswer(Answer, Generic[Model]):
    """An answer with its `value`, of the type that was asked for."""

    value: Model = None  # type: ignore[assignment]  # always given; a field behind others with defaults needs one

    @classmethod
    def of(cls, answer: Answer, kind: type[Model]) -> "TypedAnswer[Model]":
        """Read the value of an answer; raises OutputInvalid where it holds none, because its agent was stopped before."""
        if answer.data is None:
            raise non_retryable(
                ErrorKind.OUTPUT_INVALID, f"{answer.agent} stopped before its answer fitted {kind.__name__}"
            )
        return cls(**vars(answer), value=kind.model_validate_json(json.dumps(answer.data)))


@dataclass
class LoopState:
    """How far a loop is; `left` holds the messages that open the next turn."""

    transcript: Transcript | None = None
    left: tuple[Message, ...] = ()
    turns: int = 0
    tool_calls: int = 0
    compactions: int = 0
    tokens: int = 0
    repairs: int = 0
    handoffs: int = 0


@dataclass(frozen=True)
class LoopEnd:
    """How a loop ended: the last words, and `stopped` with the reason if a limit ended it.

    `findings` refer to what the model found on the web by itself.
    """

    content: Content
    stopped: str = ""
    findings: tuple[Part, ...] = ()
    data: dict[str, Any] | None = None
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@lru_cache
def schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema that an answer of this type has to fit; raises InputInvalid for a type that is no object."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        raise TypeError(f"ask(result={kind!r}): give a pydantic model")
    schema = kind.model_json_schema()
    top = schema
    while (name := str(top.get("$ref", ""))).startswith("#/$defs/"):
        top = schema["$defs"][name.removeprefix("#/$defs/")]
    if top.get("type", "object") != "object":
        raise non_retryable(
            ErrorKind.INPUT_INVALID,
            f"result: {kind.__name__} is no object but {top['type']}, and answers are objects; make it a field of a model",
        )
    return schema


def problems_of(data: dict[str, Any], kind: type[BaseModel]) -> Sequence[str]:
    """List in words for the model what is wrong with an answer of this type, beyond what its schema can say."""
    try:
        kind.model_validate_json(json.dumps(data))
    except ValidationError as error:
        return tuple(
            f"{'.'.join(map(str, each['loc'])) or 'the answer'}: {each['msg']}"
            for each in error.errors(include_url=False)[:PROBLEMS_SHOWN]
        )
    return ()


def checked(turn: ModelTurn, check: Check | None) -> tuple[str, ...]:
    """List what the asker finds wrong with the data of an answer."""
    return tuple(check(turn.data)) if check is not None and turn.data is not None else ()
