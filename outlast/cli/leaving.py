"""How commands end: from whatever happened to an exit code and a line that a person can act on.

    0 done · 1 the workflow failed · 2 wrong usage, input or setting · 3 no server or no worker · 130 Ctrl-C

The SDK's native threads can crash the interpreter while it finalises, after all work is done and with a wrong exit code. So the
process flushes everything and leaves through `os._exit`.
"""

import contextlib
import io
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import typer

from outlast.command_line import command_line, start_a_server
from outlast.redaction import guard_streams

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecutionDescription
    from temporalio.exceptions import ApplicationError
    from temporalio.service import RPCError

DONE, FAILED, WRONG, UNSERVED, INTERRUPTED = 0, 1, 2, 3, 130


class LeavingError(Exception):
    """A command ends here with this exit code; the message, if any, goes to stderr."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class NeverBegunError(LeavingError):
    """A run was refused for its input before it began, so it knows nothing of itself: its history is what there is."""


def say(line: str) -> None:
    """Print a message on stderr: stdout is for results alone."""
    print(line, file=sys.stderr, flush=True)


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run the app and return its exit code; never raises."""
    before = sys.stdout, sys.stderr
    guard_streams()
    try:
        return _run(app, arguments)
    finally:
        sys.stdout, sys.stderr = before


def _run(app: typer.Typer, arguments: list[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a character must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        # Without standalone mode the app returns the code of typer.Exit, and what a command returns.
        code = app(args=arguments, standalone_mode=False)
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        written = io.StringIO()
        show(written) if show else written.write(f"{command_line().name}: {error}")
        say(written.getvalue().rstrip("\n"))
        return WRONG
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as error:
        # Typer and Rich end so when the reader, `head` for one, has seen enough.
        code = DONE if isinstance(error.__context__, BrokenPipeError) else error.code
        return code if isinstance(code, int) else FAILED
    except Exception as error:
        code, message = verdict(error)
        if message:
            say(f"{command_line().name}: {message}")
        return code
    return code if isinstance(code, int) else DONE


def leave(code: int) -> NoReturn:
    """Flush telemetry, logs and streams, and end the process."""
    with contextlib.suppress(Exception):
        if traces := sys.modules.get("outlast.telemetry.traces"):  # not imported: there is nothing to flush
            traces.flush()
    for flush in (sys.stdout.flush, sys.stderr.flush, logging.shutdown):
        with contextlib.suppress(OSError, ValueError):
            flush()
    os._exit(code)


def verdict(error: Exception) -> tuple[int, str]:
    """Turn any exception of a command into an exit code and a message."""
    if isinstance(error, LeavingError):
        return error.code, str(error)
    # Only here, because by now the command has imported them, or has failed in an odd way.
    from pydantic import ValidationError
    from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError
    from temporalio.exceptions import ApplicationError
    from temporalio.service import RPCError

    from outlast.client import ServerUnavailableError, SettingsError
    from outlast.contracts import wrong_fields
    from outlast.extras import MissingExtraError
    from outlast.file_names import readable
    from outlast.storage.sealing import KeyMissingError

    match error:
        case KeyMissingError():
            return WRONG, f"{error}; set all keys that still count, the newest first"
        case SettingsError() | MissingExtraError():
            return WRONG, str(error)
        case ServerUnavailableError():
            return UNSERVED, str(error)
        case WorkflowFailureError():
            return FAILED, cause_of(error)
        case RPCError():
            return _of_rpc(error)
        case ApplicationError():
            return _of_application(error)
        case ValidationError():
            return WRONG, "; ".join(wrong_fields(error))
        case UnicodeEncodeError():
            shown = readable(str(error.object))
            return WRONG, f"{shown[:200]!r} is not UTF-8; write ids and texts in UTF-8"
        case WorkflowQueryFailedError():
            return FAILED, f"the run does not answer: {_line(str(error))}"
    return FAILED, f"unexpected, please report this:\n{''.join(traceback.format_exception(error, limit=-4))}"


def cause_of(error: BaseException) -> str:
    """Return in one line why a run failed."""
    from temporalio.client import WorkflowFailureError
    from temporalio.exceptions import ApplicationError, TerminatedError

    from outlast.errors import kind_of, root_of, text_of

    cause = error.cause if isinstance(error, WorkflowFailureError) and error.cause else error
    root = root_of(cause)
    if isinstance(root, TerminatedError):
        return f"Terminated: {text_of(root)}"
    kind = root.type if isinstance(root, ApplicationError) and root.type else kind_of(cause)
    return f"{kind}: {text_of(cause)}"


async def why_failed(client: "Client", found: "WorkflowExecutionDescription") -> str:
    """Return the type and the message of what a run has failed with; "" where it has not failed."""
    from outlast.forks.failing import failure_of

    failed = await failure_of(client, found)
    return cause_of(failed) if failed else ""


async def never_begun(client: "Client", found: "WorkflowExecutionDescription") -> NeverBegunError | None:
    """Say why a run that answers no query never began; None where it did."""
    from outlast.forks.failing import wrong_input_of

    wrong = await wrong_input_of(client, found)
    return NeverBegunError(FAILED, f"run {found.id!r} failed before it began: {wrong}") if wrong else None


def _of_rpc(error: "RPCError") -> tuple[int, str]:
    from temporalio.service import RPCStatusCode

    text = _line(error.message)
    match error.status:
        case RPCStatusCode.NOT_FOUND if "namespace" in text.lower():
            return WRONG, f"{text} Set TEMPORAL_NAMESPACE to one that exists."
        case RPCStatusCode.UNAUTHENTICATED | RPCStatusCode.PERMISSION_DENIED:
            return WRONG, f"the server refuses: {text}. Check TEMPORAL_API_KEY, TEMPORAL_TLS_* and TEMPORAL_NAMESPACE."
        case RPCStatusCode.INVALID_ARGUMENT | RPCStatusCode.NOT_FOUND:
            return WRONG, text
        case RPCStatusCode.RESOURCE_EXHAUSTED if "larger than max" in text:
            return WRONG, f"the message is too large for the server: {text}. Hand large texts over by reference."
        case RPCStatusCode.RESOURCE_EXHAUSTED:
            return UNSERVED, f"the Temporal server takes no more at the moment ({text}); try again later"
    return UNSERVED, f"the Temporal server does not answer ({text}). {start_a_server()}"


def _of_application(error: "ApplicationError") -> tuple[int, str]:
    # Raised by our own content store and payload guard, in this process: something here is set or given wrongly.
    return WRONG, f"{error.type}: {_line(error.message)}"


def _line(text: str) -> str:
    return " ".join(text.split())
