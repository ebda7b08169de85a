"""What an operation of the HTTP API is, and how a request becomes a call of it: who, what, and which error for what is wrong."""

from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from temporalio.client import WorkflowExecutionDescription, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.kinds import SYSTEM
from outlast.cli.leaving import UNSERVED, LeavingError
from outlast.cli.reaching import Reach
from outlast.client import ServerUnavailableError
from outlast.contracts import unknown_in, wrong_fields
from outlast.errors import ErrorKind
from outlast.server.access import Caller, Scope

M = TypeVar("M", bound=BaseModel)

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MOST_PROBLEMS, LONGEST_PROBLEM = 20, 4000
"""Wrong fields that one answer names, and its characters."""


class HttpError(Exception):
    """A request is answered with this status; the message names the field and the fix."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class Body(BaseModel):
    """Base of what requests carry: a field that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str
    """What is wrong, and what to do."""


@dataclass(frozen=True)
class Call:
    """One request to an operation, read and allowed; `params` come from the path, `query` and `body` as the operation says."""

    reach: Reach
    caller: Caller
    request: Request
    params: Mapping[str, str]
    query: Any
    body: Any

    async def find(self) -> WorkflowExecutionDescription:
        """Describe the run that the path names; raises HttpError if there is none."""
        return await find(self.reach, self.params["id"])


Answer = BaseModel | Response | tuple[int, BaseModel]


@dataclass(frozen=True)
class Operation:
    """One operation: what it is called, who may call it, what it takes and gives; None for no scope means everybody."""

    name: str
    method: str
    path: str
    scope: Scope | None
    summary: str
    call: Callable[[Call], Awaitable[Answer]]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    gives: Mapping[int, type[BaseModel] | str] = field(default_factory=dict)
    """What it answers by status: a model, or a media type."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that it knows, and what they are for."""
    fails: tuple[int, ...] = ()
    """Statuses of errors beside those that every operation has."""
    takes: str = JSON
    """Media type of the body. Anything but JSON any page may send without asking first, so it must be signed."""
    signed_by: Callable[[Request], Awaitable[Caller | None]] | None = None
    """Who calls by a signature instead of a token; None where there is none. It raises HttpError for a wrong one."""


async def read_call(operation: Operation, reach: Reach, caller: Caller, request: Request, params: Any) -> Call:
    """Read query and body of a request; raises HttpError naming what is wrong."""
    query = validated(operation.query, dict(request.query_params)) if operation.query else None
    body = None
    if operation.method == "POST":
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != operation.takes:
            raise HttpError(415, f"Content-Type: must be {operation.takes}")
        read = read_json if operation.takes == JSON else read_form
        body = validated(operation.body, read(await request.body())) if operation.body else None
    return Call(reach, caller, request, params, query, body)


def read_json(body: bytes) -> Any:
    """Read a body, nested no deeper than can be kept, and without half characters; raises HttpError."""
    try:
        return from_json(body.removeprefix(BOM_UTF8) or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise HttpError(400, f"the body is not JSON: {error}") from error


def read_form(body: bytes) -> Any:
    """Read a form; raises HttpError."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise HttpError(400, f"the body is not a form: {error}") from error


def validated(model: type[M], data: Any) -> M:
    """Read a model from JSON data; raises HttpError naming what is wrong.

    Of what starts a run no field is passed over: one that is misspelt may be who has to approve.
    """
    try:
        read = model.model_validate(data)
    except ValidationError as error:
        raise HttpError(422, problems_of(error)) from error
    unknown = unknown_in(read, data) if getattr(model, "starts_run", False) else ()
    if found := "; ".join(islice(unknown, MOST_PROBLEMS)):
        raise HttpError(422, found[:LONGEST_PROBLEM])
    return read


def problems_of(error: ValidationError) -> str:
    """Name each wrong field, and why."""
    return "; ".join(wrong_fields(error, "body")[:MOST_PROBLEMS])[:LONGEST_PROBLEM]


def answered(answer: Answer) -> Response:
    """Write what an operation gave."""
    if isinstance(answer, Response):
        return answer
    status, model = answer if isinstance(answer, tuple) else (200, answer)
    return JSONResponse(written(model), status)


def written(model: BaseModel) -> Any:
    """Write a model as JSON data, fields with their default included."""
    return model.model_dump(mode="json", exclude_defaults=False)


async def find(reach: Reach, workflow_id: str) -> WorkflowExecutionDescription:
    """Describe a run; raises HttpError if there is none."""
    missing = HttpError(404, f"there is no run {workflow_id!r}")
    if not workflow_id.strip() or "\0" in workflow_id or workflow_id.startswith(SYSTEM):
        raise missing
    try:
        return await reach.client.get_workflow_handle(workflow_id).describe()
    except UnicodeEncodeError:
        raise missing from None
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise missing from error
        raise


def http_error(error: Exception) -> HttpError | None:
    """Turn what an operation raised into an answer; None for what is a bug of ours."""
    match error:
        case HttpError():
            return error
        case LeavingError():
            return HttpError(503 if error.code == UNSERVED else 409, str(error))
        case ServerUnavailableError():
            return HttpError(503, str(error))
        case RPCError():
            return _of_rpc(error)
        case WorkflowQueryFailedError():
            return HttpError(503, f"the run does not answer: {' '.join(error.message.split())}")
        case ApplicationError():
            away = error.type == ErrorKind.CONTENT_UNAVAILABLE
            return HttpError(503 if away else 422, f"{error.type}: {' '.join(error.message.split())}")
        case UnicodeEncodeError():
            return HttpError(422, "half of a character (a lone surrogate) is not UTF-8; write ids and texts in UTF-8")
    return None


def _of_rpc(error: RPCError) -> HttpError:
    said = " ".join(error.message.split())
    if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in said.lower():
        return HttpError(409, said)  # the run was there, and has ended since
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return HttpError(422, said)
    return HttpError(503, f"the Temporal server does not answer: {said}")
