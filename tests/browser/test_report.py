"""The report of a run in Chromium: a plan of sixty steps, on a phone and on a desk, while it runs and when it is done."""

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.processes import wait_for
from tests.stacks import Stack, whole_stack

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

STEPS = 60
EVIL = "<script>document.title='owned'</script>"
SIZE = 1_000_000


BROKEN_WORDS = """[...document.querySelectorAll('#rows td:nth-child(2), #cost td')].filter(cell => {
    const text = cell.firstChild, range = document.createRange();
    if (!text || /[\\s-]/.test(text.data)) return false;
    range.selectNodeContents(text);
    return range.getClientRects().length > 1;
}).map(cell => cell.innerText)"""
"""Words of short cells that stand on two lines."""

BEHIND_BOXES = """[...document.querySelectorAll('svg path')].filter(path => {
    const boxes = [...document.querySelectorAll('svg rect')].map(box => box.getBBox());
    const points = [...Array(60).keys()].map(at => path.getPointAtLength(path.getTotalLength() * at / 59));
    return points.some(({x, y}) => boxes.some(box =>
        x > box.x + 1 && x < box.x + box.width - 1 && y > box.y && y < box.y + box.height));
}).map(path => path.textContent)"""
"""Arrows that run behind a box."""


def plan_of(steps: int) -> dict[str, Any]:
    """A plan in layers of six: each step is made of one or two of the layer before."""
    planned = []
    for number in range(steps):
        before = [f"s{number - 6}", f"s{number - 5}"] if number >= 6 else []
        before += ["s2"] if number == 59 else []  # over all layers
        planned.append(
            {"step": f"s{number}", "agent": "researcher", "input": f"Find {EVIL} {number}.", "depends_on": before}
        )
    return {"steps": planned}


async def opened(page: Page, file: Path, width: int) -> list[str]:
    """Open a page at a width and return what the browser complains of, and what is wider than the screen."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(file.as_uri())
    overflows = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*said, *([f"{overflows} px too wide"] if overflows > 0 else [])]


async def test_the_report_of_sixty_steps(page: Page, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(plan_of(STEPS)))
    with whole_stack(tmp_path) as stack:
        stack.api.script(
            rules=[
                {"user": f"{EVIL} 59", "text": "cut", "stop_reason": "max_tokens"},
                {"user": f"{EVIL} 30", "latency": 3.0, "times": 1},
            ]
        )
        stack.done("plan", "--plan", str(plan), "--id", "sixty", "--detach")
        wait_for(lambda: len(stack.api.hits()) > 6, "a step of the second layer has begun")
        stack.api.script(hold=True)  # else a busy machine is asked for the report when the run is over
        wait_for(
            lambda: any(step["state"] == "done" for step in stack.json("status", "sixty")["steps"]), "a step is done"
        )
        during = tmp_path / "during.html"
        stack.done("report", "sixty", "-o", str(during))
        assert "so far" in during.read_text()
        stack.api.script(hold=False)
        stack.done("result", "sixty")
        file = tmp_path / "sixty.html"
        stack.done("report", "sixty", "-o", str(file))
        await _looked_at(page, file, stack)
        await _compared(page, tmp_path, stack)


async def _looked_at(page: Page, file: Path, stack: Stack) -> None:
    status = stack.json("status", "sixty")
    numbers = json.loads(stack.done("report", "sixty", "--json"))

    assert len(stack.done("report", "sixty", "-o", "-").encode()) < SIZE
    for width in (390, 640, 1440):
        assert await opened(page, file, width) == []
        assert await page.evaluate(BROKEN_WORDS) == [], width
        shown = await page.locator("#rows td").first.evaluate("cell => getComputedStyle(cell).display")
        assert shown == ("table-cell" if width > 640 else "block"), width
        assert await page.evaluate(BEHIND_BOXES) == [], width
    order = await page.evaluate("[...document.querySelectorAll('h2')].map(head => head.innerText)")
    assert [order.index(head) for head in ("Answer", "The plan", "Steps", "What went wrong")] == [0, 1, 2, 3]
    warnings = [await row.inner_text() for row in await page.locator("#warnings tr").all()][1:]
    assert len(warnings) == len(set(warnings)) > 0
    assert sum("cut off" in warning for warning in warnings) == 1, "the call and its step say the same"
    assert await page.title() == "sixty · report"
    assert await page.locator("svg g").count() == STEPS
    assert await page.locator(".lane").count() >= STEPS
    spend = status["spend"]
    assert await page.locator("#calls").inner_text() == str(spend["calls"])
    assert await page.locator("#usd").inner_text() == f"${spend['usd']:.6f}"
    shown = await page.locator("#tokens").inner_text()
    assert shown == f"{spend['input_tokens']} + {spend['output_tokens']}"
    rows = [await row.inner_text() for row in await page.locator("#cost tr").all()][1:]
    assert sum(int(row.split("\t")[2]) for row in rows) == spend["calls"]
    assert numbers["spend"] == spend
    assert numbers["steps"] == status["steps"]
    path, ended = numbers["critical_path"], {step["step"]: step["ended"] for step in status["steps"]}
    waits = {step["step"]: step.get("depends_on", []) for step in status["steps"]}
    assert ended[path[-1]] == max(ended.values())
    assert (waits[path[0]], [one for one, after in pairwise(path) if one not in waits[after]]) == ([], [])
    assert "s30" in path  # the slow one
    assert [one["step"] for one in numbers["suspicions"]][:1] == ["s59"]
    assert await page.get_by_text("was cut off after").first.is_visible()
    if shots := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{shots}/report.png")
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.screenshot(path=f"{shots}/report-phone.png")


async def _compared(page: Page, tmp_path: Path, stack: Stack) -> None:
    stack.done("plan", "Compare islands", "--id", "small")
    file = tmp_path / "both.html"

    stack.done("report", "--compare", "sixty", "small", "-o", str(file))

    assert await opened(page, file, 390) == []
    rows = [(await row.inner_text()).split("\t") for row in await page.locator("#compare tr").all()]
    assert ["steps", "60", "3", "−57"] in rows
    assert stack.run("report").returncode == 2
    assert stack.run("report", "no-such-run").returncode == 2
