"""What may go wrong in a run, and what is a bug: the one list that all patterns catch by.

A `FailureError` is an outcome: it becomes data, a fallback or a failed run. Anything else is a bug of ours, which must leave the
workflow task to be retried until it is fixed; so nothing here is caught as `Exception`, and no clean-up runs after a bug, because
what it schedules would be committed to history and not be found again by the fixed code.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from outlast.errors import ErrorKind, non_retryable

T = TypeVar("T")

FAILURES = (FailureError, TimeoutError)
"""What may become an outcome. The SDK fails a run with these, and a task with everything else."""


class HaltedError(BaseException):
    """A gate whose policy halts the run was not decided in time: nothing may follow but clean-up and rollback.

    Not an `Exception`, so that nothing on the way to the start of the run takes it for an outcome; `failure` is what the run
    fails with.
    """

    def __init__(self, failure: ApplicationError) -> None:
        super().__init__(failure.message)
        self.failure = failure


ENDINGS = (*FAILURES, asyncio.CancelledError, HaltedError)
"""What may end a step or a run, so that the code that catches it can clean up and raise it again."""


def halted(why: str) -> BaseException:
    """Make the error that halts the run."""
    return HaltedError(non_retryable(ErrorKind.HALTED, why))


def failure_of(error: BaseException) -> BaseException:
    """Return what a run fails with."""
    return error.failure if isinstance(error, HaltedError) else error


async def finished(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Wait until tasks have ended, whatever with; raises what is a bug at once."""
    left = list(tasks)
    while left:
        await workflow.wait(left, return_when=asyncio.FIRST_EXCEPTION)
        for task in left:
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None and not isinstance(error, ENDINGS):
                raise error
        left = [task for task in left if not task.done()]


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Do something to its end although the caller is cancelled; a cancellation that came meanwhile is raised afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except FAILURES:
            break
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
