"""The report of a data root, in a real browser."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.browser import browser_path, check_whole_page, open_page, products_by_clicks, share_browser
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")

DATASET = "NACO.2016-03-02T00:30:00.076_tpl"


@pytest.fixture(scope="module", autouse=True)
def browser() -> Iterator[None]:
    """Start one browser for all pages of this module."""
    with share_browser():
        yield


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return the page of a small NACO night that was reduced."""
    root = tmp_path_factory.mktemp("report")
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert bridge("run", "--root", root, "--report", *SMALL).code == 0
    return root / "reflex_book_keeping" / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_complaint_and_asks_nobody(report: Path, scheme: str) -> None:
    browser_path()
    check_whole_page(report, scheme)


def test_every_product_is_seen_after_two_clicks(report: Path) -> None:
    browser_path()
    made = {path.name for path in (report.parents[1] / "reflex_tmp_products").rglob("*.fits")}
    assert len(made) > 5
    assert products_by_clicks(report, DATASET) == made


def test_an_end_product_is_reached_from_the_table_with_its_picture(report: Path) -> None:
    browser_path()
    with open_page() as (page, complaints, _):
        page.goto(report.as_uri())
        page.get_by_role("link", name="COADDED_IMG", exact=True).first.click()
        picture = page.get_by_alt_text("preview of SYNTH-001_COADDED_IMG.fits")
        picture.first.scroll_into_view_if_needed()
        picture.first.wait_for(state="visible")
        assert picture.first.evaluate("image => image.naturalWidth") > 50
        assert complaints == []


def test_a_click_on_a_box_opens_its_step_with_the_raws_by_name(report: Path) -> None:
    browser_path()
    with open_page() as (page, _, _):
        page.goto(report.as_uri())
        page.get_by_label("naco_img_jitter_1: ran").click()
        page.get_by_text("NACO.2016-03-02T00:31:20.350", exact=True).first.wait_for(state="visible")
        page.get_by_role("link", name="MASTER_IMG_FLAT of naco_img_twflat_1").click()
        page.get_by_text("NACO.2016-03-01T22:40:00.076", exact=True).first.wait_for(state="visible")


def test_the_filter_hides_what_does_not_fit_and_is_reached_by_the_keyboard(report: Path) -> None:
    browser_path()
    with open_page() as (page, _, _):
        page.goto(report.as_uri())
        row = page.locator("tr[data-dataset]")
        page.keyboard.press("/")
        page.keyboard.type("no such night")
        row.wait_for(state="hidden")
        page.keyboard.press("Escape")
        row.wait_for(state="visible")
        page.keyboard.type("synth-field naco_img_dark")
        row.wait_for(state="visible")


def test_the_page_of_a_night_is_small(report: Path) -> None:
    assert report.stat().st_size < 1_000_000


def test_a_failed_recipe_and_a_missing_master_are_shown_with_their_reasons(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path)
    assert bridge("run", "--root", tmp_path).code == 1  # the default border is larger than the frames
    told = bridge("report", "--root", tmp_path, "--json")
    assert told.json["datasets"] == {DATASET: "failed"}
    page = Path(told.json["report"]).read_text()
    assert 'class="state failed"' in page
    assert "naco_img_dark" in page


def test_a_run_that_made_nothing_leaves_no_report(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path)
    bridge("run", "--root", tmp_path, *SMALL)
    assert bridge("run", "--root", tmp_path, "--report", *SMALL).code == 0
    assert not (tmp_path / "reflex_book_keeping" / "report.html").exists()


def test_a_folder_that_is_no_data_root_is_refused_and_left_alone(tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("report", "--root", tmp_path / "typo")
    assert (ended.code, "is not a data root" in ended.err) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_a_lineage_shows_every_step_with_its_raws_and_how_they_were_associated(
    report: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    root, file = report.parents[1], tmp_path / "one.html"
    (product,) = (root / "reflex_end_products").rglob("*.fits")
    ended = bridge("provenance", product, "--root", root, "--json", "--html", file)
    assert ended.code == 0, ended.err
    text = file.read_text()
    assert all(source["file"] in text for source in ended.json["sources"])
    assert "calSelector: calib_plan, level 0" in text
    assert len(text) < 1_000_000
    browser_path()
    check_whole_page(file)
    made = {entry["file"] for step in ended.json["steps"] for entry in step["products"]}
    assert products_by_clicks(file, DATASET) == made


def test_the_page_says_what_differs_between_any_two_deliveries(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path)
    other = ("--set", "naco_img_jitter.rej=0 0", "--report")
    assert bridge("run", "--root", tmp_path, *SMALL, "--report").code == 0
    page = tmp_path / "reflex_book_keeping" / "report.html"
    assert "What differs from the end products before" not in page.read_text()
    assert bridge("run", "--root", tmp_path, *SMALL, *other).code == 0
    browser_path()
    with open_page() as (window, complaints, _):
        window.goto(page.as_uri())
        window.get_by_text("What differs from the end products before").click()
        row = window.get_by_role("row", name="parameter naco.naco_img_jitter.rej")
        row.wait_for(state="visible")
        assert row.inner_text().split("\t")[-1] == "0 0"
        assert complaints == []
    check_whole_page(page)
    assert bridge("run", "--root", tmp_path, *SMALL, "--set", "naco_img_jitter.rej=1 1", "--report").code == 0
    text = page.read_text()
    assert text.count("What differs from the end products before") == 1
    assert text.count("What differs between those made") == 2


def test_what_eso_reflex_made_is_shown_where_the_bridge_made_nothing(
    real: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    """The bookkeeping of a real run of VIMOS' workflow, which failed in the end."""
    books = tmp_path / "reflex_book_keeping" / "vimos"
    books.mkdir(parents=True)
    dump = (real / "reflex" / "samples" / "bookkeeping_dump.sql").read_text()
    with closing(sqlite3.connect(books / "bookkeeping.db")) as db:
        db.executescript(dump)
        (executions,) = db.execute("SELECT count(*) FROM executions").fetchone()
        names = [
            name
            for (name,) in db.execute("SELECT name FROM files WHERE id IN (SELECT file_id FROM execution_output_files)")
        ]
        db.execute("INSERT INTO datasets (id, name, date, keywords) VALUES (99, 'D', 0, '[]')")
        db.execute("INSERT INTO final_products (dataset_id, alias, name) VALUES (99, '/ends/bias.fits', ?)", names[:1])
        db.commit()
    told = bridge("report", "--root", tmp_path, "--json")
    assert told.code == 0, told.err
    page = Path(told.json["report"]).read_text()
    assert page.count("products of") == executions
    assert all(name in page for name in names)
    assert page.count("delivered as") == 1
    browser_path()
    check_whole_page(Path(told.json["report"]))
