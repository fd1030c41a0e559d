"""The page of a review: what is used for what, what a choice changes before it is kept, and the way back."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import urllib.parse
import urllib.request
from html import unescape
from pathlib import Path
from typing import Any

from esorex_bridge.demo.nights.night import DemoNight
from esorex_bridge.organise.organised_data import Request
from esorex_bridge.organise.reviewing import open_review
from esorex_bridge.pages.review import ReviewDesk, serve_review
from esorex_bridge.pages.server import Asked
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.browser import CHECKS, open_page
from tests.commands import PATIENCE_S
from tests.edps.test_run_package import camera
from tests.flows.conftest import put_on_disk

NAME = "NACO.2016-03-02T00:30:00.076_tpl"
SCIENCE = "IMGJITOBJ_SW"


def desk_of(root: Path, night: DemoNight, frames: Path) -> ReviewDesk:
    planner = Session(Settings(root)).planning.planner()
    return ReviewDesk(open_review(Request(root), [put_on_disk(night, frames, root)], NAME, planner))


def send(desk: ReviewDesk, do: str, **form: str) -> str:
    return desk.reply(Asked("", {"do": do, **form})).text


def test_a_choice_is_shown_before_it_is_kept_and_can_be_undone(
    tmp_path: Path, small_night: DemoNight, frames_folder: Path
) -> None:
    desk, kept = desk_of(tmp_path, small_night, frames_folder), tmp_path / "choices.yaml"
    page = desk.reply(Asked("")).text
    assert f"for {SCIENCE}" in page and page.count("median ") > 10 and "What this changes" not in page
    name = next(name for name in re.findall(r'name="drop\.([^"]*)"', page) if "T22:4" in name)
    tried = send(desk, "try", **{f"drop.{name}": "on"})
    assert "What this changes" in tried and f"Chosen by you: without {name}" in tried and not kept.exists()
    assert re.search(rf"takes nothing in place of [A-Z_]* {name}", unescape(tried)), tried
    assert "What this changes" not in send(desk, "discard")
    send(desk, "try", **{f"drop.{name}": "on"})
    assert 'value="undo"' in send(desk, "keep") and name in kept.read_text()
    assert f'name="undrop.{name}"' in desk.reply(Asked("")).text
    assert 'value="undo"' not in send(desk, "undo") and not kept.exists()
    assert not desk.done.is_set()
    goodbye = desk.reply(Asked("", {"do": "done"}))
    assert goodbye.then is not None and "can be closed" in goodbye.text


def test_what_the_plan_would_not_do_with_is_said_and_kept_only_all_the_same(
    tmp_path: Path, small_night: DemoNight, frames_folder: Path
) -> None:
    desk = desk_of(tmp_path, small_night, frames_folder)
    flats = set(re.findall(r'name="(drop\.[^"]*T22:4[^"]*)"', desk.reply(Asked("")).text))
    tried = unescape(send(desk, "try", **dict.fromkeys(flats, "on")))
    assert "The plan would not do with this" in tried and "Keep it all the same" in tried
    assert "needs MASTER_IMG_FLAT" in tried and not (tmp_path / "choices.yaml").exists()
    send(desk, "keep")
    assert "T22:40" in (tmp_path / "choices.yaml").read_text()
    send(desk, "reset")
    assert not (tmp_path / "choices.yaml").exists()
    assert desk.reply(Asked("", {"do": "try", "use.nothing": "x", "drop.nothing": "on"})).status == 200
    assert desk.reply(Asked("elsewhere")).status == 404


def test_a_real_browser_tries_keeps_and_takes_back_a_choice(tmp_path: Path) -> None:
    from esorex_bridge.demo.nights.naco import naco_night
    from esorex_bridge.demo.nights.night import FrameFolder

    folder, night = FrameFolder(tmp_path / "reflex_input"), naco_night(npix=32)
    for file in night.files:
        folder.fits(night, file)
    request = Request(tmp_path, workflow=camera(tmp_path))
    served, desk = serve_review(
        open_review(request, [], "NACO.2016-03-02T00:30:00.076", Session(Settings(tmp_path)).planning.planner())
    )
    try:
        with open_page() as (page, complaints, requests):
            page.goto(served.address)
            used = page.locator("tr.used")
            assert used.count() == 3 and page.locator("details[open] img").count() >= 9
            assert page.evaluate(f"{CHECKS}; poorContrast()") == []
            assert page.evaluate(f"{CHECKS}; withoutName()") == []
            page.get_by_role("radio", name="as DARKS for flat/image").and_(page.locator(":not(:checked)")).first.check()
            click(page, "Show what this changes")
            assert page.get_by_text("takes CAL_DARK").count() == 1
            click(page, "Keep")
            assert "DARKS/flat/image" in (tmp_path / "choices.yaml").read_text()
            click(page, "Undo")
            assert not (tmp_path / "choices.yaml").exists()
            click(page, "Done")
            page.get_by_text("can be closed").wait_for()
            assert desk.done.wait(PATIENCE_S) and complaints == []
            assert all(url.startswith(("data:", served.address)) for url in requests)
    finally:
        served.stop()


def click(page: Any, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).first.click()


def test_the_command_serves_the_page_until_done(root: Path) -> None:
    words = [sys.executable, "-m", "esorex_bridge", "review", NAME, "--root", str(root), "--web", "--no-browser"]
    with subprocess.Popen([*words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        said = process.stderr.readline()
        assert "leads to the review" in said, said
        redirect = root / "reflex_book_keeping" / "review.html"
        assert stat.S_IMODE(redirect.stat().st_mode) == 0o600
        (address,) = re.findall(r'<a href="([^"]+)"', redirect.read_text())
        urllib.request.urlopen(address, urllib.parse.urlencode({"do": "done"}).encode(), timeout=PATIENCE_S).read()
        found = json.loads(process.stdout.read())
        assert process.wait(PATIENCE_S) == 0 and found["dataset"] == NAME and found["choices"] == {}
    assert not redirect.exists()
