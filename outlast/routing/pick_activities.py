"""Checks what a model filled in for the routes it picked, against the schemas that it saw.

Filled inputs may be large, so they are read and kept here and a workflow sees references only.
"""

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json
from temporalio import activity

from outlast.contracts import Part, ToolCall, ToolSpec
from outlast.documents.parsing.pool import PARSERS
from outlast.documents.parsing.schemas import SchemaInvalidError, schema_problem, violations
from outlast.errors import ErrorKind, non_retryable
from outlast.routing.contracts import Pick, Picks, PicksRequest
from outlast.storage.activities import ContentStore

_SPECS = TypeAdapter(tuple[ToolSpec, ...])


class RoutePickActivities:
    """Checks picks on behalf of workflows."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def check_picks(self, request: PicksRequest) -> Picks:
        """Check every pick; a wrong one is an answer here, because the model can correct it.

        Raises InputInvalid (non-retryable) where a route's own schema is wrong, and the content store's errors.
        """
        specs = {spec.name: spec for spec in _SPECS.validate_json(await self._store.text(request.specs))}
        return Picks(picks=tuple([await self._checked(call, specs) for call in request.calls]))

    async def _checked(self, call: ToolCall, specs: dict[str, ToolSpec]) -> Pick:
        spec = specs.get(call.name)
        if spec is None:
            names = ", ".join(specs)
            return Pick(
                id=call.id, tool=call.name[:64], wrong=(f"there is no tool {call.name[:64]!r}; there are {names}",)
            )
        filled: Any = dict(call.input)
        if call.ref is not None:
            filled = from_json(await self._store.text(Part(ref=call.ref)))
        wrong = await PARSERS.off_loop(_wrong, filled, spec)
        if wrong or not filled:
            return Pick(id=call.id, tool=call.name, wrong=wrong)
        written = json.dumps(filled, ensure_ascii=False)
        kept = await self._store.keep(written, media_type="application/json")
        return Pick(id=call.id, tool=call.name, filled=kept)


def _wrong(filled: Any, spec: ToolSpec) -> tuple[str, ...]:
    problem = schema_problem(spec.input_schema, patterns=False)
    try:
        wrong = () if problem else violations(filled, spec.input_schema)
    except SchemaInvalidError as error:
        problem = str(error)
    if problem:
        raise non_retryable(ErrorKind.INPUT_INVALID, f"the input_schema of {spec.name!r} is wrong: {problem}")
    return wrong
