"""Reads what `refund` is given: a file, options, or a file of which options replace parts; checked before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.cli.inputs import read_json
from outlast.cli.leaving import WRONG, LeavingError
from samples.refund.contracts import ORDER_NAME

FIXES = {
    "order": "name the order as the database has it (letters, digits, - and _), by --order or in the file",
    "text": "write what the customer says, by --text or in the file",
    "amount": "write an amount of more than 0, as in 12.50, or leave it out",
}


class WrittenRequest(BaseModel):
    """A request for a refund as people write it."""

    model_config = ConfigDict(extra="forbid")

    order: str = Field(pattern=ORDER_NAME)
    """Which order, as the database has it."""
    text: str = Field(min_length=1)
    """What the customer writes."""
    amount: float | None = Field(default=None, ge=0.01, le=1e9)
    """What is asked for, in whole units of the currency; None leaves it to the agent."""


def read_refund(file: Path | None, options: Mapping[str, Any]) -> WrittenRequest:
    """Read a request; options win over the file. Raises LeavingError that names each wrong field and the fix."""
    data = read_json(file, "FILE") if file is not None else {}
    if not isinstance(data, dict):
        raise LeavingError(
            WRONG, f'FILE {file}: write an object: {{"order": "ORD-1001", "text": "…", "amount": 180.00}}'
        )
    try:
        return WrittenRequest.model_validate({**data, **options})
    except ValidationError as error:
        fields = [".".join(map(str, each["loc"])) for each in error.errors()]
        listed = "; ".join(f"{field}: {FIXES.get(field, 'there is no such field; leave it out')}" for field in fields)
        raise LeavingError(WRONG, listed if file is None else f"FILE {file}: {listed}") from error


def cents(amount: float | None) -> int | None:
    """Turn an amount as people write it into cents."""
    return None if amount is None else round(amount * 100)
