"""A real browser for tests of pages: Debian's Chromium through playwright, which downloads nothing here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import pytest

from reflex_actors.page import PageQuestion, Patience, ask
from tests.commands import PATIENCE_S

Answer = TypeVar("Answer")

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


_shared: dict[int, Any] = {}
"""The browser that the pages of a thread have in common."""


@contextmanager
def share_browser() -> Iterator[None]:
    """Open pages of this thread in one browser: to start one takes longer than most that is asked of a page.

    Where there is no browser, nothing is shared, and who opens a page is skipped.
    """
    if not any(map(shutil.which, _NAMES)) or importlib.util.find_spec("playwright") is None:
        yield
        return
    with _start_browser() as browser:
        _shared[threading.get_ident()] = browser
        try:
            yield
        finally:
            del _shared[threading.get_ident()]


@contextmanager
def open_page(**options: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Give a page that knows nothing of others, with what its console complains of and what it requests, as they come.

    It is of a browser of its own where none is shared.
    """
    shared = _shared.get(threading.get_ident())
    with nullcontext(shared) if shared is not None else _start_browser() as browser:
        page = browser.new_page(**options)
        page.set_default_timeout(1000 * PATIENCE_S)
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        try:
            yield page, complaints, requests
        finally:
            page.close()


@contextmanager
def _start_browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # Without a sandbox only where the kernel gives root none.
    words = [*_QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=words, timeout=1000 * PATIENCE_S)
        try:
            yield browser
        finally:
            browser.close()


CHECKS = (Path(__file__).parent / "page_checks.js").read_text(encoding="utf-8")


def check_whole_page(file: Path, scheme: str = "light") -> None:
    """Assert that a page complains of nothing, asks nobody, and has contrast and names where somebody needs them."""
    with open_page(color_scheme=scheme) as (page, complaints, requests):
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        assert complaints == []
        assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert page.evaluate(f"{CHECKS}; poorContrast()") == []
        assert page.evaluate(f"{CHECKS}; withoutName()") == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def answer_in_browser(
    question: PageQuestion[Answer], fill: Callable[[Any], None], scheme: str = "light"
) -> Answer | None:
    """Answer the question of an actor as a user does, and assert of its page what is asserted of a whole page."""
    browser_path()
    found: list[object] = []

    def use(address: str) -> None:
        with open_page(color_scheme=scheme) as (page, complaints, _):
            page.goto(address)
            page.get_by_role("button", name="stop").wait_for()  # The file leads on to the page.
            found.append(page.evaluate(f"{CHECKS}; poorContrast()"))
            found.append(page.evaluate(f"{CHECKS}; withoutName()"))
            fill(page)
            page.get_by_text("Reflex goes on").wait_for()
            found.append(page.get_by_text("Reflex goes on").count())
            found.append(complaints)

    threads: list[threading.Thread] = []

    def show(page: Path) -> bool:
        threads.append(threading.Thread(target=use, args=(page.as_uri(),)))
        threads[0].start()
        return True

    answer = ask(question, show, Patience(PATIENCE_S, PATIENCE_S))
    threads[0].join()
    assert found == [[], [], 1, []]
    return answer


def products_by_clicks(file: Path, dataset: str) -> set[str]:
    """Return the names of the products that are seen after two clicks: on a dataset, and on a step of its cascade."""
    found: set[str] = set()
    with open_page() as (page, complaints, _):
        page.goto(file.as_uri())
        for number in range(page.locator("svg.cascade a").count()):
            page.goto(f"{file.as_uri()}?{number}")
            page.get_by_role("link", name=dataset, exact=True).click()
            box = page.locator("svg.cascade a").nth(number)
            step = page.locator(f"[id='{(box.get_attribute('href') or '').removeprefix('#')}']")
            box.click()
            step.locator("figure").first.wait_for()
            found |= {each.inner_text() for each in step.locator("figcaption code").all() if each.is_visible()}
        assert complaints == []
    return found
