"""The calls of a run as its history tells them while it grows: each when it is wanted, and again when it has ended.

The server says of a call at work how often it was tried, but not which step it belongs to; only history knows.
"""

from temporalio.client import WorkflowExecutionDescription

from outlast.cli.reaching import Reach
from outlast.cli.recorded.events import Ended
from outlast.cli.recorded.following import follow
from outlast.cli.recorded.reading import Call, Decoding

Key = tuple[str, str]
"""A call's run id and activity id."""


class Calls:
    """Follows one run from where it stands; `open` are the calls at work, `ended` those that ended since it was emptied."""

    def __init__(self, reach: Reach, found: WorkflowExecutionDescription) -> None:
        self._reach = reach
        self._id = found.id
        self._run_id = found.run_id
        self._old = found.raw_description.workflow_execution_info.history_length
        self._decoding = Decoding(reach, found.id)
        self.open: dict[Key, Call] = {}
        self.ended: list[tuple[Key, Call]] = []

    async def follow(self) -> None:
        """Follow until the run ends; raises RPCError where asking again is no use."""
        async for heard in follow(self._reach, self._id, self._run_id):
            if heard.activity is None:
                continue
            key, call = (heard.run_id, heard.activity.id), await self._decoding.call(heard.activity)
            old = heard.run_id == self._run_id and heard.event.event_id <= self._old
            if heard.activity.how is Ended.OPEN:
                self.open[key] = call
            elif self.open.pop(key, None) and not old:
                self.ended.append((key, call))
