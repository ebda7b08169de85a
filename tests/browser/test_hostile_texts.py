"""Texts that would be scripts, on every page in Chromium: none is run, and nothing of ours breaks the pages' own policy.

One browser keeps the policy, and says what breaks it. Another one goes without, so that a text that is not escaped would run.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import signed_in
from tests.processes import wait_for
from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(180)]

HOSTILE = (
    "<script>owned('script')</script>\"><img src=x onerror=owned('image')>'><svg onload=owned('svg')></svg>"
    "</script></style></title></textarea></pre><img src=x onerror=\"owned('closed')\">"
    "[a](javascript:owned('markdown')) javascript:owned('address') &lt;img src=x onerror=owned('entity')&gt; {{ 7*'7' }}"
)
SHORT = "\"><img src=x onerror=owned('short')>"
RUN = f"{SHORT}-plan"
CHAT = f"{SHORT}-chat"
INJECTED = "document.querySelectorAll('img, iframe, object, svg[onload], script:not([src=\"/live.js\"])').length"
LINKS = "[...document.querySelectorAll('[href], [action], [src]')].flatMap(e => [e.href, e.action, e.src])"


@dataclass
class Watched:
    """A page, and what it has run or complained of."""

    page: Page
    run: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def opens(self, url: str) -> None:
        """Open a page: it shows the text, nothing of it was run, and no element or address is made of it."""
        answer = await self.page.goto(url)
        assert answer is not None
        assert "default-src 'none'" in answer.headers["content-security-policy"], url
        if "html" in answer.headers["content-type"]:
            await self.is_harmless()
        else:
            assert answer.headers["x-content-type-options"] == "nosniff", url

    async def is_harmless(self) -> None:
        assert await self.page.evaluate(INJECTED) == 0, self.page.url
        links = [link for link in await self.page.evaluate(LINKS) if isinstance(link, str)]
        assert not [link for link in links if link.startswith("javascript")], links
        assert "777777" not in await self.page.content()
        assert self.run == [], self.page.url


async def watched(stack: AsyncExitStack, page: Page, *, strict: bool) -> Watched:
    """Open a browser of its own; one that is not `strict` takes no notice of the pages' policy."""
    assert page.context.browser
    context = await page.context.browser.new_context(bypass_csp=not strict)
    stack.push_async_callback(context.close)
    made = Watched(await context.new_page())
    await context.expose_function("owned", lambda name: made.run.append(name))
    await context.expose_function("complain", lambda what: made.said.append(what))
    await context.add_init_script(
        "addEventListener('securitypolicyviolation', e => complain(`${e.violatedDirective} ${e.blockedURI}`))"
    )
    made.page.on("pageerror", lambda error: made.said.append(str(error)))
    return made


async def test_no_text_of_anybody_is_run_on_any_page(page: Page, served: Served) -> None:
    async with AsyncExitStack() as stack:
        strict, loose = await watched(stack, page, strict=True), await watched(stack, page, strict=False)
        await loose.page.set_content(HOSTILE)
        await until(lambda: {"image", "svg", "closed"} <= set(loose.run))  # they are run where nothing is escaped
        loose.run.clear()
        for each in (strict, loose):
            await signed_in(each.page, served, "ada")
        _a_plan(served)
        await _a_chat(served, strict, loose)
        for each in (strict, loose):
            await _every_page(served, each)
            assert (each.run, each.said) == ([], []), "nothing of ours breaks the policy"
        await strict.page.goto(served.url)
        await strict.page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", HOSTILE)
        await until(lambda: bool(strict.said))  # the policy stops what would not be escaped
        assert strict.run == []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - the browser tells it in a callback
            await asyncio.sleep(0.05)


def _a_plan(served: Served) -> None:
    """A run whose id, steps, people, answers and errors are hostile, and which waits at a gate."""
    steps: list[dict[str, Any]] = [
        {"step": SHORT, "agent": "researcher", "input": HOSTILE},
        {"step": "fails", "agent": "writer", "input": f"fail {HOSTILE}"},
        {"step": "send", "agent": "writer", "input": HOSTILE, "confirm": True, "depends_on": [SHORT]},
    ]
    refusal = {"status": 400, "error_type": "invalid_request_error", "message": HOSTILE}
    served.stack.api.script(rules=[{"user": "fail <script>", **refusal}, {"user": "<script>", "text": HOSTILE}])
    served.start("plan", {"plan": {"steps": steps}, "requester": SHORT}, RUN, who="start")
    wait_for(lambda: _gates(served, RUN), "its gate waits")
    digest = _gates(served, RUN)[0]["digest"]
    edit = {"verdict": "approve", "by": SHORT + "2", "edit": {"input": f"{HOSTILE} {HOSTILE}"}, "reason": HOSTILE}
    served.stack.temporal("workflow", "signal", "--workflow-id", RUN, "--name", "decide", "--input", json.dumps(edit))
    wait_for(lambda: _gates(served, RUN)[0]["digest"] != digest, "it was edited")


async def _a_chat(served: Served, *watched: Watched) -> None:
    """A session that streams, calls a tool that is none, mails, and asks; the pages are open meanwhile."""
    mail = {"to": ["shop@example.org"], "subject": SHORT, "text": HOSTILE}
    field = {"title": SHORT, "description": SHORT, "enum": [SHORT]}
    form = {"question": HOSTILE, "form": {"type": "object", "properties": {SHORT: field, "b": {"title": SHORT}}}}
    served.stack.api.script(rules=[
        {"system": "You send mail", "text": HOSTILE, "piece": 9, "pace": 0.02, "before_turn": 1},
        {"system": "You send mail", "tool": "no-such", "input": {HOSTILE: HOSTILE}, "before_turn": 2},
        {"system": "You send mail", "tool": "list_files", "input": {"pattern": HOSTILE}, "before_turn": 3},
        {"system": "You send mail", "tool": "ask_person", "input": form, "before_turn": 4},
        {"system": "You send mail", "tool": "send_mail", "input": mail, "before_turn": 5},
    ])  # fmt: skip
    _say(served, HOSTILE)
    for each in watched:
        await each.page.goto(f"{served.url}/run?{urlencode({'id': CHAT})}")
    for each in watched:
        await expect(each.page.locator("#now .theirs p")).to_have_text(HOSTILE, timeout=20_000)
    _say(served, f"Ask. {HOSTILE}")
    for each in watched:
        form_shown = each.page.locator("form.question")
        await expect(form_shown).to_contain_text("onerror=owned('image')", timeout=20_000)
        await expect(each.page.locator("#writing .tool").first).to_contain_text("list_files")
        await each.is_harmless()
    answer = {"question": "question-1", "answer": json.dumps({SHORT: SHORT})}
    answered = served.ask("POST", f"/runs/{quote(CHAT, safe='')}/answers", answer)
    assert answered.status_code < 300, answered.text
    wait_for(lambda: _gates(served, CHAT), "the mail waits")
    for each in watched:
        await expect(each.page.locator("form.gate pre")).to_contain_text("onerror", timeout=20_000)
        await each.is_harmless()


def _say(served: Served, text: str) -> None:
    said = served.ask("POST", f"/runs/{quote(CHAT, safe='')}/messages", {"agent": "mailer", "text": text}, who="start")
    assert said.status_code == 202, said.text


def _gates(served: Served, run: str) -> list[dict[str, Any]]:
    return [one["gate"] for one in served.ask("GET", "/gates").json()["gates"] if one["id"] == run]


async def _every_page(served: Served, each: Watched) -> None:
    for path, query in (
        ("/", {}),
        ("/", {"agent": HOSTILE, "page": HOSTILE}),
        ("/run", {"id": RUN}),
        ("/run", {"id": CHAT}),
        ("/run", {"id": HOSTILE}),
        ("/gate", {"run": RUN, "gate": "gate-1"}),
        ("/gate", {"run": CHAT, "gate": "gate-1"}),
        ("/gate", {"run": CHAT, "gate": HOSTILE}),
        ("/report", {"run": RUN}),
        ("/report", {"run": CHAT}),
        ("/report", {"run": HOSTILE}),
    ):
        await each.opens(f"{served.url}{path}?{urlencode(query)}")
        if "html" in await each.page.evaluate("document.contentType"):
            assert "onerror=owned" in await each.page.content()
    await each.page.goto(f"{served.url}/gate?{urlencode({'run': CHAT, 'gate': 'gate-1'})}")
    await each.page.fill("#reason", HOSTILE[:200])
    await each.page.fill("#arguments", HOSTILE)
    await each.page.click("button.yes >> nth=0")
    await expect(each.page.locator("[role=alert]")).to_contain_text("arguments: no JSON")
    await each.is_harmless()
