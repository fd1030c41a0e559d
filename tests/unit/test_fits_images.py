"""Pixels that are read thinly, held against astropy's."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.errors import DataError
from esorex_bridge.fits.images import thin_images

KINDS = ["uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]


def pixels_of(path: Path, widest: int = 1000) -> list[np.ndarray | None]:
    return [pixels for _, pixels in thin_images(path, widest)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(40, 30), (5, 40, 30), (2, 3, 8, 9)])
def test_numbers_of_every_kind_are_those_that_astropy_reads(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(0, 200, shape).astype(kind)
    extensions = [fits.ImageHDU(values + np.ones(1, kind)), fits.BinTableHDU.from_columns([])]
    fits.HDUList([fits.PrimaryHDU(values), *extensions, fits.ImageHDU(values[..., :4])]).writeto(tmp_path / "x.fits")
    plane: np.ndarray = values
    while plane.ndim > 2:
        plane = plane[len(plane) // 2]
    found = pixels_of(tmp_path / "x.fits")
    for mine, other in zip(found, (plane, plane + 1, None, plane[:, :4]), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_scaled_values_and_those_without_a_value(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.arange(-50, 50, dtype="int16").reshape(10, 10))
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.5, 7.0, -50
    hdu.writeto(tmp_path / "x.fits")
    (mine,) = pixels_of(tmp_path / "x.fits")
    np.testing.assert_array_equal(mine, fits.getdata(tmp_path / "x.fits"))
    assert np.isnan(mine[0, 0])


def test_neither_side_is_wider_than_asked_and_a_line_is_whole(tmp_path: Path) -> None:
    image, line = np.arange(12000.0).reshape(100, 120), np.arange(900.0).reshape(3, 300)
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(line)]).writeto(tmp_path / "x.fits")
    small, whole = pixels_of(tmp_path / "x.fits", 50)
    np.testing.assert_array_equal(small, image[::3, ::3])
    np.testing.assert_array_equal(whole, line.ravel())


def test_a_packed_file_is_read_as_it_was(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "x.fits", np.arange(80.0).reshape(8, 10))
    (tmp_path / "y.fits.gz").write_bytes(gzip.compress((tmp_path / "x.fits").read_bytes()))
    np.testing.assert_array_equal(pixels_of(tmp_path / "y.fits.gz")[0], fits.getdata(tmp_path / "x.fits"))


def test_of_a_file_that_is_cut_off_there_are_the_rows_that_came(tmp_path: Path) -> None:
    values = np.arange(40000, dtype="float64").reshape(200, 200)
    fits.writeto(tmp_path / "x.fits", values)
    (tmp_path / "cut.fits").write_bytes((tmp_path / "x.fits").read_bytes()[: 2880 + 100 * 1600 + 7])
    (mine,) = pixels_of(tmp_path / "cut.fits")
    np.testing.assert_array_equal(mine, values[:100])


def test_what_is_no_fits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.fits").write_text("<html>")
    with pytest.raises(DataError):
        pixels_of(tmp_path / "x.fits")
