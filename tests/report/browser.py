"""A real browser for the tests of pages: Chromium, driven by Playwright; skipped where it is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

REASON = "make install-browser"
#: Graphics without a graphics card; a shared memory of containers is too small for Chromium.
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """Provide a browser, the system's or else Playwright's own."""
    api = pytest.importorskip("playwright.sync_api", reason=REASON)
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, args=list(FLAGS))
        except api.Error:
            pytest.skip(REASON)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and all that went wrong or out of it."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def clean(self) -> None:
        """Assert that no error was told, nothing was asked of the network, and no dialog was opened."""
        assert (self.messages, self.requests, self.dialogs) == ([], [], [])


@contextmanager
def watched(
    browser: Any, allowed: tuple[str, ...] = ("file:", "data:", "blob:"), **options: Any
) -> Iterator[Watched]:
    """Provide a new page whose errors, requests beyond `allowed` and dialogs are kept."""
    context = browser.new_context(accept_downloads=True, **options)
    context.set_default_timeout(60_000)
    page = context.new_page()
    seen = Watched(page)
    page.on("console", lambda m: seen.messages.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: seen.messages.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(allowed) else seen.requests.append(r.url))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    try:
        yield seen
    finally:
        context.close()
