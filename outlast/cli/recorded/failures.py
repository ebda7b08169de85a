"""Failures as history holds them, made readable: where messages are encrypted, so are the texts of failures.

The trap: such a failure says "Encoded failure" and is a failure all the same; only its words and its stack are sealed.
"""

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter


async def unsealed(converter: DataConverter, event: HistoryEvent) -> HistoryEvent:
    """Give the failures of an event their words back, in place."""
    name = event.WhichOneof("attributes")
    attributes = getattr(event, name) if name else None
    for field in ("failure", "last_failure"):
        if attributes is not None and field in attributes.DESCRIPTOR.fields_by_name and attributes.HasField(field):
            await unseal(converter, getattr(attributes, field))
    return event


async def unseal(converter: DataConverter, failure: Failure) -> Failure:
    """Give a failure and its causes their words back, in place."""
    if failure.HasField("cause"):
        await unseal(converter, failure.cause)
    if failure.HasField("encoded_attributes"):
        (told,) = await converter.decode([failure.encoded_attributes], [dict])
        failure.message, failure.stack_trace = str(told.get("message", "")), str(told.get("stack_trace", ""))
    return failure
