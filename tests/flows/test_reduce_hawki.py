"""The HAWK-I road: raw darks, and processed calibrations that the archive delivers; and the page of its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser_path, check_whole_page, open_page, products_by_clicks
from tests.flows.conftest import Ended

pytestmark = pytest.mark.usefixtures("esorex")


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended]) -> Any:
    """Return the document of the demonstration, and the root that it was made in."""
    root = tmp_path_factory.mktemp("hawki")
    ended = bridge("demo", "--instrument", "hawki", "--root", root, "--json")
    assert ended.code == 0, ended.err
    return {**ended.json, "root": root}


def test_the_demonstration_reduces_hawki_and_then_reuses_all(demonstration: Any) -> None:
    first, second = demonstration["runs"]
    (dataset,) = first["datasets"]
    assert [step["recipe"] for step in dataset["steps"]] == [
        "hawki_dark_combine",
        "hawki_science_process",
        "hawki_science_postprocess",
    ]
    assert first["executed"] == 3
    assert second["executed"] == 0
    assert "JITTERED_IMAGE_SCI" in {product["category"] for product in dataset["end_products"]}
    statics = [file["name"] for file in first["files"] if file["name"].startswith("M.HAWKI")]
    assert len(statics) >= 7


def test_its_page_shows_every_product_after_two_clicks_and_names_the_raws(demonstration: Any) -> None:
    (dataset,) = demonstration["runs"][0]["datasets"]
    page = demonstration["root"] / "reflex_book_keeping" / "report.html"
    assert page.stat().st_size < 1_000_000
    browser_path()
    made = {Path(product["path"]).name for step in dataset["steps"] for product in step["products"]}
    assert len(made) > 15
    assert products_by_clicks(page, dataset["dataset"]) == made
    for scheme in ("light", "dark"):
        check_whole_page(page, scheme)
    with open_page() as (window, complaints, _):
        window.goto(page.as_uri())
        window.get_by_label("hawki_science_process_1: ran").click()
        window.get_by_text("HAWKI.2019-06-02T01:00:40.213", exact=True).first.wait_for(state="visible")
        assert window.locator("figure img").first.evaluate("image => image.naturalWidth") > 50
        window.keyboard.press("/")
        window.keyboard.type("naco")
        window.locator("tr[data-dataset]").wait_for(state="hidden")
        assert complaints == []
