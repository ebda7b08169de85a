"""Actions that need a person's approval: what is proposed, its digest, and the approval that the acting activity checks.

What was approved and what is executed are held by different processes. So both compute the digest with the one
function here, of the same four fields, and a single changed argument makes it another action.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field, field_validator

from outlast.contracts.base import SUMMARY_LENGTH, Contract, Summary
from outlast.display import escaped_json

_NAME = re.compile(r"\{([a-z_][a-z0-9_.]*)\}")
_SEGMENT = r"([A-Za-z0-9_~-][A-Za-z0-9._~-]*)"
"""What a placeholder stands for: one piece of a path that no server reads as anything else (no `..`, no `%2F`, no `?`)."""
_BODY = "body."


class Effect(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    """Changes nothing."""
    WRITE = "write"
    """Changes something, and names a tool that undoes it."""
    IRREVERSIBLE = "irreversible"
    """Cannot be undone: each call waits for a person."""


class UndoablePair(Contract):
    """A request over HTTP and the one that undoes it, as the operator declared them.

    Addresses are templates: `{order}` in `url` stands for one piece of the path, and for the same piece in `undo_url`, where
    `{body.id}` stands for a field of the request's JSON body. Anything else in an address is compared as it is written.
    """

    method: str
    """HTTP method of the request, in capitals: `POST`."""
    url: str
    """Address of the request, as a template."""
    undo_method: str
    """HTTP method of the request that undoes it, in capitals: `DELETE`."""
    undo_url: str
    """Address of the request that undoes it, as a template."""

    def inverse_of(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the request (`method`, `url`) that undoes this one; None where this is not the declared one."""
        if request.get("method") != self.method:
            return None
        names = _NAME.findall(self.url)
        literal = [re.escape(piece) for piece in _NAME.split(self.url)[::2]]
        found = re.fullmatch(_SEGMENT.join(literal), str(request.get("url")))
        if found is None:
            return None
        body = request.get("body")
        fields = {f"{_BODY}{name}": value for name, value in body.items()} if isinstance(body, Mapping) else {}
        known: dict[str, Any] = {**fields, **dict(zip(names, found.groups(), strict=True))}
        values = {name: str(known.get(name, "")) for name in _NAME.findall(self.undo_url)}
        if not all(re.fullmatch(_SEGMENT, value) for value in values.values()):
            return None
        return {"method": self.undo_method, "url": _NAME.sub(lambda match: values[match[1]], self.undo_url)}


SHORT_DIGEST = 12
"""Characters of a digest that people see and may send back: enough to tell the actions of one run apart."""
ARGUMENTS_SHOWN = 1_000
"""Characters of arguments that go wherever a gate is shown; more are shown only where there is room for all of them."""
COUNTS_SHOWN = 12
LONG_TEXT = 200
"""Characters from which on a text among the arguments is counted."""


class Risk(StrEnum):
    """How bad a wrong yes would be."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Acting(Protocol):
    """Whatever asks an activity to act: a `ToolRequest`, or any contract with these fields."""

    @property
    def tool(self) -> str:
        """The name of the tool."""
        ...

    @property
    def input(self) -> Mapping[str, Any]:
        """Its arguments."""
        ...

    @property
    def ref(self) -> str | None:
        """Its arguments in the content store, in place of `input`."""
        ...


class ProposedAction(Contract):
    """An action that waits for a person: what in words, and exactly which call.

    Example:
        ```python
        ProposedAction(description="Refund 180 € for order 7", tool="refund", input={"order": 7, "cents": 18000}, risk="high")
        ```
    """

    description: Summary
    """What shall be done, in words; cut after 200 characters."""
    agent: str = ""
    """Name of the agent that proposes it; empty where the workflow itself does."""
    tool: str = ""
    """Name of the tool to call; empty where the action is no tool call."""
    input: Mapping[str, Any] = Field(default_factory=dict)
    """Arguments of the call; empty where they are in the content store."""
    ref: str | None = None
    """Arguments as JSON in the content store (sha-256), in place of `input`, when they are large."""
    effect: Effect = Effect.IRREVERSIBLE
    """What the call does to the world."""
    risk: Risk = Risk.MEDIUM
    """How bad a wrong approval would be; a gate policy may give each risk its own deadline."""
    target: str = ""
    """What the action changes: an account, a path, an address."""

    @field_validator("description", mode="before")
    @classmethod
    def _fits(cls, value: object) -> object:
        # A description is often a model's text; a refusal here would stop the run's task, again and again.
        return (
            value if not isinstance(value, str) or len(value) <= SUMMARY_LENGTH else f"{value[: SUMMARY_LENGTH - 1]}…"
        )

    @property
    def digest(self) -> str:
        """The digest of this action; raises ValueError where arguments are no JSON."""
        return digest_of(self, agent=self.agent, target=self.target)


class ArgumentsShown(Contract):
    """The arguments of an action as people see them."""

    text: str = ""
    """The arguments as JSON, cut after 1,000 characters."""
    size: int = 0
    """Size of all of them as JSON, in bytes of UTF-8."""
    counts: tuple[str, ...] = ()
    """Items, fields and characters of what is long, as `to: 2 items`; at most 12 and a count of the others."""
    whole: bool = True
    """Whether `text` holds all of them; false where it was cut."""


class Produced(Contract):
    """What an earlier step came to, as whoever decides on the next one sees it."""

    step: str
    """Name of the step."""
    agent: str = ""
    """Name of the agent that did it."""
    summary: Summary
    """The beginning of its result, at most 200 characters."""


class Approval(Contract):
    """A person's approval of one action of one run: passed to the activity that acts, which checks it against its own
    request."""

    workflow_id: str
    """Workflow id of the run that it was given to."""
    run: str = ""
    """Run id under which the gate was opened; a run that was reset since has another one, and asks again."""
    gate: str
    """Name of the gate that was approved."""
    digest: str
    """Digest of the approved action: sha-256, 64 hex digits."""
    by: tuple[str, ...]
    """Names of the people who approved."""
    agent: str = ""
    """Name of the agent that proposed the action; part of the digest."""
    target: str = ""
    """What the action changes; part of the digest."""
    standing: Summary = ""
    """By whom and within which bounds all such calls are approved in this run; empty: this one was at its gate."""

    @property
    def description(self) -> str:
        """By whom the action is approved, in one line."""
        return self.standing or f"approved by {', '.join(self.by)} ({self.gate})"


def shown(arguments: Mapping[str, Any]) -> ArgumentsShown:
    """Show arguments, cut where they are long, and count what is in them."""
    text = escaped_json(json.dumps(dict(arguments), ensure_ascii=False, default=str))
    whole = len(text) <= ARGUMENTS_SHOWN
    counts = list(_counts("", arguments))
    more = (f"and {len(counts) - COUNTS_SHOWN} more",) if len(counts) > COUNTS_SHOWN else ()
    return ArgumentsShown(
        text=text if whole else f"{text[:ARGUMENTS_SHOWN]}…",
        size=len(text.encode("utf-8", "replace")),
        counts=(*counts[:COUNTS_SHOWN], *more),
        whole=whole,
    )


def invisible(one: str) -> bool:
    """Whether nothing shows a character by itself: format and control characters, fillers, variation selectors."""
    return (
        unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        or one in FILLERS
        or "\ufe00" <= one <= "\ufe0f"
        or "\U000e0100" <= one <= "\U000e01ef"
    )


FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""Letters and marks that are invisible."""


def _counts(path: str, value: Any, depth: int = 3) -> Iterator[str]:
    if isinstance(value, str) and len(value) > LONG_TEXT:
        yield f"{path}: {len(value):,} characters"
    elif isinstance(value, list | tuple):
        yield f"{path}: {len(value):,} item{'' if len(value) == 1 else 's'}"
    elif isinstance(value, Mapping):
        if path:
            yield f"{path}: {len(value):,} field{'' if len(value) == 1 else 's'}"
        for name, inner in value.items() if depth else ():
            yield from _counts(f"{path}.{name}"[-60:] if path else str(name)[:60], inner, depth - 1)


def digest_of(acting: Acting, *, agent: str = "", target: str = "") -> str:
    """Name an action by the sha-256 (hex) of the canonical JSON of agent, tool, arguments and target.

    Arguments by reference count as their reference, which is itself a hash of them. Raises ValueError for arguments that
    JSON cannot carry unchanged.
    """
    arguments = {"input": dict(acting.input)} if acting.ref is None else {"ref": acting.ref}
    return hashed({"agent": agent, "tool": acting.tool, "target": target, **arguments})


CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def hashed(data: Mapping[str, Any]) -> str:
    """Return the sha-256 (hex) of data as canonical JSON: keys sorted, no spaces, ASCII; raises ValueError for anything else."""
    try:
        text = CANONICAL.encode(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"arguments: JSON cannot carry them unchanged ({error}); use text, numbers, lists and objects"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def same_digest(whole: str, named: str) -> bool:
    """Whether a person means this digest: written in full, or its first 12 characters or more."""
    wanted = named.strip().rstrip("…").casefold()
    return len(wanted) >= SHORT_DIGEST and whole.startswith(wanted)


def visible(text: str) -> str:
    """Leave out the characters that nothing shows: format characters, fillers, variation selectors."""
    return "".join(one for one in text if not invisible(one) or one.isspace())


def named(name: str) -> str:
    """Write a person's name as it is compared: neither case, spaces, compatibility forms nor invisible characters count.

    Letters of other scripts that look alike do count: signed decisions (APPROVER_SECRET) prevent impersonation.
    """
    if name.isascii() and name.isprintable():
        return " ".join(name.split()).casefold()
    folded = unicodedata.normalize("NFKC", visible(unicodedata.normalize("NFKC", name))).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
