"""The page in Chromium, opened from disk."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Request, sync_playwright
from playwright.sync_api import Page as Tab

from analysis.page.contents import Page
from analysis.page.write import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


# By module: while Playwright is there, an event loop runs in this thread, and tests of endpoints start one of theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH (chromium, chromium-browser, google-chrome)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a tab asked for and complained about."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def on_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def on_console(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def on_error(self, error: Any) -> None:
        self.complaints.append(str(error))


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Tab]]:
    """Opens a page in a tab; at the end of the test nothing was asked of a network and nothing complained."""
    opened: list[tuple[Tab, Watch]] = []

    def open_tab(content: Page, **options: Any) -> Tab:
        path = tmp_path / "report.html"
        write_page(content, path)
        tab, watch = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options}).new_page(), Watch()
        tab.set_default_timeout(120_000)  # milliseconds; machines are shared
        tab.on("request", watch.on_request)
        tab.on("console", watch.on_console)
        tab.on("pageerror", watch.on_error)
        tab.goto(path.as_uri())
        opened.append((tab, watch))
        return tab

    yield open_tab
    uri = (tmp_path / "report.html").as_uri()
    for tab, watch in opened:
        assert {url.split("#")[0] for url in watch.requests} == {uri}
        assert watch.complaints == []
        tab.context.close()
