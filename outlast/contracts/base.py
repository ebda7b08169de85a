"""What every contract is made of: frozen, lenient to unknown fields, and texts by reference."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

SUMMARY_LENGTH = 200
"""Longest summary, in characters."""


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


class Content(Contract):
    """A text by reference: short texts travel inline (`text`), longer ones in the content store (`ref`, sha-256).

    `size` is in bytes of UTF-8.
    """

    summary: Summary = ""
    size: int = 0
    media_type: str = "text/plain"
    text: str | None = None
    ref: str | None = None


class Part(Contract):
    """One piece of a message: inline text or a reference to it, labelled when it comes from somewhere (`step 2`)."""

    text: str | None = None
    ref: str | None = None
    label: str = ""

    @classmethod
    def of(cls, content: Content, label: str = "") -> "Part":
        """Point at a content without repeating its summary."""
        return cls(text=content.text, ref=content.ref, label=label)


class StoreRequest(Contract):
    """A text to keep in the content store; `by_reference` keeps it out of history however short it is.

    Only for local activities, whose input is not recorded: so it may be larger than history could hold.
    """

    recorded: ClassVar[bool] = False

    text: str
    media_type: str = "text/plain"
    summary: Summary = ""
    by_reference: bool = False
