"""A page in a Chromium, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


@contextmanager
def shown(page: Path, width: int, scheme: str) -> Iterator[Any]:
    """The tab of a page, which complains of nothing, requests nothing else and is no wider than its window."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser can be driven")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)} is on the path")
    complaints, requests = [], []
    with driver.sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path=found, args=list(FLAGS))
        except driver.Error as error:
            pytest.skip(f"{found} does not start here: {str(error).splitlines()[0]}")
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(page.as_uri())
        widest = tab.evaluate("Math.max(...[document.documentElement, document.body].map(e => e.scrollWidth))")
        yield tab
        browser.close()
    assert complaints == [] and requests == [page.as_uri()]
    assert widest <= width
