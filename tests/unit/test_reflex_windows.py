"""The pages of interactive actors: what they show, what they take, and who may answer."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from astropy.io import fits

from reflex_actors.actors.tune_recipe import Verdict, outputs, question, work
from reflex_actors.page import (
    Form,
    InvalidFormError,
    PageQuestion,
    PageStoppedError,
    Patience,
    ask,
    can_show,
    open_browser,
)
from reflex_actors.protocol import Inputs
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles
from tests.browser import answer_in_browser
from tests.commands import PATIENCE_S

SOP = (
    RecipeParameter("r", "kappa", (("valmax", 9), ("valmin", 1), ("valtype", "int"), ("value", 3))),
    RecipeParameter("r", "method", (("description", "<how>"), ("valenum", ("mean", "median")), ("value", "mean"))),
    RecipeParameter("r", "bpm", (("valtype", "bool"), ("value", False))),
)


def address_in(page: Path) -> str:
    """Return where a page leads to."""
    return page.read_text().partition("url=")[2].partition('"')[0]


class Browser:
    """A browser that fills in what a test tells it."""

    def __init__(self, *answers: dict[str, str], also: Callable[[str], None] | None = None) -> None:
        self.answers, self.also, self.pages = answers, also, []
        self.thread = threading.Thread(target=self._work)

    def __call__(self, page: Path) -> bool:
        self.address = address_in(page)
        self.thread.start()
        return True

    def _work(self) -> None:
        self.pages.append(urllib.request.urlopen(self.address).read().decode())
        if self.also:
            self.also(self.address)
        for answer in self.answers:
            self.pages.append(urllib.request.urlopen(self.address, urlencode(answer).encode()).read().decode())


def yes_or_no() -> PageQuestion[str]:
    def read(form: Form) -> str:
        if form.get("word") not in ("yes", "no"):
            raise InvalidFormError("yes or no, <please>")
        return form["word"]

    return PageQuestion("Well?", lambda form, problem: f'<input name="word" value="{form.get("word", "")}">', read)


def test_an_answer_comes_back_and_a_wrong_one_is_asked_again() -> None:
    browser = Browser({"word": "perhaps"}, {"word": "yes"})
    assert ask(yes_or_no(), browser) == "yes"
    browser.thread.join()
    assert "yes or no, &lt;please&gt;" in browser.pages[1]
    assert 'value="perhaps"' in browser.pages[1]
    assert "Reflex goes on" in browser.pages[2]


def test_where_no_page_can_be_shown_there_is_no_answer() -> None:
    assert ask(yes_or_no(), lambda address: False) is None


def test_nobody_else_can_look_or_answer() -> None:
    refused = []

    def others(address: str) -> None:
        for url, host in ((address + "x", None), (address.rsplit("/", 2)[0] + "/", None), (address, "evil.example")):
            request = urllib.request.Request(url, b"word=no", headers={"Host": host} if host else {})
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(request)
            refused.append(error.value.code)
            error.value.close()

    browser = Browser({"word": "yes"}, also=others)
    assert ask(yes_or_no(), browser) == "yes"
    browser.thread.join()
    assert refused == [404, 404, 404]
    assert browser.address.startswith("http://127.0.0.1:")
    assert len(browser.address.rsplit("/", 2)[1]) >= 30


def test_a_window_needs_a_display_where_somebody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1] - 6000
        assert can_show({"DISPLAY": f"127.0.0.1:{number}.0"})
    assert not can_show({"DISPLAY": f"127.0.0.1:{number}"})
    assert not can_show({"DISPLAY": ":4711"})
    assert not can_show({"WAYLAND_DISPLAY": "wayland-4711", "XDG_RUNTIME_DIR": "/tmp"})
    assert not can_show({})


def test_the_address_stands_in_a_file_that_only_the_user_can_read_and_goes_with_the_question() -> None:
    seen = []

    def look(page: Path) -> bool:
        seen.append((page, page.stat().st_mode & 0o777, page.parent.stat().st_mode & 0o777))
        return False

    assert ask(yes_or_no(), look) is None
    ((page, own, folder),) = seen
    assert (own, folder) == (0o600, 0o700)
    assert not page.exists()


def test_a_browser_is_started_with_the_file_and_not_with_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tmp_path / "words"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {words}.part; mv {words}.part {words}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    page = tmp_path / "page.html"
    assert open_browser(page)
    while not words.exists():
        time.sleep(0.01)
    assert words.read_text() == f"{page.as_uri()}\n"


@pytest.mark.parametrize("comes", [False, True])
def test_nobody_waits_for_ever(comes: bool, capsys: pytest.CaptureFixture[str]) -> None:
    browser = Browser() if comes else lambda page: True
    assert ask(yes_or_no(), browser, Patience(PATIENCE_S if comes else 0.05, 0.05)) is None
    if isinstance(browser, Browser):
        browser.thread.join()
    said = capsys.readouterr().err
    assert ("no answer came within 0.05 s" if comes else "no browser came within 0.05 s") in said
    assert "if no page opens, open /" in said


def test_a_workflow_can_be_stopped_on_the_page() -> None:
    browser = Browser({"do": "stop the workflow"})
    with pytest.raises(PageStoppedError, match="stopped by the user"):
        ask(yes_or_no(), browser)
    browser.thread.join()
    assert "The workflow is stopped" in browser.pages[1]


@pytest.fixture
def product(tmp_path: Path) -> SetOfFiles:
    path = tmp_path / "product.fits"
    fits.PrimaryHDU(np.arange(10000.0).reshape(100, 100)).writeto(path)
    return SetOfFiles("night", (FitsFile(str(path), "MASTER", ("SCI",)),))


def asked(product: SetOfFiles, *answers: dict[str, str]) -> tuple[Verdict | None, list[str]]:
    browser = Browser(*answers)
    verdict = ask(question(product, SOP), browser)
    browser.thread.join()
    return verdict, browser.pages


def test_the_page_shows_products_and_parameters_with_their_limits(product: SetOfFiles) -> None:
    verdict, (page, _) = asked(product, {"do": "continue"})
    assert verdict == Verdict(False, SOP)
    assert 'src="data:image/png;base64,' in page
    assert "MASTER" in page
    assert "&lt;how&gt;" in page
    assert "from 1 to 9" in page
    assert re.search(r"<option selected>mean</option><option>median</option>", page)
    assert re.search(r"<option>true</option><option selected>false</option>", page)


def test_running_again_takes_the_values_of_the_page(product: SetOfFiles) -> None:
    filled = {"do": "again", "p.kappa": "5", "p.method": "median", "p.bpm": "true"}
    verdict, _ = asked(product, filled)
    assert verdict is not None
    assert [each.value for each in verdict.parameters] == [5, "median", True]


def test_a_value_that_is_not_allowed_is_asked_again(product: SetOfFiles) -> None:
    _, pages = asked(product, {"do": "again", "p.kappa": "50"}, {"do": "continue"})
    assert "allowed: 1 to 9" in pages[1]
    assert 'value="50"' in pages[1]


def test_what_goes_to_the_looper_and_what_goes_on(product: SetOfFiles) -> None:
    original = SetOfFiles("night")
    again = outputs(Verdict(True, SOP[:1]), product, SOP, original)
    assert (again["iteration_complete"], again["out_sof_loop"], again["out_sop_loop"]) == ("false", original, SOP[:1])
    assert "out_sof" not in again
    on = outputs(Verdict(False, SOP, show_more=False), product, SOP, original)
    assert (on["iteration_complete"], on["out_sof"], on["out_sop"], on["set_enable"]) == ("true", product, SOP, False)
    assert "out_sof_loop" not in on


@pytest.mark.parametrize("display", ["", ":4711"])
def test_a_page_that_cannot_be_shown_is_left_out_and_said(
    product: SetOfFiles, display: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    given = {"in_sof": product, "in_sop": SOP, "enable": True}
    unneeded = work(Inputs({**given, "in_sof_rec_orig": SetOfFiles("night")}))
    assert unneeded["out_sof"] == product and capsys.readouterr().err == ""
    raw = SetOfFiles("night", (FitsFile("/raw.fits", "RAW"),))
    assert work(Inputs({**given, "in_sof_rec_orig": raw}))["out_sof"] == product
    assert "night: no display answers" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_real_browser_shows_the_page_names_its_fields_and_sends_the_answer(product: SetOfFiles, scheme: str) -> None:
    def fill(page: Any) -> None:
        page.get_by_label("kappa").fill("5")
        page.get_by_role("button", name="again").click()

    verdict = answer_in_browser(question(product, SOP), fill, scheme)
    assert verdict is not None
    assert verdict.again
    assert verdict.parameters[0].value == 5
