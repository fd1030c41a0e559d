"""Files of any number and size that are made at every request and kept nowhere: what downloads are measured with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache, partial

from esorex_bridge.demo.nights.frames import Keywords, mjd, timestamp
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight
from esorex_bridge.files import DpId

BLOCK = 2880
PREFIX = "DUMMY"
START = datetime(2001, 1, 1, 1, 0)


def dummy_night(files: int, size_bytes: int) -> DemoNight:
    """Return a night of raw frames that nobody can reduce, each a whole FITS file of about a size.

    Parameters
    ----------
    files : int
        How many.
    size_bytes : int
        Size of each, rounded down to whole FITS blocks; at least two blocks.
    """
    listed = tuple(_dummy(number, size_bytes) for number in range(files))
    return DemoNight(f"dummies-{files}x{size_bytes}", PREFIX, listed, (), kept=False)


def _dummy(number: int, size_bytes: int) -> ArchiveFile:
    start = START + timedelta(seconds=number)
    dp_id = DpId(f"{PREFIX}.{timestamp(start)[:-1]}")
    keywords: Keywords = (
        ("INSTRUME", PREFIX),
        ("DATE-OBS", timestamp(start)),
        ("MJD-OBS", mjd(start)),
        ("ARCFILE", f"{dp_id}.fits"),
    )
    build: Callable[[], bytes] = partial(dummy_content, dp_id, size_bytes)
    return ArchiveFile(dp_id, "DUMMY", keywords, build, estimated_bytes=size_bytes)


def dummy_content(dp_id: DpId, size_bytes: int) -> bytes:
    """Return a header of one block that names the file, and bytes that are the same in all files of that size."""
    data_blocks = max(1, size_bytes // BLOCK - 1)
    values = {
        "SIMPLE": "T",
        "BITPIX": "8",
        "NAXIS": "1",
        "NAXIS1": str(data_blocks * BLOCK),
        "INSTRUME": f"'{PREFIX:8}'",
        "ARCFILE": f"'{dp_id}.fits'",
        "MJD-OBS": repr(mjd(datetime.fromisoformat(dp_id.split(".", 1)[1]))),
    }
    cards = [f"{name:8}= {value if value.startswith(chr(39)) else value.rjust(20)}" for name, value in values.items()]
    header = "".join(f"{card:80}" for card in (*cards, "END"))
    return header.ljust(BLOCK).encode("ascii") + _noise(data_blocks * BLOCK)


@lru_cache(maxsize=2)
def _noise(size_bytes: int) -> bytes:
    import numpy as np

    return np.random.default_rng(1).bytes(size_bytes)
