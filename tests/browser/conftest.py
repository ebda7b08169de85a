"""A real Chromium, from the system's packages: browsers are not downloaded here."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from tests.parts import CHROMIUM, needed

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium() -> str:
    """Find the browser; without one the test is skipped, and the end of the run says so."""
    return needed(CHROMIUM)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        yield await browser.new_page(viewport={"width": 1440, "height": 1000})
        await browser.close()
