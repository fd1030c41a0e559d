"""Interactive actors as Reflex starts them: with a browser that answers, and without a display."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.night import DemoNight
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from reflex_actors.actors import review_association
from reflex_actors.folder import organise_folders
from tests.browser import answer_in_browser
from tests.flows.conftest import put_on_disk
from tests.flows.reflex_driver import ReflexDriver

BROWSER = """#!/usr/bin/python3
import html, re, sys, urllib.parse, urllib.request
address = re.search('url=([^"]*)', urllib.request.urlopen(sys.argv[1]).read().decode()).group(1)
page = urllib.request.urlopen(address).read().decode()
open({seen!r}, "w").write(page)
form = {form}
urllib.request.urlopen(address, urllib.parse.urlencode(form).encode()).read()
"""


@pytest.fixture
def display() -> Iterator[str]:
    """Return a display where somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1] - 6000}"


@pytest.fixture
def reflex(tmp_path: Path, actors_folder: Path, empty_home: Path) -> ReflexDriver:
    (tmp_path / "scratch").mkdir()
    return ReflexDriver(actors_folder, tmp_path / "scratch", empty_home)


def with_browser(reflex: ReflexDriver, folder: Path, form: str, display: str) -> Path:
    """Give Reflex a display and a browser that fills in a form; return where the browser keeps what it saw."""
    place = folder / "bin"
    place.mkdir()
    seen = folder / "seen.html"
    (place / "xdg-open").write_text(BROWSER.format(seen=str(seen), form=form))
    (place / "xdg-open").chmod(0o755)
    reflex.variables.update({"DISPLAY": display, "PATH": f"{place}:/usr/bin:/bin"})
    return seen


TUNING = {"in_sof": "night|", "in_sop": "naco_img_dark:hot_t=10", "in_sof_rec_orig": "night|/dev/null;RAW;"}


def test_without_a_display_products_pass_through(reflex: ReflexDriver) -> None:
    found = reflex.ok("tune_recipe.py", **TUNING, enable="true")
    assert found["iteration_complete"] == "true"
    assert found["out_sof"]["datasetName"] == "night"
    assert found["out_sop"][0]["value"] == "10"
    assert "out_sof_loop" not in found
    assert "set_init_sop" in found


def test_the_contract_of_an_interactive_script(reflex: ReflexDriver) -> None:
    known = reflex.ports("tune_recipe.py")
    assert known.inputs == ("in_sof", "in_sop", "in_sof_rec_orig", "enable")
    assert set(known.outputs) == {
        "out_sof",
        "out_sop",
        "out_sof_loop",
        "out_sop_loop",
        "iteration_complete",
        "set_enable",
        "set_init_sop",
        "set_init_text",
    }
    ended = reflex.run("tune_recipe.py", {"in_sof": "night|"})
    assert ended.status != 0
    assert "in_sof_rec_orig" in ended.stderr


def test_a_user_runs_a_recipe_again(reflex: ReflexDriver, tmp_path: Path, display: str) -> None:
    seen = with_browser(reflex, tmp_path, '{"do": "again", "p.hot_t": "12", "quiet": "1"}', display)
    found = reflex.ok("tune_recipe.py", **TUNING, enable="true")
    assert "hot_t" in seen.read_text()
    assert (found["iteration_complete"], found["set_enable"]) == ("false", "false")
    assert found["out_sop_loop"][0]["value"] == "12"
    assert "out_sof" not in found


def test_a_window_is_not_opened_where_nobody_wants_it(reflex: ReflexDriver, tmp_path: Path, display: str) -> None:
    seen = with_browser(reflex, tmp_path, "{}", display)
    assert reflex.ok("tune_recipe.py", **TUNING)["set_enable"] == "false"
    assert not seen.exists()


CHOOSE_OTHER = r"""dict(
    (html.unescape(name), html.unescape(value))
    for name, value in re.findall(r'type="radio" name="(use[^"]*DARK)" value="([^"]*)"></td>', page)[:1])"""


def test_a_choice_among_calibrations_is_kept_and_counts(
    reflex: ReflexDriver, small_archive: EmbeddedArchive, tmp_path: Path, display: str
) -> None:
    data = tmp_path / "root" / "reflex_input" / "naco"
    reflex.ok(
        "calselector_fetch.py", data_dir=str(data), dp_ids="NACO.2016-03-02T00:30:00.076", archive=small_archive.url
    )
    seen = with_browser(reflex, tmp_path, CHOOSE_OTHER, display)
    found = reflex.ok("review_association.py", data_dir=str(data), enable="true")
    assert "NACO.2016-03-02T00:30:00.076_tpl" in seen.read_text()
    assert found["out_data_dir"] == str(data)
    assert "for DARK" in found["messages"]
    kept = (tmp_path / "root" / "choices.yaml").read_text()
    assert "DARK/IMGJITOBJ_SW: NACO" in kept, "for the purpose that the page names, and no other"
    assert "Chosen by you" in reflex.ok("organise_datasets.py", data_dir=str(data))["messages"]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_real_browser_shows_what_calibrates_what_and_sends_the_choice(
    scheme: str, tmp_path: Path, frames_folder: Path, small_night: DemoNight
) -> None:
    data = organise_folders([put_on_disk(small_night, frames_folder, tmp_path)], tmp_path)
    picked: list[str] = []

    def choose(page: Any) -> None:
        other = page.get_by_role("radio", name="as DARK for").and_(page.locator(":not(:checked)")).first
        picked.append(other.get_attribute("aria-label"))
        other.check()
        page.get_by_role("button", name="Go on").click()

    with Session(Settings(tmp_path)) as session:
        asked = review_association.question(data, tmp_path, session.planning)
    ((dataset, key, file),) = answer_in_browser(asked, choose, scheme) or ()
    assert (dataset, key) == ("NACO.2016-03-02T00:30:00.076_tpl", "DARK/IMGJITOBJ_SW")
    assert picked[0].startswith(f"use {file} as DARK")


def test_a_display_without_a_server_never_holds_a_workflow_up(reflex: ReflexDriver, tmp_path: Path) -> None:
    seen = with_browser(reflex, tmp_path, "{}", ":4711")
    assert reflex.ok("tune_recipe.py", **TUNING, enable="true")["iteration_complete"] == "true"
    assert not seen.exists()


def test_a_dataset_that_does_not_need_the_step_opens_no_window(
    reflex: ReflexDriver, tmp_path: Path, display: str
) -> None:
    seen = with_browser(reflex, tmp_path, "{}", display)
    found = reflex.ok("tune_recipe.py", **{**TUNING, "in_sof_rec_orig": "night|"}, enable="true")
    assert (found["iteration_complete"], found["set_enable"]) == ("true", "true")
    assert not seen.exists()
