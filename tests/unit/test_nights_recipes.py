"""The real recipes take the synthetic frames, and find in them what was put there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from math import hypot
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.naco import FWHM_PIX, injected_stars, naco_night
from esorex_bridge.demo.nights.night import DemoNight, FrameFolder
from esorex_bridge.demo.nights.uves_optics import REDL, REDU
from esorex_bridge.demo.nights.uves_raw import uves_raw_red_night
from tests.unit import flames_frames

Rows = list[tuple[Path, str]]


def run_recipe(folder: Path, recipe: str, rows: Iterable[tuple[Path, str]], *options: str) -> Rows:
    here = folder / recipe
    here.mkdir()
    (here / "run.sof").write_text("".join(f"{path} {tag}\n" for path, tag in rows))
    command = ["esorex", "--products-sof=products.json", "--msg-level=off", recipe, *options, "run.sof"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(here)}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    products = json.loads((here / "products.json").read_text())
    return [(here / product["name"], product["category"]) for product in products]


def rows_of(folder: FrameFolder, night: DemoNight, category: str, dit_s: float | None = None) -> Rows:
    return [
        (folder.fits(night, file), category)
        for file in night.files
        if file.category == category and dit_s in (None, file.keyword("ESO DET DIT"))
    ]


@pytest.fixture(scope="module")
def coadded(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, esorex: str) -> Path:
    """Return the product of the whole NACO cascade with default parameters."""
    folder, frames, night = tmp_path_factory.mktemp("naco"), FrameFolder(frames_folder), naco_night()
    darks = run_recipe(folder, "naco_img_dark", rows_of(frames, night, "CAL_DARK"))
    flat_rows = rows_of(frames, night, "CAL_FLAT_TW") + rows_of(frames, night, "CAL_DARK", 2.0)
    flats = run_recipe(folder, "naco_img_twflat", flat_rows, "--bpm=TRUE")
    science = rows_of(frames, night, "IM_JITTER_OBJ")
    products = run_recipe(folder, "naco_img_jitter", [*science, *flats, darks[0]])
    return next(path for path, category in products if category == "COADDED_IMG")


def test_naco_finds_the_injected_stars_where_they_are(coadded: Path) -> None:
    stars = injected_stars()
    image = fits.getdata(coadded)
    peak_y, peak_x = np.unravel_index(np.argmax(image), image.shape)
    dx, dy = peak_x + 1 - stars[0].x, peak_y + 1 - stars[0].y
    for star in stars:
        x, y, flux = measured(image, star.x + dx, star.y + dy)
        assert hypot(x - star.x - dx, y - star.y - dy) < 0.6
        assert flux == pytest.approx(star.flux, rel=0.1)


def test_naco_measures_the_injected_image_quality(coadded: Path) -> None:
    assert fits.getval(coadded, "ESO QC FWHM PIX") == pytest.approx(FWHM_PIX, abs=0.3)


def measured(image: np.ndarray, x: float, y: float, reach: int = 10) -> tuple[float, float, float]:
    """Return centroid and flux of a star near a place, in FITS pixels."""
    column, row = round(x) - 1, round(y) - 1
    box = image[row - reach : row + reach + 1, column - reach : column + reach + 1] - np.median(image)
    grid_y, grid_x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    weight = np.where(box > box.max() / 10, box, 0)
    total = weight.sum()
    return column + 1 + (weight * grid_x).sum() / total, row + 1 + (weight * grid_y).sum() / total, float(box.sum())


def test_the_lamp_flats_make_a_flat(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    night = naco_night(npix=128)
    rows = rows_of(FrameFolder(frames_folder), night, "CAL_FLAT_LAMP")
    products = run_recipe(tmp_path, "naco_img_lampflat", rows, "--r=8 8 8 8")
    assert [category for _, category in products] == ["MASTER_LAMP_FLAT"]


@pytest.mark.slow
def test_hawki_reaches_the_injected_astrometry(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    night, frames = hawki_night(npix=128), FrameFolder(frames_folder)
    darks = run_recipe(tmp_path, "hawki_dark_combine", rows_of(frames, night, "DARK"))
    statics = [
        (frames.fits(night, file), file.category)
        for file in night.files
        if file.dp_id.startswith("M.") and file.category != "MASTER_DARK"
    ]
    options = ("--cdssearch_astrom=none", "--cdssearch_photom=none", "--stk_method=nearest", "--stk_fast=fast")
    science = rows_of(frames, night, "OBJECT")
    products = run_recipe(tmp_path, "hawki_science_process", [*science, *darks, *statics], *options)
    jittered = next(path for path, category in products if category == "JITTERED_IMAGE_SCI")
    assert fits.getval(jittered, "ESO QC WCS_RMS", ext=1) < 0.05
    assert fits.getval(jittered, "ESO QC WCS_SCALE", ext=1) == pytest.approx(0.1064, rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_flames_finds_its_fibres_where_they_are(tmp_path: Path, esorex: str) -> None:
    chip = "--process_chip=redl"
    dark = np.zeros((flames_frames.HEIGHT, flames_frames.LENGTH), np.float32)
    biases = [flames_frames.write_raw(tmp_path / f"bias{n}.fits", n, ("BIAS", "IMAGE"), dark) for n in range(3)]
    bias = run_recipe(tmp_path, "uves_cal_mbias", [(path, "BIAS_RED") for path in biases], chip)
    lamp = flames_frames.fibres_light([4], 8000) + 5
    definition = flames_frames.write_raw(tmp_path / "definition.fits", 5, ("LAMP,ORDERDEF,SimCal", "MOS"), lamp)
    orders = run_recipe(tmp_path, "flames_cal_orderpos", [(definition, "FIB_ORDEF_RED"), *bias], chip)
    slits = flames_frames.write_slit_flats(tmp_path)
    flats = run_recipe(tmp_path, "flames_cal_mkmaster", [*slits, *bias, *orders], chip)
    fibres = flames_frames.write_fibre_flats(tmp_path)
    made = run_recipe(tmp_path, "flames_cal_prep_sff_ofpos", [*fibres, *bias, *orders, *flats], chip)
    products = {category: path for path, category in made}
    assert {"FIB_FF_COM_REDL", "FIB_FF_NOR_REDL", "SLIT_FF_COM_REDL", "SLIT_FF_NOR_REDL"} < set(products)
    seen = fits.getdata(products["FIB_ORDEF_TABLE_REDL"], 1)
    seen = seen[np.isfinite(seen["Y"])]
    assert set(seen["FIBRE"]) == set(range(2, 10))
    middles = [middle for _, _, middle in flames_frames.orders()]
    true = [
        middles[int(order) - 1][int(x) - 1] + flames_frames.offset_pix(fibre - 1)
        for order, x, fibre in zip(seen["ORDER"], seen["X"], seen["FIBRE"], strict=True)
    ]
    assert np.abs(seen["YFIT"] - true).max() < 0.1


@pytest.mark.slow
def test_flames_foresees_where_its_fibres_fall(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    night, frames = uves_raw_red_night(), FrameFolder(frames_folder)
    ((raw, _),) = rows_of(frames, night, "ARC_LAMP_FORM_RED")
    form = tmp_path / "form.fits"
    with fits.open(raw) as hdus:
        for name, value in (("DPR TECH", "MOS"), ("DPR TYPE", "LAMP,FMTCHK,SimCal"), ("INS SLIT3 PLATE", 2)):
            hdus[0].header[f"HIERARCH ESO {name}"] = value
        hdus.writeto(form, checksum=True)
    rows = [(form, "FIB_ARC_LAMP_FORM_RED"), *rows_of(frames, night, "LINE_REFER_TABLE")]
    products = {category: path for path, category in run_recipe(tmp_path, "flames_cal_predict", rows)}
    assert set(products) == {f"FIB_{kind}_GUE_{chip}" for kind in ("LIN", "ORD") for chip in ("REDL", "REDU")}
    for layout in (REDL, REDU):
        guess = fits.getdata(products[f"FIB_LIN_GUE_{layout.chip}"], 1)
        seen = guess[np.isin(guess["Order"], layout.orders)]
        assert set(layout.orders[3:-3]) <= set(seen["Order"])
        away = seen["X"] - [
            layout.position(int(order), line) for order, line in zip(seen["Order"], seen["Ident"], strict=True)
        ]
        # Fibres and slit see the same wavelengths a little beside each other.
        assert np.ptp(np.percentile(away, [5, 95])) < 4
