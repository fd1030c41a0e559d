"""A real browser for tests of pages: Debian's Chromium through playwright, which downloads nothing here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def browser_path() -> str:
    """Return the path of an installed browser, or skip."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed (make test-tools installs it where it may)")
    return found


@contextmanager
def open_page(**options: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Give a page of a new browser, with what its console complains of and what it requests, as they come."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # Without a sandbox only where the kernel gives root none.
    words = [*_QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=words)
        try:
            page = browser.new_page(**options)
            complaints: list[str] = []
            requests: list[str] = []
            page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            yield page, complaints, requests
        finally:
            browser.close()
