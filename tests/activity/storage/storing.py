"""Content stores that go away, and attempts of one call that meet them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.llm.activities import AgentActivities
from outlast.llm.scripted import ScriptedLLM
from outlast.storage.activities import ContentStore
from outlast.storage.spool import Spool
from tests.activity.conftest import TABLE, asking

LONG = "It is. " * 500


class Away:
    """Takes a store away and brings it back: its directory is gone, or empty as where nothing is mounted."""

    def __init__(self, root: Path, mount_point: bool) -> None:
        self.root, self._mount_point = root, mount_point

    def go(self) -> None:
        self.root.rename(self.root.with_name("away"))
        if self._mount_point:
            self.root.mkdir()

    def back(self) -> None:
        if self._mount_point:
            self.root.rmdir()  # fails where anything was written
        self.root.with_name("away").rename(self.root)


def opened(tmp_path: Path, **given: Any) -> ContentStore:
    return ContentStore.open((tmp_path / "texts").as_uri(), state_dir=tmp_path / "state", **given)


async def kind_of(operation: Any) -> tuple[str | None, bool]:
    with pytest.raises(ApplicationError) as caught:
        await operation
    return caught.value.type, caught.value.non_retryable


def attempts(store: ContentStore, llm: ScriptedLLM, state: Path | None) -> Callable[..., Any]:
    """Return what makes one attempt of the same call, by a worker of its own."""

    def attempt(number: int, *, was_reset: bool = False) -> Any:
        env = ActivityEnvironment()
        env.info = replace(
            env.info,
            attempt=number,
            started_time=datetime.now(UTC),
            current_attempt_scheduled_time=env.info.scheduled_time + timedelta(seconds=was_reset),
            start_to_close_timeout=timedelta(seconds=20),
        )
        agent = AgentActivities(llm, store, TABLE, Spool(store, state))
        return env.run(agent.call_model, asking(keeps_transcript=True))

    return attempt


def count_reads(monkeypatch: pytest.MonkeyPatch, through: Callable[..., Any] | None = None) -> list[str]:
    """Note the key of everything that is read from any store from now on; each read goes `through` what is given."""
    keys: list[str] = []
    get = obstore.get_async

    async def noted(store: Any, key: str) -> Any:
        keys.append(key)
        return await (get(store, key) if through is None else through(get, store, key))

    monkeypatch.setattr(obstore, "get_async", noted)
    return keys


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the key of everything that is written to any store from now on."""
    keys: list[str] = []
    put = obstore.put_async

    async def noted(store: Any, key: str, *arguments: Any, **options: Any) -> Any:
        keys.append(key)
        return await put(store, key, *arguments, **options)

    monkeypatch.setattr(obstore, "put_async", noted)
    return keys
