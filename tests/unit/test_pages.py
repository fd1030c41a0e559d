"""Drawings and pages by themselves: layouts, escaping, live serving."""

from __future__ import annotations

import re
import stat
import urllib.error
import urllib.request
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from esorex_bridge.pages.draw import draw_cascade, draw_time_line
from esorex_bridge.pages.layout import place_nodes
from esorex_bridge.pages.live import serve_report
from esorex_bridge.pages.model import Bar, DatasetView, ProductView, ReportView, StepView
from esorex_bridge.pages.preview import describe, preview
from esorex_bridge.pages.render import render_report
from esorex_bridge.pages.server import write_redirect
from tests.commands import PATIENCE_S

NASTY = "<script>alert(1)</script>\"'&"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Return a graph without circles: each node needs some of those before it."""
    nodes = [f"n{number}" for number in range(draw(st.integers(0, 25)))]
    return {
        node: tuple(draw(st.lists(st.sampled_from(nodes[:number]), unique=True, max_size=4)) if number else ())
        for number, node in enumerate(nodes)
    }


@given(graphs())
def test_makers_stand_left_of_users_and_no_two_nodes_in_one_place(needs: dict[str, tuple[str, ...]]) -> None:
    places = place_nodes(needs)
    assert set(places) == set(needs)
    assert len(set(places.values())) == len(places)
    assert all(places[need][0] < places[node][0] for node, wanted in needs.items() for need in wanted)


def test_a_crossing_that_can_be_avoided_is_avoided() -> None:
    places = place_nodes({"a": (), "b": (), "x": ("b",), "y": ("a",)})
    assert (places["a"][1] < places["b"][1]) == (places["y"][1] < places["x"][1])


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="circular"):
        place_nodes({"a": ("b",), "b": ("a",)})


def step(name: str, needs: tuple[str, ...] = (), **fields: object) -> StepView:
    values = {
        "anchor": name, "name": name, "recipe": name, "pipeline": "", "state": "ran", "reason": "", "made": "",
        "seconds": 1.0, "parameters": (), "inputs": (), "products": (), "needs": needs, "log": "", "warnings": (),
        "folder": "",
    }  # fmt: skip
    return StepView(**{**values, **fields})  # type: ignore[arg-type]


def test_boxes_of_a_cascade_do_not_overlap() -> None:
    steps = [step(f"s{number}", (f"s{number // 2}",) if number else ()) for number in range(12)]
    drawn = draw_cascade(steps)
    boxes = [
        tuple(map(int, found)) for found in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', drawn)
    ]
    assert len(boxes) == 12
    for first, (x, y, width, height) in enumerate(boxes):
        for a, b, _, _ in boxes[first + 1 :]:
            assert abs(a - x) >= width or abs(b - y) >= height


def test_bars_that_ran_beside_each_other_lie_in_rows_of_their_own() -> None:
    bars = [Bar("a", "a", 0.0, 2.0, "a"), Bar("b", "b", 1.0, 2.0, "b"), Bar("c", "c", 2.5, 1.0, "c")]
    rows = re.findall(r'class="bar" x="[\d.]+" y="(\d+)"', draw_time_line(bars))
    assert rows[0] != rows[1]
    assert rows[2] == rows[0]


def nasty_view() -> ReportView:
    product = ProductView(NASTY, NASTY, f"/tmp/{NASTY}", 1, "", ((NASTY, NASTY),))
    one = step(
        "s", reason=NASTY, log=NASTY, warnings=(NASTY,), products=(product,), parameters=((NASTY, NASTY, NASTY),)
    )
    dataset = DatasetView("d", NASTY, NASTY, NASTY, NASTY, NASTY, "ran", (NASTY,), (one,), (product,), (NASTY,))
    return ReportView(NASTY, NASTY, "now", (dataset,), (), (), (), (NASTY,))


def test_no_text_of_a_header_or_log_becomes_markup() -> None:
    page = render_report(nasty_view())
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in page


def test_a_page_loads_nothing_from_anywhere() -> None:
    page = render_report(nasty_view())
    assert not re.findall(r'(?:src|href)="(?!#|data:|file:)', page)
    assert "default-src 'none'" in unescape(page)


def test_an_image_keeps_its_orientation_in_the_preview(tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    data = np.zeros((40, 60))
    data[35:, :10] = 100.0
    fits.writeto(tmp_path / "x.fits", data)
    found = re.search(r"base64,([^\"]+)", preview(tmp_path / "x.fits"))
    assert found is not None
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.group(1)))).convert("L"))
    assert shown.shape == (40, 60)
    assert shown[0, 0] > 200
    assert shown[-1, -1] < 50


def test_a_spectrum_is_drawn_with_its_wavelengths(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.sin(np.arange(200.0)))
    hdu.header["CRVAL1"], hdu.header["CDELT1"], hdu.header["CRPIX1"], hdu.header["CUNIT1"] = 500.0, 0.5, 1.0, "nm"
    hdu.writeto(tmp_path / "x.fits")
    drawn = preview(tmp_path / "x.fits")
    assert "500 nm" in drawn
    assert "599.5 nm" in drawn


@pytest.mark.parametrize("content", [b"", b"no FITS at all", b"SIMPLE  =                    T" + b" " * 2850])
def test_what_cannot_be_drawn_is_left_out(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.fits").write_bytes(content)
    assert preview(tmp_path / "x.fits") == ""


def get(address: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_the_live_page_answers_only_who_knows_the_secret_and_asks_by_its_own_name(tmp_path: Path) -> None:
    page = serve_report(lambda: ("7", "<p>the page</p>"))
    try:
        base, _, _ = page.address.rstrip("/").rpartition("/")
        assert get(page.address) == (200, "<p>the page</p>")
        assert get(f"{page.address}version") == (200, "7")
        assert get(f"{base}/")[0] == 404
        assert get(f"{base}/guess/")[0] == 404
        assert get(page.address, Host="evil.example")[0] == 404
        assert get(page.address, Origin="http://evil.example")[0] == 404
    finally:
        page.stop()


def test_the_file_that_leads_to_the_live_page_is_private(tmp_path: Path) -> None:
    file = tmp_path / "books" / "explore.html"
    write_redirect("http://127.0.0.1:1/secret/", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" in file.read_text()


def test_a_large_image_is_made_smaller(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", np.ones((900, 30)))
    assert 'width="2" height="50"' in preview(tmp_path / "x.fits", 50)


def test_an_image_without_a_number_in_it_is_left_out(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", np.full((8, 9), np.nan))
    assert preview(tmp_path / "x.fits") == ""
    assert describe(tmp_path / "x.fits") == "PRIMARY: image 9×8"


def test_tables_and_files_that_are_not_fits_are_described(tmp_path: Path) -> None:
    fits.BinTableHDU.from_columns([fits.Column("X", "D", array=[1.0])]).writeto(tmp_path / "t.fits")
    assert "table of 1 columns and 1 rows" in describe(tmp_path / "t.fits")
    (tmp_path / "n.fits").write_text("nothing")
    assert "cannot be shown" in describe(tmp_path / "n.fits")
