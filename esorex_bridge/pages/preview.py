"""A look at a FITS file: an image in grey, a spectrum with its wavelengths, what is in it in words."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from esorex_bridge.errors import DataError
from esorex_bridge.fits.images import thin_images, thinning
from esorex_bridge.fits.stream import open_fits

_WIDEST = 180
_GREYS = 64
_LEAST_POINTS = 3
_MOST_COLUMNS = 999
"""The standard allows no more."""
_LINE = (420, 110)
_MOST_POINTS = 420
_LOW, _HIGH = 0.01, 0.995
_WAVELENGTHS = ("WAVE", "WAVELENGTH", "LAMBDA", "AWAV", "WLEN")
_FLUXES = ("FLUX", "FLUX_REDUCED", "SPC_EXTRACTED", "SIGNAL", "DATA", "VIS2DATA")


def preview(path: Path, widest: int = _WIDEST) -> str:
    """Return a look at a FITS file as HTML; empty where there is nothing to draw or the file cannot be read.

    Parameters
    ----------
    path : Path
        The file.
    widest : int
        Pixels to which an image is made smaller.
    """
    try:
        return next(filter(None, _draw_all(path, widest)), "")
    except (DataError, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError):
        return ""


def typical_count(path: Path, widest: int = _WIDEST) -> float | None:
    """Return the median of the pixels of a file's first image, thinned; None where it has none or cannot be read.

    A preview is stretched to its own range, so that a frame without light looks like one with much.
    """
    import numpy as np

    try:
        images = (pixels for _, pixels in thin_images(path, widest) if pixels is not None)
        values = next(images, np.empty(0))
        finite = values[np.isfinite(values)]
        return float(np.median(finite)) if finite.size else None
    except (DataError, OSError, ValueError, TypeError, OverflowError, MemoryError):
        return None


def _draw_all(path: Path, widest: int) -> Iterator[str]:
    """Yield how each HDU looks; empty where there is nothing to draw. Tables and packed images are left to astropy."""
    for number, (header, pixels) in enumerate(thin_images(path, widest)):
        if pixels is not None:
            yield _draw_pixels(pixels, header, path.name)
        elif _has_picture(header):
            yield _draw_by_astropy(path, number, widest)


def _has_picture(header: Mapping[str, Any]) -> bool:
    """Tell whether an HDU without pixels is a packed image, or a table with a spectrum."""
    columns = {str(header.get(f"TTYPE{number}", "")).upper() for number in range(1, _count(header) + 1)}
    return header.get("ZIMAGE") is True or (not columns.isdisjoint(_WAVELENGTHS) and not columns.isdisjoint(_FLUXES))


def _count(header: Mapping[str, Any]) -> int:
    fields = header.get("TFIELDS", 0)
    return fields if isinstance(fields, int) and 0 < fields <= _MOST_COLUMNS else 0


def _draw_by_astropy(path: Path, number: int, widest: int) -> str:
    import warnings

    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(_unpack(path), memmap=False) as hdus:
            hdu: Any = hdus[number]
            return _draw_table(hdu, path.name) if hasattr(hdu, "columns") else _draw_packed(hdu, path.name, widest)


def describe(path: Path) -> str:
    """Return what is in a FITS file, HDU by HDU, in words; why it cannot be read where it cannot."""
    import warnings

    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(_unpack(path), memmap=False) as hdus:
                return ", ".join(map(_describe_hdu, hdus))
    except (DataError, OSError, ValueError, TypeError) as error:
        return f"{path.name} cannot be shown: {error}"


def _describe_hdu(hdu: Any) -> str:
    shape = getattr(hdu, "shape", ())
    if hasattr(hdu, "columns"):
        return f"{hdu.name or 'primary'}: table of {len(hdu.columns)} columns and {len(hdu.data)} rows"
    size = "×".join(map(str, shape[::-1]))
    return f"{hdu.name or 'primary'}: {f'image {size}' if size else 'header only'}"


def _unpack(path: Path) -> io.BytesIO | Path:
    """Return what astropy reads: it has no `.Z` of its own."""
    if path.suffix != ".Z":
        return path
    with open_fits(path) as stream:
        return io.BytesIO(stream.read())


def _draw_packed(hdu: Any, name: str, widest: int) -> str:
    import numpy as np

    if hdu.data is None:
        return ""
    plane = np.atleast_2d(np.asarray(hdu.data, dtype=float))
    while plane.ndim > 2:
        plane = plane[plane.shape[0] // 2]
    step = thinning(plane.shape, widest)
    return _draw_pixels(plane[::step, ::step] if step else plane.ravel(), hdu.header, name)


def _draw_pixels(pixels: Any, header: Mapping[str, Any], name: str) -> str:
    if pixels.ndim == 2:
        return _draw_image(pixels, name)
    return _draw_line(_axis(header, pixels.size), pixels, name) if pixels.size > _LEAST_POINTS else ""


def _draw_image(small: Any, name: str) -> str:
    import numpy as np
    from PIL import Image

    finite = small[np.isfinite(small)]
    if finite.size == 0:
        return ""
    low, high = _cuts(finite)
    scaled = np.nan_to_num((small - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    grey = (np.clip(scaled, 0.0, 1.0) * (_GREYS - 1)).round().astype(np.uint8)[::-1]
    picture = Image.fromarray(grey, mode="P")
    picture.putpalette(bytes(level for level in np.linspace(0, 255, _GREYS).astype(int) for _ in range(3)))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    size = f'width="{grey.shape[1]}" height="{grey.shape[0]}"'
    return f'<img loading="lazy" alt="preview of {escape(name)}" {size} src="data:image/png;base64,{text}">'


def _cuts(values: Any) -> tuple[float, float]:
    """Return what is shown black and white: `np.percentile` takes longer to load than this to do."""
    import numpy as np

    ranks = [round(share * (values.size - 1)) for share in (_LOW, _HIGH)]
    low, high = np.partition(values, ranks)[ranks]
    return float(low), float(high)


def _axis(header: Any, size: int) -> tuple[Any, str]:
    """Return the coordinate of each element along the first axis, and its unit; the pixel where none is stated."""
    import numpy as np

    start, step = header.get("CRVAL1"), header.get("CDELT1", header.get("CD1_1"))
    if start is None or not step:
        return np.arange(size, dtype=float), "pixel"
    pixels = np.arange(size) + 1 - float(header.get("CRPIX1", 1.0))
    return float(start) + pixels * float(step), str(header.get("CUNIT1", "")).strip()


def _draw_table(hdu: Any, name: str) -> str:
    import numpy as np

    columns = {column.name.upper(): column.name for column in hdu.columns}
    wave = next((columns[each] for each in _WAVELENGTHS if each in columns), None)
    flux = next((columns[each] for each in _FLUXES if each in columns), None)
    if wave is None or flux is None or hdu.data is None:
        return ""
    x, y = np.asarray(hdu.data[wave], dtype=float).ravel(), np.asarray(hdu.data[flux], dtype=float).ravel()
    unit = str(hdu.columns[wave].unit or "")
    return _draw_line((x, unit), y, name) if x.size == y.size and x.size > 3 else ""


def _draw_line(axis: tuple[Any, str], values: Any, name: str) -> str:
    import numpy as np

    x, unit = axis
    good = np.isfinite(values) & np.isfinite(x)
    if good.sum() < 2:
        return ""
    step = max(1, int(good.sum()) // _MOST_POINTS)
    x, y = x[good][::step], values[good][::step]
    low, high = np.percentile(y, (0.5, 99.5))
    width, height = _LINE
    across = (x - x.min()) / ((x.max() - x.min()) or 1.0) * (width - 2) + 1
    up = height - 18 - (np.clip(y, low, high) - low) / ((high - low) or 1.0) * (height - 24)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up, strict=True))
    first, last = (f"{value:.5g} {escape(unit)}".strip() for value in (x[0], x[-1]))
    return (
        f'<svg class="spectrum" role="img" aria-label="spectrum of {escape(name)} from {first} to {last}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<polyline fill="none" stroke="currentColor" points="{points}"/>'
        f'<text class="small" x="2" y="{height - 3}">{first}</text>'
        f'<text class="small" x="{width - 2}" y="{height - 3}" text-anchor="end">{last}</text></svg>'
    )
