"""Failures in the shape of Anthropic's API, so that its SDK raises the same typed exceptions as against the original.

An error found after a stream has begun has no status code any more; it travels as an `error` event.
"""

import secrets
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    500: "api_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """A failure with an HTTP status and a message meant for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the JSON body that Anthropic's API sends for this failure."""
        kind = TYPES.get(self.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": self.message}, "request_id": request_id}


def invalid(message: str) -> ApiError:
    """Return the 400 for a request that the caller has to change."""
    return ApiError(400, message)


def from_validation(error: ValidationError) -> ApiError:
    """Return the 400 that names the first wrong field by its path, as in `messages.0.role: Input should be …`."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return invalid(f"{path}: {message}" if path else message)


def new_request_id() -> str:
    """Return a fresh `req_…` id."""
    return f"req_local_{secrets.token_hex(10)}"


def request_id_of(request: Request) -> str:
    """Return the id of this request, made at its first use."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = new_request_id()
    return str(request.state.request_id)


def respond(request: Request, error: ApiError) -> JSONResponse:
    """Turn a failure into the response that carries it."""
    request_id = request_id_of(request)
    headers = {"request-id": request_id}
    if error.status == 529:
        headers["retry-after"] = "2"
    return JSONResponse(error.body(request_id), status_code=error.status, headers=headers)


async def on_api_error(request: Request, error: Exception) -> JSONResponse:
    """Handle `ApiError` for Starlette."""
    assert isinstance(error, ApiError)
    return respond(request, error)


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Handle Starlette's own 404 and 405."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return respond(request, ApiError(404, f"Not found: {request.url.path}"))
    return respond(request, ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))


async def on_any_exception(request: Request, error: Exception) -> JSONResponse:
    """Handle an unexpected error; the details stay in the log of the process."""
    return respond(request, ApiError(500, f"Internal server error: {type(error).__name__}"))
