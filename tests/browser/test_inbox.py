"""The web inbox in Chromium, over a real server and worker: sign in, approve, deny, edit, and what it refuses."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from outlast.approvals.tokens import granted
from outlast.contracts import Plan, PlanRequest, PlanStep
from tests.processes import RealProcess, running_starter, wait_for
from tests.stacks import Stack, whole_stack

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

EVIL = "<script>document.title='owned'</script>"
SECRET = "a secret of thirty-two characters"
LONG = " And then look further." * 100
LARGEST_IMAGE = 100_000


async def begin(stack: Stack, *steps: str, run: str = "trip", requester: str = "") -> None:
    """Start a plan, each of whose steps waits for people; what is to be edited is longer than a memo shows."""
    wanted = {step: f"Find {EVIL}." + (LONG if step == "edited" else "") for step in steps}
    planned = [PlanStep(step=step, agent="researcher", input=text, confirm=True) for step, text in wanted.items()]
    client = await Client.connect(stack.server.address, data_converter=pydantic_data_converter)
    request = PlanRequest(plan=Plan(steps=tuple(planned)), max_parallel=32, requester=requester)
    await client.start_workflow("PlanAndExecuteWorkflow", request, id=run, task_queue="agents")


def address_of(inbox: RealProcess) -> str:
    inbox.wait_until(lambda: "inbox ready" in inbox.output, "the inbox is ready", timeout=30)
    found = re.search(r"inbox ready: (\S+)/", inbox.output)
    assert found
    return found[1]


async def signed_in(page: Page, url: str, who: str) -> None:
    await page.goto(f"{url}/signin")
    await page.fill("#who", who)
    async with page.expect_navigation():
        await page.click("button.yes")


async def log(page: Page) -> str:
    return await page.locator("#log").inner_text()


async def wide(page: Page) -> int:
    await page.wait_for_load_state()  # before its style sheet is there, a page is as wide as its texts
    measured: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return measured


async def test_people_decide_in_the_browser(page: Page, tmp_path: Path) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    with whole_stack(tmp_path) as stack:
        await begin(stack, "approved", "denied", "edited")
        with running_starter(tmp_path, "inbox", "--serve", "--port", "0", env=stack.env, name="inbox") as inbox:
            url = address_of(inbox)
            wait_for(lambda: len(stack.json("inbox")) == 3, "three gates wait", timeout=30)
            await signed_in(page, url, "ada")
            for width in (1440, 390):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.goto(url)
                assert await page.locator("a.item").count() == 3
                assert await wide(page) <= 0
            await _approve_and_deny(page, url)
            # A wrong form is answered with 422, and browsers write that to the console: it is what is meant.
            assert said == []
            await _edit(page, url)
            await _what_led_there(page, url, stack)
            assert {text for text in said if "422" not in text} == set()
            _refuses(url)
            assert await page.title() != "owned"
            await begin(stack, *(f"step {number}" for number in range(25)), run="many")
            wait_for(lambda: len(stack.json("inbox")) == 25, "all gates wait", timeout=30)
            seen: list[int] = []
            for number in (1, 2, 3):
                await page.goto(f"{url}/?page={number}")
                seen.append(await page.locator("a.item").count())
            assert seen == [20, 5, 5]
            await begin(stack, "own", run="own", requester="Bob ")
            wait_for(lambda: len(stack.json("inbox")) == 26, "its gate waits", timeout=30)
            await page.goto(f"{url}/gate?run=own&gate=gate-1")
            await expect(page.locator("#barred")).to_have_text(re.compile("^You asked for it, so somebody else has to"))
            assert await page.locator("button.yes").count() == 0
            assert await page.locator("button.no").count() == 1
        assert states(stack) == {"approved": "done", "denied": "failed", "edited": "done"}
        assert any("Find islands." in json.dumps(hit) for hit in stack.api.hits())


def states(stack: Stack) -> dict[str, str]:
    stack.run("result", "trip")
    return {step["step"]: step["state"] for step in stack.json("status", "trip")["steps"]}


async def _approve_and_deny(page: Page, url: str) -> None:
    await page.goto(url)
    await page.click("a.item:has-text('step approved')")
    assert EVIL in await page.locator("#arguments").input_value()
    for width in (390, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await wide(page) <= 0
    if shots := os.environ.get("SCREENSHOTS"):
        await page.set_viewport_size({"width": 900, "height": 820})
        await page.screenshot(path=f"{shots}/inbox.png")
    await page.click("button.yes")
    assert "approved by ada" in await page.locator("[role=status]").inner_text()
    assert "inbox" in await log(page)
    await page.goto(url)
    await page.click("a.item:has-text('step denied')")
    await page.fill("#reason", "too far away")
    await page.click("button.no")
    assert "denied by ada" in await page.locator("[role=status]").inner_text()
    assert "too far away" in await log(page)


async def _what_led_there(page: Page, url: str, stack: Stack) -> None:
    """A gate after a step shows that step's output, its buttons before long arguments, and the way to the report."""
    steps = (
        PlanStep(step="look", agent="researcher", input="Look around."),
        PlanStep(step="mail", agent="writer", input=f"Write.{LONG}", confirm=True, depends_on=("look",)),
    )
    client = await Client.connect(stack.server.address, data_converter=pydantic_data_converter)
    request = PlanRequest(plan=Plan(steps=steps))
    await client.start_workflow("PlanAndExecuteWorkflow", request, id="led", task_queue="agents")
    wait_for(lambda: [gate for gate in stack.json("inbox") if gate["id"] == "led"], "its gate waits", timeout=30)
    await page.goto(f"{url}/gate?run=led&gate=gate-1")
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await wide(page) <= 0
        buttons, arguments = page.locator("button.yes"), page.locator("#arguments")
        top, below = await buttons.bounding_box(), await arguments.bounding_box()
        assert top is not None
        assert below is not None
        assert top["y"] + top["height"] <= min(900, below["y"])
        measured = "node => node.scrollHeight - node.clientHeight"
        assert await arguments.evaluate(measured) <= 0  # nothing of them is out of sight
        if shots := os.environ.get("SCREENSHOTS"):
            await page.screenshot(path=f"{shots}/inbox-{width}.png", full_page=True)
    assert "input: 2,3" in await page.locator("#counts").inner_text()
    assert (await page.locator("li:has(b:text-is('look')) pre").inner_text()).strip()
    assert "gate-1 opened · step mail" in await log(page)
    await page.click("a:text-is('Report')")
    await expect(page).to_have_title(re.compile("led"))
    await page.goto(f"{url}/gate?run=led&gate=gate-1")
    await page.click("button.no")
    assert "denied by bob" in await page.locator("[role=status]").inner_text()


async def _edit(page: Page, url: str) -> None:
    await page.goto(url)
    await page.click("a.item:has-text('step edited')")
    before = await page.locator("#digest").inner_text()
    assert LONG in await page.locator("#arguments").input_value()
    wrong = '{"input": "Find islands."'
    await page.fill("#arguments", wrong)
    await page.click("button.yes")
    assert "arguments: no JSON, line 1" in await page.locator("[role=alert]").inner_text()
    assert await page.locator("#arguments").input_value() == wrong
    await page.fill("#arguments", wrong + "}")
    await page.click("button.yes")
    assert "edited by ada" in await page.locator("[role=status]").inner_text()
    assert await page.locator("#digest").inner_text() != before
    # The editor does not count among those who approve, and a form about the action before is refused.
    await page.click("button.yes")
    assert "refused" in await page.locator("[role=alert]").inner_text()
    await page.click("button.plain")
    await signed_in(page, url, "bob")
    await page.click("a.item:has-text('step edited')")
    await page.locator("[name=digest]").first.evaluate("field => { field.value = '0'.repeat(64) }")
    await page.click("button.yes")
    await expect(page.locator("main")).to_contain_text("another one now")
    await page.click("button.yes")
    assert "approved by bob" in await page.locator("[role=status]").inner_text()


def _refuses(url: str) -> None:
    with httpx2.Client(base_url=url) as client:
        assert client.get("/").headers["location"] == "/signin"
        opened = client.post("/signin", data={"who": "eve"})
        cookie = opened.headers["set-cookie"]
        assert ("HttpOnly" in cookie, "samesite=strict" in cookie.lower()) == (True, True)
        form = {"run": "trip", "gate": "gate-1", "digest": "0" * 64, "verdict": "approve"}
        assert client.post("/gate", data=form).status_code == 403
        assert client.post("/gate", data=form | {"csrf": "guessed"}).status_code == 403
        assert client.post("/signin", data={"who": "eve"}, headers={"origin": "http://evil.test"}).status_code == 403
        assert client.get("/", headers={"host": "evil.test"}).status_code == 421
        assert "default-src 'none'" in client.get("/signin").headers["content-security-policy"]
        assert client.get("/gate", params={"run": "no-such-run"}).status_code == 404


async def test_a_token_signs_in_and_signs(page: Page, tmp_path: Path) -> None:
    with whole_stack(tmp_path, APPROVER_SECRET=SECRET) as stack:
        refused = stack.run("inbox", "--serve", "--host", "0.0.0.0")
        assert (refused.returncode, "APPROVER_SECRET" in refused.stderr) == (2, True)
        await begin(stack, "approved")
        env = stack.env | {"APPROVER_SECRET": SECRET}
        with running_starter(tmp_path, "inbox", "--serve", "--port", "0", env=env, name="inbox") as inbox:
            url = address_of(inbox)
            wait_for(lambda: stack.json("inbox"), "the gate waits", timeout=30)
            await signed_in(page, url, "ada")
            assert "token:" in await page.locator("[role=alert]").inner_text()
            await signed_in(page, url, granted(SECRET, "ada", datetime.now(UTC), timedelta(hours=1)))
            await page.click("a.item")
            await page.wait_for_url("**/gate?*")
            await page.click("button.yes")
            assert "approved by ada (signed)" in await page.locator("[role=status]").inner_text()
