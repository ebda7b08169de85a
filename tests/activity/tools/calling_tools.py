"""Calls tools the way a worker does: a first attempt, a later one, a crash in between, and the undo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import ToolRequest, ToolResult, ToolsetRequest, UndoRequest, UndoResult
from outlast.storage.activities import ContentStore
from outlast.tools.activities import ToolActivities
from outlast.tools.tool import Tool
from outlast.undo.activities import UndoActivities
from tests.approving import approved


class CrashError(Exception):
    """What a worker that dies leaves behind in a test: nothing is reported."""


@dataclass
class Calls:
    """One worker with some tools."""

    store: ContentStore
    tools: Sequence[Tool]

    async def call(
        self, name: str, call: str, /, *, attempt: int = 1, approve: bool = True, **arguments: Any
    ) -> ToolResult:
        activities = ToolActivities(self.store, self.tools)
        names = tuple(tool.name for tool in self.tools)
        toolset = await ActivityEnvironment().run(activities.read_toolset, ToolsetRequest(names=names))
        request = ToolRequest(tool=name, key=call, specs=toolset.specs, input=arguments)
        request = approved(request) if approve else request
        result: ToolResult = await _environment(call, attempt).run(activities.call_tool, request)
        return result

    async def done(self, name: str, call: str, /, *, attempt: int = 1, **arguments: Any) -> str:
        result = await self.call(name, call, attempt=attempt, **arguments)
        said = await self.store.text(result.content)
        assert not result.failed, said
        return said

    async def refused(self, name: str, call: str, /, *, attempt: int = 1, **arguments: Any) -> str:
        result = await self.call(name, call, attempt=attempt, **arguments)
        said = await self.store.text(result.content)
        assert result.failed, said
        return said

    async def undo(self, name: str, key: str, attempt: int = 1, **reported: Any) -> UndoResult:
        """Undo a call by its key, as if it had never been reported, or with what somebody says that it reported."""
        tool = next(tool for tool in self.tools if tool.name == name)
        request = UndoRequest(tool=tool.undo, key=key, input=reported)
        result: UndoResult = await _environment(f"undo-{key}", attempt).run(
            UndoActivities(self.store, self.tools).undo_call, request
        )
        return result

    async def undo_fails(self, name: str, key: str, **reported: Any) -> ApplicationError:
        with pytest.raises(ApplicationError) as caught:
            await self.undo(name, key, **reported)
        return caught.value

    async def crash_before_report(self, monkeypatch: pytest.MonkeyPatch, name: str, call: str, /, **given: Any) -> None:
        """Make a call whose worker dies after the effect, before anything is reported."""
        remember = self.store.remember

        async def crashing(name: str, data: bytes, **given: bool) -> None:
            if name.startswith("tool/"):
                raise CrashError
            await remember(name, data, **given)

        with monkeypatch.context() as patch:
            patch.setattr(self.store, "remember", crashing)
            with pytest.raises(CrashError):
                await self.call(name, call, **given)


def _environment(activity_id: str, attempt: int) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, activity_id=activity_id, attempt=attempt)
    return environment
