"""A real Chromium, from the system's packages: browsers are not downloaded here."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium() -> str:
    """Find the browser; its absence fails with what to install, never skips."""
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    assert found, "no Chromium: install it with your system's package manager (Debian: apt-get install chromium)"
    return found


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        yield await browser.new_page(viewport={"width": 1440, "height": 1000})
        await browser.close()
