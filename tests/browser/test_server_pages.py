"""The pages of the server in Chromium, over a real server and worker: a plan as it runs, a gate decided in place, a chat."""

import asyncio
import os
from functools import partial
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client

from outlast.contracts import Plan, PlanRequest, PlanStep
from tests.browser.conftest import signed_in
from tests.processes import wait_for
from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

WIDTHS = (390, 1440)
LARGEST_IMAGE = 200_000
ROUNDS, AT_ONCE = 3, 70
"""Turns of a long conversation, and messages of each."""
LAUNCH = (
    ("market", "researcher", "Find what city cyclists in northern Europe miss most.", (), False),
    ("rivals", "researcher", "List what rival lamps cost and promise.", (), False),
    ("rules", "researcher", "Find what the law asks of bicycle lamps.", (), False),
    ("claims", "analyst", "Say which promises we can keep.", ("market", "rivals", "rules"), False),
    ("letter", "writer", "Write the letter to the shops.", ("claims",), False),
    ("send", "writer", "Send the letter to 40 shops.", ("letter",), True),
    ("press", "writer", "Write the note to the press.", ("claims",), False),
)


async def fits(page: Page) -> None:
    """The page is no wider than a phone, nor than a screen."""
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{page.url} is {wide} px wider than {width}"


async def pictured(page: Page, name: str) -> None:
    """Keep a picture where somebody wants them (SCREENSHOTS is a folder)."""
    if shots := os.environ.get("SCREENSHOTS"):
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            await page.screenshot(path=f"{shots}/{name}-{width}.png")


async def test_a_run_is_followed_decided_and_talked_to(page: Page, served: Served) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    await signed_in(page, served, "ada")
    await _a_plan(page, served)
    await _a_chat(page, served)
    await _a_question(page, served)
    await _an_approval_that_stands(page, served)
    await page.goto(served.url)
    for run in ("launch", "asked", "mails"):
        await expect(page.locator(f".runs a:text-is('{run}')")).to_have_count(1)
    await fits(page)
    await pictured(page, "home")
    assert said == []
    await _with_less(page, served)


async def _a_plan(page: Page, served: Served) -> None:
    """The graph changes without a reload, and the gate that opens is decided on the same page."""
    served.stack.api.script(hold=True)
    steps = [
        PlanStep(step=name, agent=agent, input=text, depends_on=before, confirm=confirm)
        for name, agent, text, before, confirm in LAUNCH
    ]
    served.start("plan", PlanRequest(plan=Plan(steps=tuple(steps))).model_dump(mode="json"), "launch", who="start")
    await page.goto(f"{served.url}/run?id=launch")
    await expect(page.locator("svg g.running")).to_have_count(3)
    served.stack.api.script(hold=False, rules=[{"user": "note to the press", "latency": 60}])
    await expect(page.locator("svg g.done")).to_have_count(5, timeout=20_000)
    gate = page.locator("form.gate")
    await expect(gate).to_contain_text("Send the letter to 40 shops.")
    await expect(page.locator("svg g.running")).to_have_count(1)
    await fits(page)
    await pictured(page, "run")
    if shots := os.environ.get("SCREENSHOTS"):
        await page.set_viewport_size({"width": 960, "height": 680})
        await page.screenshot(path=f"{shots}/run.png")
    await gate.locator("input[name=reason]").fill("the list is checked")
    async with page.expect_navigation():
        await gate.locator("button.yes").click()
    await expect(page.locator("[role=status]")).to_contain_text("approved by ada")
    await expect(page.locator("svg g.done")).to_have_count(6, timeout=20_000)
    await expect(page.locator("form.gate")).to_have_count(0)
    served.ask("POST", "/runs/launch/cancel")
    await expect(page.locator("#state")).to_have_text("cancelled", timeout=20_000)


async def _a_chat(page: Page, served: Served) -> None:
    """A message begins a session; while its answer is written, others are queued, or break it off; the page never reloads."""
    served.stack.api.script(rules=[{"user": "a long story", "size": 4000, "piece": 20, "pace": 0.3}])
    await page.goto(served.url)
    await page.fill("#agent", "researcher")
    await page.fill("#text", "Tell a long story.")
    async with page.expect_navigation():
        await page.click("main form.card button.yes")
    await expect(page.locator("#writing .said p")).to_contain_text("Tell a long story.", timeout=20_000)
    await page.evaluate("window.same = true")
    await page.fill("#text", "And what then?")
    await page.click("#talk button.yes")
    await expect(page.locator("#now .mine").last).to_contain_text("waiting")
    await expect(page.locator("#text")).to_have_value("")
    await expect(page.locator("#writing .said")).to_have_count(1)
    await fits(page)
    await pictured(page, "talking")
    served.stack.api.script(rules=[{"user": "Stop", "text": "A short story."}])
    await page.fill("#text", "Stop, a short one.")
    await page.click("#talk button.no")
    await expect(page.locator("#now .mine").first).to_contain_text(
        "interrupted", timeout=60_000
    )  # at the next heartbeat
    await expect(page.locator("#now .theirs")).to_have_count(1, timeout=20_000)
    await expect(page.locator("#now .theirs p")).to_have_text("A short story.")
    await expect(page.locator("#writing .said")).to_have_count(0)
    await page.fill("#text", "Thanks!")
    await page.press("#text", "Enter")
    await expect(page.locator("#now .theirs")).to_have_count(2, timeout=20_000)
    assert await page.evaluate("window.same"), "the page was loaded anew"
    await fits(page)
    await pictured(page, "chat")
    async with page.expect_navigation():
        await page.click("#talk button.plain")
    await expect(page.locator("#state")).to_have_text("completed", timeout=20_000)


async def _a_question(page: Page, served: Served) -> None:
    """A form is filled in where the conversation stands, and the answer goes back to the agent as data."""
    fields = {"lamp": {"enum": ["red", "blue"]}, "count": {"type": "integer", "description": "how many"}}
    asked = {"question": "What do I order?", "form": {"type": "object", "properties": fields, "required": ["lamp"]}}
    served.stack.api.script(rules=[{"user": "Order", "tool": "ask_person", "input": asked, "before_turn": 1}])
    said = served.ask("POST", "/runs/asked/messages", {"agent": "mailer", "text": "Order lamps."})
    assert said.status_code == 202, said.text
    await page.goto(f"{served.url}/run?id=asked")
    form = page.locator("form.question")
    await expect(form).to_contain_text("What do I order?", timeout=20_000)
    await form.locator("select").select_option("blue")
    await form.locator("input[type=number]").fill("40")
    await fits(page)
    await pictured(page, "question")
    await expect(form.locator("select")).to_have_value("blue")
    async with page.expect_navigation():
        await form.locator("button.yes").click()
    await expect(page.locator("#now .theirs")).to_have_count(1, timeout=20_000)
    result = served.stack.api.hits()[-1]
    assert result["turn"] == 1
    assert "question-1 is answered" in await page.locator("[role=status].notice").inner_text()


async def _an_approval_that_stands(page: Page, served: Served) -> None:
    """*Approve, and stop asking* with a bound: the next call within it passes, one beyond it waits; *Ask again* takes it back."""
    mail = {"to": ["shop@example.org"], "subject": "Lamps {turn}", "text": "Ten, please."}
    served.stack.api.script(rules=[
        {"system": "You send mail", "tool": "send_mail", "input": mail, "before_turn": 2},
        {"system": "You send mail", "tool": "send_mail", "input": mail | {"to": ["all@example.org"]}, "before_turn": 3},
    ])  # fmt: skip
    said = served.ask("POST", "/runs/mails/messages", {"agent": "mailer", "text": "Write to the shop."}, who="start")
    assert said.status_code == 202, said.text
    await page.goto(f"{served.url}/run?id=mails")
    await page.locator("form.gate a").click(timeout=20_000)
    await page.locator("summary:has-text('Approve, and stop asking for send_mail in this run')").click()
    bound = page.locator("label:has-text('to') select").first
    await expect(bound.locator("option")).to_have_text(["any value", "only this value"])
    await bound.select_option("same")
    await fits(page)
    await pictured(page, "bounds")
    async with page.expect_navigation():
        await page.click("button[value='approve-run']")
    within = "every call of send_mail with to ['shop@example.org']"
    await expect(page.locator("[role=status]")).to_contain_text(f"from here on {within} is approved in this run")
    await page.click("p.facts a:text-is('The run')")
    gate = page.locator("form.gate")
    await expect(gate).to_have_count(1, timeout=20_000)
    await expect(gate).to_contain_text("all@example.org")
    standing = page.locator("form.card:has(button[value='revoke'])")
    await expect(standing).to_contain_text(f"approved by ada for this run ({within}; gate-1), 1 so far")
    assert len(list((served.stack.directory / "mail" / "new").iterdir())) == 2, "the second one opened no gate"
    async with page.expect_navigation():
        await standing.locator("button").click()
    await expect(page.locator("[role=status].notice")).to_contain_text("each call waits for people again")
    async with page.expect_navigation():
        await gate.locator("button.no").click()
    await expect(page.locator("#now .theirs")).to_have_count(1, timeout=20_000)
    await page.click(".calls summary")
    await expect(page.locator(".calls div")).to_have_count(2)
    await pictured(page, "folded")


async def _with_less(page: Page, served: Served) -> None:
    """Whoever may only read sees the same without the forms, and a form without the session's secret is refused."""
    await page.context.clear_cookies()
    await signed_in(page, served, "read")
    await expect(page.locator("#agent")).to_have_count(0)
    cookies = {cookie["name"]: cookie["value"] for cookie in await page.context.cookies()}
    with httpx2.Client(base_url=served.url, cookies=cookies) as client:
        assert client.post("/say", data={"csrf": "x", "text": "hello"}).status_code == 403
        assert client.post("/workflows/plan", json={"task": "x"}).status_code == 401, "a cookie alone starts nothing"
    await page.context.clear_cookies()
    await signed_in(page, served, "decide")
    wait_for(lambda: served.client.get(f"{served.url}/healthz").text == "ok\n", "it still answers")
    assert "lacks the scope read" in await page.locator("body").inner_text()


async def test_a_long_conversation_opens_at_its_end_and_is_read_back_page_by_page(page: Page, served: Served) -> None:
    """The page holds its newest messages whatever there is, and asks for no event that it shows."""
    client = await Client.connect(served.stack.server.address)
    for number in range(1, ROUNDS + 1):  # what comes while the agent works is heard at once, and has one answer
        served.stack.api.script(hold=True)
        first = served.ask("POST", "/runs/long/messages", {"agent": "researcher", "text": f"Message {number}."})
        assert first.status_code == 202, first.text
        handle = client.get_workflow_handle("long")
        more = [{"text": f"Message {number}.{n}.", "by": "ada", "key": f"{number}-{n}"} for n in range(1, AT_ONCE)]
        await asyncio.gather(*(handle.signal("say", one) for one in more))
        served.stack.api.script(hold=False)
        wait_for(partial(_has_answered, served, number * AT_ONCE), "all are answered")
    said = [one["text"] for one in served.ask("GET", "/runs/long/messages?limit=1000").json()["messages"]]
    assert len(said) == ROUNDS * AT_ONCE
    await signed_in(page, served, "ada")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served.url}/run?id=long")
    await expect(page.locator("#now .mine")).to_have_count(100)
    await expect(page.locator("#now .mine p").last).to_have_text(said[-1])
    assert await page.evaluate("window.scrollY + innerHeight >= document.body.scrollHeight - 100"), (
        "it opens at its end"
    )
    assert await page.evaluate("document.querySelectorAll('*').length") < 1_000
    await page.fill("#text", "The last.")
    await page.press("#text", "Enter")
    await expect(page.locator("#now .mine p").last).to_have_text("The last.", timeout=20_000)
    await expect(page.locator("#now .mine")).to_have_count(100)
    await expect(page.locator("#now .theirs p").last).to_have_text("Answer to: ada: The last.", timeout=20_000)
    assert sum("/run/now" in url for url in asked) < 20, "what stood there already was not told again"
    await page.click("text=show those before")
    await expect(page.locator("#now .mine p").last).to_have_text(said[-100])
    await fits(page)
    await page.click("text=Newest messages")
    await expect(page.locator("#now .mine p").last).to_have_text("The last.")


def _has_answered(served: Served, messages: int) -> bool:
    said = served.ask("GET", "/runs/long/messages?limit=1000").json()["messages"]
    return [one["state"] for one in said] == ["answered"] * messages


def test_the_picture_of_the_guide_is_light() -> None:
    picture = Path(__file__).parents[2] / "docs" / "images" / "run.png"
    assert 10_000 < picture.stat().st_size < LARGEST_IMAGE
