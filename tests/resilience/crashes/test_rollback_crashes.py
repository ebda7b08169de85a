"""The worker killed at every boundary of do and undo: afterwards everything is as before, each effect and each undo made once."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from outlast.agents.sessions import AgentSessionRequest
from outlast.client import data_converter
from outlast.contracts import ROLL_BACK_ALL, ChangeState
from tests.processes import RealProcess, dev_server, stack_environment, wait_for
from workflows.agent_session import AgentSessionWorkflow

pytestmark = pytest.mark.xdist_group("crashes")

TOOLS = ("write_file", "insert_row", "edit_file")
WHERE = ("before-record", "after-record", "before-do", "after-do", "before-undo", "after-undo")
RUNS = [f"kill-{tool}-{where}" for tool in TOOLS for where in WHERE]
SCHEMA = """
    CREATE TABLE tides (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE seen (line TEXT);
    CREATE TRIGGER made AFTER INSERT ON tides BEGIN INSERT INTO seen VALUES (new.name || ' insert_row do'); END;
    CREATE TRIGGER gone AFTER DELETE ON tides BEGIN INSERT INTO seen VALUES (old.name || ' insert_row undo'); END;
"""


def asked(file: Path, sql: str) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [str(row[0]) for row in connection.execute(sql)]


async def outcome(handle: "WorkflowHandle[Any, Any]") -> list[ChangeState]:
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 90)
    changes = await handle.query(AgentSessionWorkflow.changes)
    return [change.state for change in changes.changes]


async def test_killed_at_every_boundary_a_failed_run_leaves_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.md").write_text(
        "---\nname: a\ndescription: d\ntools: Write, Edit, insert_row\n---\nYou work."
    )
    work, database = tmp_path / "work", tmp_path / "data.db"
    work.mkdir()
    for run in RUNS:
        (work / f"{run}.md").write_text("old")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA)
    with dev_server(tmp_path) as server:
        settings = {
            "AGENTS_DIR": str(tmp_path / "agents"), "WORKSPACE_DIR": str(work),
            "DATABASE_URL": f"sqlite:///{database}", "DATABASE_WRITE_TABLES": "tides",
        }  # fmt: skip
        env = stack_environment(tmp_path, server, "http://unused.invalid", **settings)
        process = RealProcess(
            [sys.executable, "-m", "tests.doubles.rollback_worker", str(tmp_path)], tmp_path / "w.log", env
        )
        process.start()
        try:
            process.wait_until(lambda: "worker ready" in process.output, "the worker is ready")
            client = await Client.connect(server.address, data_converter=data_converter(512 * 1024))
            handles = []
            for run in RUNS:
                request = AgentSessionRequest(agent="a", task=f"Work on {run}", on_failure=ROLL_BACK_ALL)
                handles.append(
                    await client.start_workflow(AgentSessionWorkflow.run, request, id=run, task_queue="agents")
                )
            there = lambda: all((tmp_path / run).exists() for run in RUNS)  # noqa: E731
            await asyncio.to_thread(wait_for, there, "every run at its boundary", timeout=60)
            process.kill()
            process.start()
            ended = await asyncio.gather(*map(outcome, handles))
        finally:
            process.kill()
    effects = (tmp_path / "effects.txt").read_text().splitlines() + asked(database, "SELECT line FROM seen")
    print()  # noqa: T201
    for run, states in zip(RUNS, ended, strict=True):
        mine = [line.removeprefix(f"{run} ") for line in effects if line.startswith(f"{run} ")]
        print(f"{run:35} {', '.join(states):28} {', '.join(sorted(mine))}")  # noqa: T201
        assert (work / f"{run}.md").read_text() == "old", run
        assert set(states) == {ChangeState.UNDONE}, run
        assert sorted(mine) == sorted(f"{tool} {way}" for tool in TOOLS for way in ("do", "undo")), run
    assert asked(database, "SELECT name FROM tides") == []
