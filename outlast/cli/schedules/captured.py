"""A start that is kept instead of made: `schedule add` runs the start command, and takes what it would have started."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel
from temporalio.common import Priority

from outlast.cli.reaching import Reach


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """All that a run is started with; `workflow_id` None where it is made up."""

    workflow: str
    request: BaseModel
    workflow_id: str | None
    task_queue: str
    summary: str
    priority: Priority
    delay: timedelta | None


Capture = Callable[[Reach, RunStart], Awaitable[None]]
_capture: ContextVar[Capture | None] = ContextVar("capture", default=None)


@contextmanager
def capturing(capture: Capture) -> Iterator[None]:
    """Give what would be started in this block to `capture` instead."""
    token = _capture.set(capture)
    try:
        yield
    finally:
        _capture.reset(token)


async def captured(reach: Reach, start: RunStart) -> bool:
    """Whether somebody takes a start instead of it being made."""
    capture = _capture.get()
    if capture is None:
        return False
    await capture(reach, start)
    return True
