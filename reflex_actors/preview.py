"""A look at a product: an image in grey, a spectrum as a line, or what is in the file, in words."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

WIDEST = 420
"""Pixels to which images are made smaller."""

_LOW, _HIGH = 1.0, 99.5
"""Percentiles between which values are shown."""


def preview(path: Path) -> str:
    """Return a look at a FITS file as HTML; words where there is nothing to draw or the file cannot be read."""
    import warnings

    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as hdus:
                drawn = next((found for hdu in hdus if (found := _drawn(hdu))), "")
                words = ", ".join(_words(hdu) for hdu in hdus)
    except (OSError, ValueError, TypeError) as error:
        return f"<p>{escape(path.name)} cannot be shown: {escape(str(error))}</p>"
    return f"{drawn}<p>{escape(words)}</p>"


def _drawn(hdu: Any) -> str:
    import numpy as np

    if not getattr(hdu, "is_image", False) or hdu.data is None:
        return ""
    data = np.asarray(hdu.data, dtype=float)
    while data.ndim > 2:
        data = data[data.shape[0] // 2]
    if data.ndim == 2 and min(data.shape) > 1:
        return f'<img alt="image" src="data:image/png;base64,{base64.b64encode(png(data)).decode()}">'
    return _line(data.ravel()) if data.size > 1 else ""


def _words(hdu: Any) -> str:
    shape = getattr(hdu, "shape", ())
    kind = "table" if hasattr(hdu, "columns") else "image"
    size = f"{len(hdu.columns)} columns, {len(hdu.data)} rows" if kind == "table" else "×".join(map(str, shape[::-1]))
    return f"{hdu.name or 'primary'}: {f'{kind} {size}' if size else 'header only'}"


def png(data: np.ndarray[Any, Any]) -> bytes:
    """Return an image as PNG, made smaller, first row at the bottom as astronomers have it."""
    import numpy as np

    step = max(1, -(-max(data.shape) // WIDEST))
    small = np.flipud(data[::step, ::step])
    finite = small[np.isfinite(small)]
    low, high = np.percentile(finite, (_LOW, _HIGH)) if finite.size else (0.0, 1.0)
    grey = np.clip((np.nan_to_num(small, nan=low) - low) / ((high - low) or 1.0), 0, 1) * 255
    rows = grey.astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content) for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _line(values: np.ndarray[Any, Any]) -> str:
    import numpy as np

    step = max(1, values.size // 800)
    finite = np.nan_to_num(values[::step])
    low, high = np.percentile(finite, (_LOW, _HIGH))
    scaled = np.clip((finite - low) / ((high - low) or 1.0), 0, 1)
    points = " ".join(f"{x},{180 - 170 * y:.1f}" for x, y in enumerate(scaled))
    return (
        f'<svg width="{finite.size}" height="190"><polyline points="{points}" fill="none" stroke="#246" '
        'stroke-width="1"/></svg>'
    )
