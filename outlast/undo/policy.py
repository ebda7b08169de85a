"""How far a person wants a run rolled back, read from whatever they sent; and where a guarded run continues as new."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import ValidationError

from outlast.contracts import ROLL_BACK_ALL, Extent, RollbackPolicy
from outlast.workflow.inputs import only


class Border(Protocol):
    """Where a run continues as new."""

    def quiet(self) -> bool:
        """Whether the run is to continue as new, and nothing is at work."""

    async def cross(self) -> None:
        """Continue as new; returns where something came up meanwhile."""


def read_policy(arguments: Sequence[Any]) -> RollbackPolicy | None:
    """Read whatever a person sent; None if it means nothing."""
    try:
        sent = only(arguments)
    except ValueError:
        return None
    if sent is None:
        return ROLL_BACK_ALL
    if isinstance(sent, str):
        sent = {} if sent.casefold() == Extent.ALL else {"checkpoint": sent}
    if not isinstance(sent, Mapping):
        return None
    if not set(sent) <= set(RollbackPolicy.model_fields):
        return None  # a mistyped checkpoint must not become a rollback of everything
    extent = Extent.TO_CHECKPOINT if sent.get("checkpoint") else Extent.ALL
    try:
        policy = RollbackPolicy.model_validate({"extent": extent, **sent})
    except ValidationError:
        return None
    return None if policy.extent is Extent.KEEP else policy
