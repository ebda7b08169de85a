"""A real Chromium, from the system's packages: browsers are not downloaded here."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Page, async_playwright

from tests.parts import CHROMIUM, needed
from tests.resilience.server.serving import Served, served_by, with_mailer
from tests.stacks import whole_stack

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


@pytest.fixture(scope="session")
def pages_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server whose pages several tests look at; ids of runs differ between them."""
    directory = tmp_path_factory.mktemp("pages")
    with whole_stack(directory, **with_mailer(directory)) as stack, served_by(stack, directory) as served:
        yield served


@pytest.fixture
def served(pages_server: Served) -> Iterator[Served]:
    """The shared server, its model as it was started."""
    with pages_server.stack.lent():
        yield pages_server


async def signed_in(page: Page, served: Served, who: str) -> None:
    """Sign in with the token of a caller."""
    await page.goto(f"{served.url}/signin")
    await page.fill("#who", served.tokens[who])
    async with page.expect_navigation():
        await page.click("button.yes")
