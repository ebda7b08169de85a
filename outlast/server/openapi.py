"""The OpenAPI document, made of the list of operations and of the models that they take and give."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from outlast import __version__
from outlast.server.operations import Operation, Problem

PROBLEMS = {
    400: "The body cannot be read",
    401: "No token, or one that is not known",
    403: "The token lacks the scope",
    404: "There is no such run",
    409: "It cannot be done as things stand",
    413: "The body is too large",
    415: "The body is not declared as what it must be",
    421: "The server has another name",
    422: "A field is wrong",
    429: "Too many requests",
    503: "Temporal, a worker or the content store does not answer",
}
ALWAYS = (401, 403, 421, 422, 429, 503)
WITH_BODY = (400, 413, 415)
REFERENCE = "#/components/schemas/{model}"
Mode = Literal["validation", "serialization"]


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document."""
    models: dict[tuple[type[BaseModel], Mode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        models |= {(model, "validation"): None for model in (operation.body, operation.query) if model}
        models |= {(model, "serialization"): None for model in operation.gives.values() if not isinstance(model, str)}
    references, schemas = models_json_schema(list(models), ref_template=REFERENCE)
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "outlast", "version": __version__, "description": "Start, follow and steer durable runs."},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(operation: Operation, references: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
              for name in re.findall(r"{(\w+)}", operation.path)),
            *_query(operation.query),
            *({"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
              for name, text in operation.headers.items()),
        ],
        "responses": {str(status): _given(model, references) for status, model in sorted(operation.gives.items())},
    }  # fmt: skip
    if operation.scope is not None:
        described["x-scope"] = str(operation.scope)
    elif operation.signed_by is not None:
        described["security"] = []  # a signature, in headers of its own
    if operation.body is not None:
        schema = references[operation.body, "validation"]
        described["requestBody"] = {"required": True, "content": {operation.takes: {"schema": schema}}}
    elif operation.method == "PUT":
        described["requestBody"] = {"required": True, "content": {"*/*": {"schema": {}}}}
    wrong = {*ALWAYS, *operation.fails, *(WITH_BODY if operation.method != "GET" else ())}
    problem = {"application/json": {"schema": references[Problem, "serialization"]}}
    for status in sorted(wrong):
        described["responses"][str(status)] = {"description": PROBLEMS[status], "content": problem}
    return described


def _query(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    read = model.model_json_schema()
    return [
        {"name": name, "in": "query", "required": name in read.get("required", ()), "schema": schema}
        for name, schema in read["properties"].items()
    ]


def _given(model: type[BaseModel] | str, references: Any) -> dict[str, Any]:
    if isinstance(model, str):
        return {"description": "OK", "content": {model: {}}}  # a page or a stream of events, which no schema describes
    schema = references[model, "serialization"]
    return {"description": (model.__doc__ or "OK").strip(), "content": {"application/json": {"schema": schema}}}
