"""The tool by which an agent asks a person. The run itself puts the question and waits; what is here checks forms."""

import json
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from outlast.documents.parsing.pool import PARSERS
from outlast.documents.parsing.schemas import SchemaInvalidError, schema_problem, violations
from outlast.tools.tool import Tool, ToolError, tool


class AskPerson(BaseModel):
    """Arguments of ask_person."""

    question: str = Field(min_length=1, max_length=2000, description="the question, in one or two sentences")
    options: list[str] = Field(
        default_factory=list, max_length=25, description="the answers to choose from; leave it out for a free text"
    )
    form: dict[str, Any] | None = Field(
        default=None, description="JSON schema of an object that the person shall fill in; leave it out for a text"
    )
    filled: SkipJsonSchema[Any] = None
    """What a person has filled in; only the run gives it."""


def people_tools() -> list[Tool]:
    """Make the tool."""

    @tool()
    async def ask_person(arguments: AskPerson) -> str:
        """Ask a person something that only a person can know or decide, and wait for the answer, however long it takes."""
        if arguments.form is None:
            return json.dumps(arguments.filled, ensure_ascii=False)
        if problem := await PARSERS.off_loop(schema_problem, arguments.form):
            raise ToolError(f"form: {problem}")
        if arguments.filled is None:
            return "the form can be filled in"
        try:
            wrong = await PARSERS.off_loop(violations, arguments.filled, arguments.form)
        except SchemaInvalidError as error:
            raise ToolError(f"form: {error}") from None
        if wrong:
            raise ToolError("; ".join(wrong))
        return json.dumps(arguments.filled, ensure_ascii=False)

    return [ask_person]
