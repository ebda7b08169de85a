"""People decide in the Temporal Web UI itself: approve, deny and edit by *Send a Signal*."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client, WorkflowFailureError

from outlast.client import data_converter
from outlast.contracts import Plan, PlanRequest, PlanStep
from tests.processes import dev_server, messages_api, worker
from tests.workflow.people.gating import waiting
from workflows.plan_and_execute import PlanAndExecuteWorkflow

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

PLAN = Plan(steps=(PlanStep(step="send", agent="writer", input="Send the letter", confirm=True),))


async def send(page: Page, name: str, payload: str) -> None:
    """Send a signal as a person does. Where it ends the run, the dialog may stay: so the run is asked, not the page."""
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_role("menuitem", name="Send a Signal").click()
    dialog = page.get_by_role("dialog", name="Send a Signal")
    await dialog.get_by_test_id("signal-select-button").click()
    await page.get_by_role("option", name=re.compile(rf"^\s*{name}\b")).first.click()
    await dialog.locator(".cm-content").first.click()
    await page.keyboard.press("ControlOrMeta+a")  # what was sent before is still there
    await page.keyboard.insert_text(payload)
    if shots := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{shots}/web-ui-{name}.png")
    # Leaving the editor lays the JSON out anew, and moves the button away from a click that comes at once.
    await dialog.locator(".cm-content").first.blur()
    await page.wait_for_timeout(500)
    await dialog.get_by_role("button", name="Submit").click()


async def test_approve_deny_and_edit_by_sending_a_signal(page: Page, tmp_path: Path) -> None:
    with dev_server(tmp_path, ui=True) as server, messages_api(tmp_path) as api, worker(tmp_path, server, api):
        client = await Client.connect(server.address, data_converter=data_converter(512 * 1024))
        request = PlanRequest(plan=PLAN)
        base = f"http://127.0.0.1:{server.ui_port}/namespaces/default/workflows"
        handles = {}
        for run in ("approved", "denied", "edited"):
            handles[run] = await client.start_workflow(PlanAndExecuteWorkflow.run, request, id=run, task_queue="agents")
            await waiting(handles[run])
            await page.goto(f"{base}/{run}/{handles[run].result_run_id}/timeline")
            if run == "approved":
                await page.get_by_role("tab", name="User Metadata").click()
                shown = page.frame_locator("#user-metadata-current-details").get_by_text("waits for a person")
                await expect(shown).to_be_visible(timeout=20_000)
                await send(page, "approve", '{"by": "ann"}')
            elif run == "denied":
                await send(page, "deny", '{"by": "bob", "reason": "not today"}')
            else:
                await send(page, "decide", '{"verdict": "approve", "by": "ann", "edit": {"input": "Send a postcard"}}')
                await expect(page.get_by_role("dialog", name="Send a Signal")).to_be_hidden(timeout=20_000)
                await send(page, "approve", '{"by": "bob"}')

        assert (await handles["approved"].result()).state == "completed"
        with pytest.raises(WorkflowFailureError):
            await handles["denied"].result()
        status = await handles["denied"].query(PlanAndExecuteWorkflow.status)
        assert status.steps[0].note == "gate-1: it was denied by bob (not today)"
        assert (await handles["edited"].result()).state == "completed"
        asked = [hit["user"] for hit in api.hits()]
    assert ["Send the letter" in text for text in asked] == [True, False]
    assert "Send a postcard" in asked[1]
