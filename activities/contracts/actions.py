"""Actions that need a person's yes: what is proposed, its digest, and the approval that the acting activity checks.

The trap: what was approved and what is executed are held by different processes. So both compute the digest with the one
function here, of the same four fields, and a single changed argument makes it another action.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field

from activities.contracts.base import Contract, Summary
from activities.contracts.effects import Effect

SHORT_DIGEST = 12
"""Characters of a digest that people see and may send back: enough to tell the actions of one run apart."""


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

    Arguments are inline, or JSON in the content store (`ref`) when they are large. `target` is what the action changes: an
    account, a path, an address.
    """

    description: Summary
    agent: str = ""
    tool: str = ""
    input: Mapping[str, Any] = Field(default_factory=dict)
    ref: str | None = None
    effect: Effect = Effect.IRREVERSIBLE
    risk: Risk = Risk.MEDIUM
    target: str = ""

    @property
    def digest(self) -> str:
        """The digest of this action; raises ValueError where arguments are no JSON."""
        return digest_of(self, agent=self.agent, target=self.target)


class Approval(Contract):
    """A person's yes to one action of one run: passed to the activity that acts, which checks it against its own request."""

    workflow_id: str
    gate: str
    digest: str
    by: tuple[str, ...]
    agent: str = ""
    target: str = ""


def digest_of(acting: Acting, *, agent: str = "", target: str = "") -> str:
    """Name an action by the sha-256 (hex) of the canonical JSON of agent, tool, arguments and target.

    Arguments by reference count as their reference, which is itself a hash of them. Raises ValueError for arguments that
    JSON cannot carry unchanged.
    """
    arguments = {"input": dict(acting.input)} if acting.ref is None else {"ref": acting.ref}
    return hashed({"agent": agent, "tool": acting.tool, "target": target, **arguments})


def hashed(data: Mapping[str, Any]) -> str:
    """Return the sha-256 (hex) of data as canonical JSON: keys sorted, no spaces, ASCII; raises ValueError for anything else."""
    try:
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"arguments: JSON cannot carry them unchanged ({error}); use text, numbers, lists and objects"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def same_digest(whole: str, named: str) -> bool:
    """Whether a person means this digest: written in full, or its first 12 characters or more."""
    wanted = named.strip().rstrip("…").casefold()
    return len(wanted) >= SHORT_DIGEST and whole.startswith(wanted)
