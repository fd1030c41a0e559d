"""Headers that were changed after their file was signed."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.errors import DataError
from esorex_bridge.fits.datasum import sum_of_words, sum_without_numpy
from esorex_bridge.fits.signature import altered_headers
from esorex_bridge.fits.verify import verify_fits


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A file with an image, a table and an image, all signed, as CFITSIO's convention has it."""
    path = tmp_path / "signed.fits"
    columns = fits.ColDefs([fits.Column("X", "PJ()", array=np.array([np.arange(3), np.arange(5)], dtype=object))])
    fits.HDUList([
        fits.PrimaryHDU(np.arange(100, dtype=np.int16).reshape(10, 10), fits.Header({"OBJECT": "STAR"})),
        fits.BinTableHDU.from_columns(columns, name="T"),
        fits.ImageHDU(np.ones((7, 11), np.float32), fits.Header({"OBJECT": "STAR"}), name="I"),
    ]).writeto(path, checksum=True)  # fmt: skip
    return path


def change(path: Path, before: bytes, after: bytes, count: int = -1) -> None:
    path.write_bytes(path.read_bytes().replace(before, after, count))


def test_a_signed_file_is_as_it_was(signed: Path) -> None:
    assert altered_headers(signed) == ()


def test_headers_that_were_changed_are_told_by_their_number(signed: Path) -> None:
    change(signed, b"STAR", b"STAS", 1)
    assert altered_headers(signed) == (0,)
    change(signed, b"STAR", b"STAS")
    assert altered_headers(signed) == (0, 2)
    verify_fits(signed)  # its data are what DATASUM says


def test_a_packed_file_is_told_by_its_primary_header(signed: Path) -> None:
    change(signed, b"STAR", b"STAS")
    packed = signed.with_suffix(".fits.gz")
    packed.write_bytes(gzip.compress(signed.read_bytes()))
    assert altered_headers(packed) == (0,)


def test_what_is_not_signed_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "plain.fits"
    fits.PrimaryHDU(np.ones((3, 3))).writeto(path)
    assert altered_headers(path) == ()
    fits.PrimaryHDU(np.ones((3, 3))).writeto(path, checksum="datasum", overwrite=True)
    assert altered_headers(path) == ()


def test_what_is_no_fits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.fits"
    path.write_text("<html>")
    with pytest.raises(DataError, match="page"):
        altered_headers(path)


@pytest.mark.parametrize("words", [0, 1, 4_095, 4_096, 4_097, 100_003])
def test_words_sum_up_to_the_same_with_and_without_numpy(words: int) -> None:
    data = memoryview(np.random.default_rng(words).bytes(4 * words))
    assert sum_without_numpy(data) % 0xFFFFFFFF == sum_of_words(data) % 0xFFFFFFFF
