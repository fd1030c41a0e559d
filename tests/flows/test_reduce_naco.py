"""The main job: from a programme's name to products, on the embedded archive with the real EsoRex."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import FWHM_PIX, injected_stars
from tests.flows.conftest import Ended

PROGRAM = "60.A-9999(A)"
CASCADE = {"naco_img_dark", "naco_img_twflat", "naco_img_jitter"}


@pytest.fixture(scope="module")
def reduced(
    tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended], esorex: str
) -> tuple[Ended, Ended, Path, int]:
    """Reduce the night twice: both results, the root, and how many files the second run asked the archive for."""
    from esorex_bridge.demo.nights.naco import naco_night

    root = tmp_path_factory.mktemp("reduced")
    with EmbeddedArchive([naco_night()], frames_folder) as archive:
        command = ("reduce", "--program", PROGRAM, "--root", root, "--archive", archive.url, "--json")
        first = bridge(*command)
        asked = len(archive.requests)
        second = bridge(*command)
        files = [entry for entry in archive.requests[asked:] if "/dataPortal/file/" in entry.path]
    return first, second, root, len(files)


def test_the_first_run_executes_the_cascade_and_the_second_reuses_all_of_it(
    reduced: tuple[Ended, Ended, Path, int],
) -> None:
    first, second, _, _ = reduced
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.decisions == dict.fromkeys(CASCADE, "execute")
    assert second.decisions == dict.fromkeys(CASCADE, "reuse")
    assert second.json["executed"] == 0


def test_the_second_run_fetches_no_file_again(reduced: tuple[Ended, Ended, Path, int]) -> None:
    _, second, _, fetched_again = reduced
    assert fetched_again == 0
    assert {file["status"] for file in second.json["files"]} == {"kept"}


def test_every_step_is_reported_with_what_others_build_on(reduced: tuple[Ended, Ended, Path, int]) -> None:
    first, _, _, _ = reduced
    for recipe in CASCADE:
        step = first.step(recipe)
        assert step["reason"]
        assert step["seconds"] > 0
        assert Path(step["sof"]).is_file()
        for product in step["products"]:
            assert Path(product["path"]).is_file()
            assert len(product["sha256"]) == 64


def test_the_products_lie_in_a_folder_by_time_and_dataset(reduced: tuple[Ended, Ended, Path, int]) -> None:
    first, second, root, _ = reduced
    (product,) = first.json["datasets"][0]["end_products"]
    path = Path(product["path"])
    assert path.parent.parent.parent == root / "reflex_end_products"
    assert path.parent.name == first.json["datasets"][0]["dataset"]
    assert fits.getval(path, "HIERARCH ESO PRO CATG") == "COADDED_IMG"
    assert second.json["datasets"][0]["end_products"] == [product]
    assert path.name in (path.parent.parent / "README").read_text()


def test_the_injected_stars_are_found_in_the_coadded_image(reduced: tuple[Ended, Ended, Path, int]) -> None:
    first, _, _, _ = reduced
    image = fits.getdata(first.json["datasets"][0]["end_products"][0]["path"]).astype(float)
    image -= np.nanmedian(image)
    noise = 1.4826 * np.nanmedian(np.abs(image))
    stars = injected_stars()
    # The union of the jittered frames is larger than a frame: the brightest star ties both together.
    y, x = np.unravel_index(np.nanargmax(image), image.shape)
    brightest = max(stars, key=lambda star: star.flux)
    shift_x, shift_y = x + 1 - brightest.x, y + 1 - brightest.y
    for star in stars:
        found_x, found_y, peak = _centroid(image, star.x + shift_x - 1, star.y + shift_y - 1)
        assert peak > 10 * noise, f"the star at {star.x:.1f}, {star.y:.1f} is not there"
        assert abs(found_x - (star.x + shift_x - 1)) < 0.5 * FWHM_PIX
        assert abs(found_y - (star.y + shift_y - 1)) < 0.5 * FWHM_PIX
    # Fluxes keep their order of magnitude: the flat was divided, the sky taken off, nothing was scaled.
    fluxes = [_flux(image, star.x + shift_x - 1, star.y + shift_y - 1) for star in stars]
    ratios = np.array(fluxes) / [star.flux for star in stars]
    assert np.std(ratios / np.median(ratios)) < 0.15


def test_the_sof_files_run_by_hand_and_give_the_same_categories(
    reduced: tuple[Ended, Ended, Path, int], bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    first, _, root, _ = reduced
    written = bridge("sof", "--root", root, "--into", tmp_path / "sofs", "--json").json["sofs"]
    assert {entry["recipe"] for entry in written} == CASCADE
    for entry in written:
        assert entry["lacking"] == []
        folder = tmp_path / entry["step"]
        folder.mkdir()
        command = [esorex, "--products-sof=made.sof", entry["recipe"], *entry["arguments"], entry["sof"]]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        by_hand = sorted(line.split()[1] for line in (folder / "made.sof").read_text().splitlines())
        assert by_hand == sorted(product["category"] for product in first.step(entry["recipe"])["products"])


def test_what_needs_no_step_is_named_with_the_reason(reduced: tuple[Ended, Ended, Path, int]) -> None:
    first, _, _, _ = reduced
    steps: list[dict[str, Any]] = first.json["datasets"][0]["steps"]
    (auxiliary,) = [step for step in steps if step["recipe"] is None]
    assert auxiliary["decision"] == "not_needed"
    assert "auxiliary" in auxiliary["reason"]


def _centroid(image: Any, x: float, y: float) -> tuple[float, float, float]:
    half = int(FWHM_PIX * 1.5)
    x0, y0 = round(x) - half, round(y) - half
    stamp = image[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1].clip(min=0)
    ys, xs = np.mgrid[y0 : y0 + stamp.shape[0], x0 : x0 + stamp.shape[1]]
    return float((stamp * xs).sum() / stamp.sum()), float((stamp * ys).sum() / stamp.sum()), float(stamp.max())


def _flux(image: Any, x: float, y: float) -> float:
    half = int(FWHM_PIX * 1.5)
    x0, y0 = round(x), round(y)
    return float(image[y0 - half : y0 + half + 1, x0 - half : x0 + half + 1].sum())
