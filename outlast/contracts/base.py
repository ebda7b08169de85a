"""What every contract is made of: frozen, lenient to unknown fields, and texts by reference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SUMMARY_LENGTH = 200
"""Longest summary, in characters."""


@dataclass(frozen=True)
class Carried:
    """The mark of a field that only continue-as-new may fill."""


CARRIED = Carried()
"""Write `gates: Annotated[GatesCarried, CARRIED] = GatesCarried()`; such a field has a default."""


class Contract(BaseModel):
    """A frozen message that ignores fields it does not know and writes only those that differ from their default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    recorded: ClassVar[bool] = True
    """Whether it lands in history; the size limit holds for those that do."""

    starts_run: ClassVar[bool] = False
    """Whether people start runs with it, so that what cannot be read as one is their mistake and none of ours."""

    def model_dump(self, *, exclude_defaults: bool = True, **options: Any) -> dict[str, Any]:
        """Return the fields as data; those that have their default are left out unless they are asked for."""
        return super().model_dump(exclude_defaults=exclude_defaults, **options)

    def model_dump_json(self, *, exclude_defaults: bool = True, **options: Any) -> str:
        """Return the fields as JSON; those that have their default are left out unless they are asked for."""
        return super().model_dump_json(exclude_defaults=exclude_defaults, **options)


Summary = Annotated[str, Field(max_length=SUMMARY_LENGTH)]


NO_SUCH_FIELD = "there is no such field"


def wrong_fields(error: ValidationError, whole: str = "input") -> list[str]:
    """Say which fields hold a wrong value, and why; pydantic's own text adds the values and addresses of its manual.

    `whole` names what was read, where all of it is wrong.
    """
    wrong = error.errors(include_url=False, include_input=False)
    return [f"{'.'.join(map(str, one['loc'])) or whole}: {one['msg']}" for one in wrong]


def problems_in(kind: type[Contract], data: Any) -> list[str]:
    """Name what keeps JSON data from being read as a contract, or else what was written and is no field of it."""
    try:
        return list(unknown_in(kind.model_validate(data), data))
    except ValidationError as error:
        return wrong_fields(error)


def unknown_in(read: Any, data: Any, path: str = "") -> Iterator[str]:
    """Name what was written and is no field of what was read from it, with the fields that there are.

    A contract passes over such fields, because a newer program may send them. What a person writes is another matter: a policy
    with a field misspelt is a weaker policy, and nobody would hear of it.
    """
    if isinstance(read, Contract) and isinstance(data, Mapping):
        known = {field.alias or name: name for name, field in type(read).model_fields.items()}
        unknown = [name for name in data if name not in known and name not in known.values()]
        if type(read).model_config.get("extra") == "ignore":
            fields = type(read).model_fields
            offered = ", ".join(written for written, name in known.items() if CARRIED not in fields[name].metadata)
            yield from (f"{path}{name}: {NO_SUCH_FIELD}; known are {offered}" for name in unknown)
        for written, name in known.items():
            yield from unknown_in(getattr(read, name), data.get(written, data.get(name)), f"{path}{written}.")
    elif isinstance(read, Mapping) and isinstance(data, Mapping):
        for name, value in read.items():
            yield from unknown_in(value, data.get(name), f"{path}{name}.")
    elif isinstance(read, tuple | list) and isinstance(data, list) and len(read) == len(data):
        for position, (value, written) in enumerate(zip(read, data, strict=True)):
            yield from unknown_in(value, written, f"{path}{position}.")


class Content(Contract):
    """A text by reference: short texts travel inline, longer ones in the content store."""

    summary: Summary = ""
    """What the text says, at most 200 characters; empty where that would repeat `text`."""
    size: int = 0
    """Size of the text, in bytes of UTF-8."""
    media_type: str = "text/plain"
    """Media type of the text: `text/plain`, `application/json`."""
    text: str | None = None
    """The text itself where it is short; None where it is in the content store."""
    ref: str | None = None
    """Its key in the content store (sha-256, hex); None where the text is inline."""


class Part(Contract):
    """One piece of a message: inline text or a reference to it."""

    text: str | None = None
    """The text itself; None where it is in the content store."""
    ref: str | None = None
    """Key of the text in the content store (sha-256, hex); None where it is inline."""
    label: str = ""
    """Where the text comes from (`step 2`), shown to the model; empty: it comes without a label."""

    @classmethod
    def of(cls, content: Content, label: str = "") -> "Part":
        """Point at a content without repeating its summary."""
        return cls(text=content.text, ref=content.ref, label=label)


class StoreRequest(Contract):
    """A text to keep in the content store.

    Only for local activities, whose input is not recorded: so it may be larger than history could hold.
    """

    recorded: ClassVar[bool] = False

    text: str
    """The text to keep."""
    media_type: str = "text/plain"
    """Media type of the text: `text/plain`, `application/json`."""
    summary: Summary = ""
    """What to show in place of the text, at most 200 characters; empty: its beginning."""
    by_reference: bool = False
    """Whether to keep it out of history however short it is."""
    earlier: tuple[str, ...] = ()
    """For a report: keys of step traces (`Trace`) in the content store whose calls come before its own, oldest first."""
    archived: tuple[str, ...] = ()
    """For a report: keys of steps (`StepOutcomes`) in the content store that take the place of its own of that name."""


class StoreWait(Contract):
    """Asks to wait for a content store that a local activity did not reach."""

    since: datetime
    """When the run first met the outage, by its own clock (UTC)."""
    reason: str
    """What the store answered, or that it does not answer."""
    turn: int = 1
    """How often the run has waited for this one call, from 1 on."""


class NoOp(Contract):
    """Asks for nothing."""


class PackedRequest(Contract):
    """Asks for a text of the content store, packed to travel through history."""

    ref: str
    """Key of the text in the content store."""
    piece: int = 0
    """Which piece of the packed text, from 0 on."""
    steps: tuple[str, ...] = ()
    """Of `StepOutcomes`: the steps whose outcomes are wanted, and no rows; empty: the whole text."""


class Packed(Contract):
    """A piece of a packed text."""

    recorded: ClassVar[bool] = False

    data: str
    """The piece: base64 of a part of the text as xz stream."""
    pieces: int = 1
    """How many pieces there are."""


class OutageWait(Contract):
    """What a running activity waits for in place; sent with its heartbeats, after its progress."""

    waits_for: str
    """What is away."""
    setting: str
    """Name of the setting that bounds the wait."""
    reason: str
    """What it answered last, or that it does not answer."""
    since: datetime
    """When the wait began, by the server's clock."""
    until: datetime
    """When it is over at the latest, by the server's clock; the run may allow the call less."""
    attempt: int = 1
    """Which attempt of the activity waits, from 1 on: the server keeps heartbeats of earlier ones."""
