"""The stream of a run that was asked to publish what its models write, on `temporalio.contrib.workflow_streams`.

Each piece that is published is a signal, and so text in history, which everything else here avoids. So a run has a
stream only where its request says so; without it nothing here runs, and no event is made.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.contrib.workflow_streams import WorkflowStream

from outlast.contracts import ModelRequest


class Streaming:
    """The stream of one run; to be made before its first call."""

    def __init__(self) -> None:
        # The library insists that its handlers are set from an `__init__`.
        self._stream = WorkflowStream()
        self._at_work = 0

    def begins(self) -> None:
        """Take note of a call that publishes."""
        self._at_work += 1

    def ends(self) -> None:
        """Take note of its end; once no call is at work, all that was published is forgotten, because the answers are kept."""
        self._at_work -= 1
        if not self._at_work:
            kept = self._stream.get_state()
            self._stream.truncate(kept.base_offset + len(kept.log))


@contextmanager
def published(streaming: Streaming | None, request: ModelRequest) -> Iterator[ModelRequest]:
    """Let a call publish what the model writes, where its run has a stream; gives the request to make."""
    if streaming is None:
        yield request
        return
    streaming.begins()
    try:
        yield request.model_copy(update={"stream": True})
    finally:
        streaming.ends()
