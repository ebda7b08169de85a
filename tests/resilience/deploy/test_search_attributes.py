"""Where the search attributes are registered, runs are found by them; where they are not, nothing wedges (all other tests)."""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey

from outlast.client import missing_attributes
from outlast.contracts import SEARCH_ATTRIBUTES
from tests.processes import dev_server, messages_api, stack_environment, starter, worker

PLAN = '{"steps": [{"step": 1, "agent": "writer", "input": "write"}]}'
COST = SearchAttributeKey.for_float("CostUsd")


@pytest.mark.xdist_group("search_attributes")
async def test_a_run_is_found_by_its_pattern_and_how_it_ended(tmp_path: Path) -> None:
    options = [part for each in SEARCH_ATTRIBUTES.items() for part in ("--search-attribute", "=".join(each))]
    (tmp_path / "plan.json").write_text(PLAN)
    with (
        dev_server(tmp_path, options=options) as server,
        messages_api(tmp_path) as api,
        worker(tmp_path, server, api),
    ):
        env = stack_environment(tmp_path, server, api)
        done = starter("plan", "write", "--plan", str(tmp_path / "plan.json"), "--id", "found", env=env)
        assert done.returncode == 0, done.stderr
        client = await Client.connect(server.address)
        assert await missing_attributes(client) == []
        query = "AgentPattern = 'PlanAndExecute' AND AgentState = 'completed'"
        async with asyncio.timeout(20):  # visibility is a moment behind
            while not (found := [run async for run in client.list_workflows(query)]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert [run.id for run in found] == ["found"]
        assert found[0].typed_search_attributes.get(COST) is not None
