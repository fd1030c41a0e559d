from __future__ import annotations

import gzip
import hashlib
import io
import random
from pathlib import Path

import ncompress
import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.errors import DataError
from esorex_bridge.fits.stream import open_fits
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.fits.walker import FitsContent, FitsWalker
from tests.tiny_fits import header_bytes


def written(hdus: fits.HDUList) -> bytes:
    stream = io.BytesIO()
    hdus.writeto(stream, checksum=True)
    return stream.getvalue()


@pytest.fixture(scope="module")
def content() -> bytes:
    """Return a file with an odd-sized image, an image extension, and a table with a heap."""
    rows = np.array([np.arange(3.0), np.arange(7.0)], dtype=object)
    image = np.random.default_rng(1).integers(0, 1000, (101, 77)).astype("i2")
    table = fits.BinTableHDU.from_columns([fits.Column("A", "PD()", array=rows)])
    return written(fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(np.ones((10, 7), "f4")), table]))


def checked(content: bytes, folder: Path) -> FitsContent:
    path = folder / "x.fits"
    path.write_bytes(content)
    return verify_fits(path)


def test_a_sound_file_is_walked_hashed_and_summed_in_one_pass(content: bytes, tmp_path: Path) -> None:
    found = checked(content, tmp_path)
    assert found.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert found.size_bytes == len(content)
    assert [hdu.kind for hdu in found.hdus] == ["PRIMARY", "IMAGE", "BINTABLE"]
    assert [hdu.naxis for hdu in found.hdus[:2]] == [(77, 101), (7, 10)]
    assert found.hdus[2].data_bytes == 2 * 8 + 10 * 8
    assert found.checksum == "verified"


@pytest.mark.parametrize("pack", [gzip.compress, ncompress.compress])
def test_a_packed_file_is_known_by_what_is_in_it(pack, content: bytes, tmp_path: Path) -> None:
    assert checked(pack(content), tmp_path) == checked(content, tmp_path)


def test_pieces_of_any_size_give_the_same(content: bytes, tmp_path: Path) -> None:
    dice = random.Random(3)
    for largest in (3, 100, 2880, 10_000):
        walker, at = FitsWalker("x"), 0
        while at < len(content):
            step = dice.randint(1, largest)
            walker.feed(content[at : at + step])
            at += step
        assert walker.close() == checked(content, tmp_path)


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        (100, "within the header of HDU 0"),
        (5000, r"cut off: expected \d+ bytes or more, found 5000, in the data of HDU 0"),
        (-1, "in the data of HDU 2"),
    ],
)
def test_a_truncated_file_is_refused_with_what_was_expected(
    keep: int, told: str, content: bytes, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=told):
        checked(content[:keep], tmp_path)


def test_one_flipped_bit_of_the_data_is_noticed(content: bytes, tmp_path: Path) -> None:
    at = content.index(b"END" + b" " * 77) // 2880 * 2880 + 2880 + 50
    damaged = bytearray(content)
    damaged[at] ^= 4
    with pytest.raises(DataError, match="data of HDU 0 sum up to"):
        checked(bytes(damaged), tmp_path)
    path = tmp_path / "x.fits"
    assert verify_fits(path, checksums=False).checksum == "unchecked"


def test_bytes_behind_the_last_hdu_are_refused_but_padding_is_not(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="behind HDU 2"):
        checked(content + b"<html>" * 480, tmp_path)
    assert checked(content + b"\0" * 5760, tmp_path).size_bytes == len(content) + 5760


def test_a_header_that_makes_no_sense_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="BITPIX"):
        checked(content.replace(b"BITPIX  =                   16", b"BITPIX  =                   17", 1), tmp_path)
    with pytest.raises(DataError, match="NAXIS1"):
        checked(content.replace(b"NAXIS1  =                   77", b"NAXIS1  = 'seventy-seven'     ", 1), tmp_path)
    with pytest.raises(DataError, match="no FITS"):
        checked(b"x" * 5760, tmp_path)
    with pytest.raises(DataError, match="empty"):
        checked(b"", tmp_path)


def test_random_groups_are_walked(tmp_path: Path) -> None:
    cards = [
        "SIMPLE  = T",
        "BITPIX  = -32",
        "NAXIS   = 3",
        "NAXIS1  = 0",
        "NAXIS2  = 3",
        "NAXIS3  = 2",
        "GROUPS  = T",
        "PCOUNT  = 1",
        "GCOUNT  = 5",
    ]
    cards[0] = "SIMPLE  =                    T"
    found = checked(header_bytes(cards) + b"\0" * 2880, tmp_path)
    assert found.hdus[0].data_bytes == 4 * 5 * (1 + 3 * 2)


def test_a_reader_that_goes_away_early_leaves_no_decompressor_behind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.fits.Z"
    path.write_bytes(ncompress.compress(content * 50))
    with open_fits(path) as stream:
        assert stream.read(30) == content[:30]
    children = Path(f"/proc/self/task/{__import__('os').getpid()}/children")
    if children.exists():
        names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in children.read_text().split()]
        assert "gzip" not in names


def test_a_damaged_compressed_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.fits.Z"
    path.write_bytes(ncompress.compress(b"SIMPLE  =" * 1000)[:50] + b"\xff\x00" * 300)
    with pytest.raises(DataError, match=r"damaged \.Z"), open_fits(path) as stream:
        stream.read()


@pytest.mark.real
def test_a_real_compressed_header_is_read(real: Path) -> None:
    found = verify_fits(real / "astroquery" / "testfile.fits.Z")
    assert found.size_bytes % 2880 == 0
