"""The pixels of a FITS file, thinned for a look at them: only rows that are shown are read.

astropy takes longer to load than all pictures of a page take to draw, and reads all pixels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from esorex_bridge.fits.hdus import read_blocks
from esorex_bridge.fits.header import Header
from esorex_bridge.fits.stream import open_fits
from esorex_bridge.fits.walker import Hdu, describe

_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_MOST_LINES = 3
"""What has no more rows, or columns, is shown as a line."""


def thin_images(path: Path, widest: int) -> Iterator[tuple[Header, Any]]:
    """Yield the header of each HDU and its pixels, as numbers; None where it holds no image, or a packed one.

    Parameters
    ----------
    path : Path
        A FITS file, packed or not.
    widest : int
        Most pixels of a side of an image: of more, every second (third …) one is taken. Of a cube it is the plane in
        the middle. A line is whole, and of one dimension; so is what has but a few rows. Pixels without a value are
        NaN.

    Raises
    ------
    DataError
        If the file cannot be read, is no FITS, or is cut off in a header.
    """
    with open_fits(path) as opened:
        stream = opened if isinstance(opened, io.BufferedReader) else io.BytesIO(opened.read())
        number = 0
        while raw := read_blocks(stream, path):
            header, begin = Header(raw), stream.tell()
            hdu = describe(header, str(path), number)
            yield header, _read_image(stream, hdu, header, widest)
            stream.seek(begin + hdu.padded_bytes)
            number += 1


def _read_image(stream: BinaryIO, hdu: Hdu, header: Header, widest: int) -> Any:
    if hdu.kind not in ("PRIMARY", "IMAGE") or not hdu.naxis or 0 in hdu.naxis:
        return None
    columns, rows = (*hdu.naxis, 1)[:2]
    planes = prod(hdu.naxis[2:])
    size = abs(hdu.bitpix) // 8
    begin = stream.tell() + _middle(hdu.naxis[2:]) * columns * rows * size if planes > 1 else stream.tell()
    step = thinning((columns, rows), widest)
    pixels = _scale(_read_rows(stream, begin, (columns, rows), step or 1, _TYPES[hdu.bitpix]), header)
    return pixels if step else pixels.ravel()


def thinning(shape: tuple[int, int], widest: int) -> int:
    """Return of how many pixels of an image one is shown; 0 for what is a line, or a few."""
    return 0 if min(shape) <= _MOST_LINES else max(1, math.ceil(max(shape) / widest))


def _middle(lengths: tuple[int, ...]) -> int:
    """Return the number of the plane in the middle along every further axis."""
    return sum(length // 2 * prod(lengths[:axis]) for axis, length in enumerate(lengths))


def _read_rows(stream: BinaryIO, begin: int, shape: tuple[int, int], step: int, kind: str) -> Any:
    """Return every `step`th pixel of every `step`th row; fewer rows where the file is cut off."""
    import numpy as np

    columns, rows = shape
    length = columns * np.dtype(kind).itemsize
    read = []
    for row in range(0, rows, step):
        stream.seek(begin + row * length)
        line = stream.read(length)
        if len(line) < length:
            break
        read.append(np.frombuffer(line, kind)[::step])
    return np.array(read, dtype=kind).reshape(len(read), -1)


def _scale(pixels: Any, header: Header) -> Any:
    import numpy as np

    values = pixels.astype(float)
    if pixels.dtype.kind in "iu" and isinstance(blank := header.get("BLANK"), int):
        values[pixels == blank] = np.nan
    factor, zero = header.get("BSCALE", 1.0), header.get("BZERO", 0.0)
    if isinstance(factor, int | float) and isinstance(zero, int | float) and (factor, zero) != (1, 0):
        values = values * factor + zero
    return values
