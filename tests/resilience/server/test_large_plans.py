"""A plan of 5,000 steps is looked at everywhere, within the size of a message, and what failed or waits is found."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.conftest import QUIET, chromium
from tests.processes import running_starter, wait_for
from tests.resilience.server.serving import Served
from tests.stacks import Stack

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(240)]

STEPS, BROKEN = 5000, 4000


def test_a_plan_of_5000_steps_is_seen_everywhere_with_what_failed_first(served: Served, tmp_path: Path) -> None:
    stack, steps = served.stack, [step(number) for number in range(1, STEPS + 1)]
    (tmp_path / "plan.json").write_text(json.dumps({"steps": steps}))
    refusal = {"status": 400, "error_type": "invalid_request_error", "message": "no"}
    stack.api.script(rules=[{"user": f"Part {BROKEN}:", **refusal}, {"user": "Part 1:", "hold": "end", "text": "x"}])
    stack.done("plan", "--plan", str(tmp_path / "plan.json"), "--id", "large", "--detach")
    wait_for(lambda: "failed" in stack.done("status", "large"), "the step fails")

    began = time.monotonic()
    shown = stack.done("status", "large")
    assert len(shown.splitlines()) < 250
    assert f"✗ failed   {BROKEN} " in shown
    assert "▶ running  1 " in shown
    assert "… and 4800 more; --json lists them all" in shown
    for whole in (stack.json("status", "large"), served.ask("GET", "/runs/large").json()["progress"]):
        states: dict[str, Any] = {row["step"]: row["state"] for row in whole["steps"]}
        assert (len(states), states["1"], states[str(BROKEN)]) == (STEPS, "running", "failed")
    assert "is refused" not in stack.done("why", "large", str(BROKEN))
    stack.done("report", "large", "-o", str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").stat().st_size < 4_000_000
    _page(served)
    with running_starter(tmp_path, "watch", "large", env=stack.env, name="watch") as watching:
        watching.wait_until(lambda: "1 · writer" in watching.output, "the watcher to see the run")
        assert time.monotonic() - began < 120, "looking at it is no work for minutes"
        stack.done("cancel", "large")
        stack.api.script(release=["end"])
        watching.wait(30)
    _is_forked(stack)


def _page(served: Served) -> None:
    """Its pages list what failed and runs, say how much they leave out, and are small enough for a phone."""
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium(), args=QUIET) as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto(f"{served.url}/signin")
        page.fill("#who", served.tokens["ada"])
        with page.expect_navigation():
            page.click("button.yes")
        for path, more, most in (
            ("/run?id=large", "… and 4800 more", 2_000),
            ("/report?run=large", "… and 4,000 more", 20_000),
            ("/", "", 500),
        ):
            answer = page.goto(f"{served.url}{path}")
            assert answer is not None
            assert more in page.locator("body").inner_text(), path
            assert page.evaluate("document.querySelectorAll('*').length") < most, path
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
            if more:
                assert f"{BROKEN}" in page.locator(".steps li b, #rows td:first-child").all_inner_texts(), path
        page.goto(f"{served.url}/run?id=large")
        with page.expect_navigation():
            page.click("text=all of them as JSON")
        assert page.evaluate("JSON.parse(document.body.innerText).progress.steps.length") == STEPS


def _is_forked(stack: Stack) -> None:
    """A fork knows all its steps, also those that did not fit into one answer."""
    shown = stack.done("fork", "large", "--from-step", str(STEPS), "--dry-run")
    assert f"to do       {STEPS} · writer" in shown


def step(number: int) -> dict[str, Any]:
    before = [number - 1] if number not in (1, BROKEN) else []
    text = f"Part {number}: " + "write about it " * 20
    return {"step": number, "agent": "writer", "input": text, "depends_on": before}
