"""What every contract is made of: frozen, lenient to unknown fields, and texts by reference."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

SUMMARY_LENGTH = 200
"""Longest summary, in characters."""


class Contract(BaseModel):
    """A frozen message that ignores fields it does not know and writes only those that differ from their default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    recorded: ClassVar[bool] = True
    """Whether it lands in history; the size limit holds for those that do."""

    starts_run: ClassVar[bool] = False
    """Whether people start runs with it, so that what cannot be read as one is their mistake and none of ours."""

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if not field.is_required() and getattr(self, name) == field.get_default(call_default_factory=True):
                data.pop(name, None)
        return data


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
