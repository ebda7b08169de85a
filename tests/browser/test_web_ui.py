"""What a person sees in the Temporal Web UI: a summary on every activity, and the plan with its states."""

import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client

from outlast.client import data_converter
from outlast.contracts import Plan, PlanRequest, PlanStep
from tests.conftest import binary
from tests.processes import clean_environment, dev_server, messages_api, worker
from workflows.plan_and_execute import PlanAndExecuteWorkflow

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

PLAN = Plan(
    steps=(
        PlanStep(step="facts", agent="researcher", input="Collect the facts."),
        PlanStep(step="brief", agent="writer", input="Write the brief.", depends_on=("facts",)),
    )
)


async def test_summaries_and_the_plan_are_shown(page: Page, tmp_path: Path) -> None:
    with (
        dev_server(tmp_path, ui=True) as server,
        messages_api(tmp_path) as api,
        worker(tmp_path, server, api),
    ):
        api.script(rules=[{"user": "Write the brief", "latency": 90.0, "times": 1}])
        client = await Client.connect(server.address, data_converter=data_converter(512 * 1024))
        handle = await client.start_workflow(
            PlanAndExecuteWorkflow.run,
            PlanRequest(task="a brief", plan=PLAN),
            id="seen",
            task_queue="agents",
            static_summary="a brief in two steps",
        )
        base = f"http://127.0.0.1:{server.ui_port}/namespaces/default/workflows/seen/{handle.result_run_id}"
        await page.goto(f"{base}/timeline")
        await expect(page.get_by_text("facts · researcher").first).to_be_visible(timeout=20_000)
        # The timeline leaves out what local activities are called; the event history does not.
        await page.goto(f"{base}/history")
        await expect(page.get_by_text("read the agents").first).to_be_visible(timeout=20_000)
        await page.get_by_role("tab", name="User Metadata").click()
        details = page.frame_locator("#user-metadata-current-details").get_by_text("▶ running")
        await expect(details).to_be_visible(timeout=20_000)
        frames = [await frame.locator("body").inner_text() for frame in page.frames[1:]]
        shown = "\n".join(frames)
        assert "a brief in two steps" in shown
        assert "✓ done" in shown
        assert "researcher" in shown
        await handle.terminate()
        request = PlanRequest(task="a brief", plan=PLAN)
        await client.execute_workflow(PlanAndExecuteWorkflow.run, request, id="shown", task_queue="agents")
        listed = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
            [binary("temporal"), "workflow", "show", "--detailed", "-w", "shown", "--address", server.address],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        summaries = [line.split(": ")[1] for line in listed.splitlines() if line.startswith("userMetadata.summary")]
        assert summaries[-4:] == ["read the agents", "facts · researcher", "brief · writer", "keep the report"]
