"""What every request that starts a run has in common: wrong input fails the run, and carried state cannot be made up.

A run that continues as new carries its gates, changes and progress in its own request. Whoever starts a run could write the same
fields by hand, an approval for instance; so each such field is marked `CARRIED` and refused in a first run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from activities.contracts import Contract


@dataclass(frozen=True)
class Carried:
    """The mark of a field that only continue-as-new may fill."""


CARRIED = Carried()
"""Write `gates: Annotated[GatesCarried, CARRIED] = GatesCarried()`; such a field has a default."""


class StartRequest(Contract):
    """Base of all that a run is started with: what cannot be read as one fails the run, where any other message pauses it."""

    starts_run: ClassVar[bool] = True


def carried_in(given: Contract, path: str = "") -> Iterator[str]:
    """Name the fields of a request that only continue-as-new may fill, and that are filled, nested ones by their path."""
    for name, field in type(given).model_fields.items():
        value = getattr(given, name)
        if CARRIED in field.metadata:
            if value != field.get_default(call_default_factory=True):
                yield f"{path}{name}"
            continue
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Contract):
                yield from carried_in(each, f"{path}{name}.")
