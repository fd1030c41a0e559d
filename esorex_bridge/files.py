"""What a file is: its archive name, its content, and where it lies."""

from __future__ import annotations

import re
from typing import NewType

DpId = NewType("DpId", str)
"""An archive file name without extension: `NACO.2016-03-02T02:00:00.000`, `M.HAWKI.2019-01-01T00:00:00.000`.

It names a file from the query to the SOF. A file that did not come from the archive has its name without ending.
"""

Digest = NewType("Digest", str)
"""`sha256:<64 hex>` of the FITS stream: of the decompressed bytes where the file is `.Z` or `.gz`."""

FITS_SUFFIXES = (".fits", ".fits.Z", ".fits.gz", ".fits.fz", ".fit", ".fit.gz", ".tfits", ".fts")
"""Endings of the FITS files that ESO delivers or its pipelines write."""

_LONGEST_FIRST = tuple(sorted(FITS_SUFFIXES, key=len, reverse=True))

OUTPUT_FOLDERS = frozenset({"reflex_book_keeping", "reflex_tmp_products", "reflex_logs", "reflex_end_products"})
"""Folders of results below a data root: what lies there is no input, unless it is named itself."""

_DP_ID = re.compile(r"(?:M\.)?[A-Z][A-Z0-9_]*\.\d{4}-\d\d-\d\dT\d\d[:_]\d\d[:_]\d\d\.\d{1,4}")


def is_dp_id(text: str) -> bool:
    """Tell whether a text is an archive file name (and so safe as a file's name).

    Colons may be written as underscores, as in archive packages unpacked on other systems.
    """
    return _DP_ID.fullmatch(text) is not None


def is_processed(name: str) -> bool:
    """Tell whether an archive name is that of a processed calibration (`M.<INSTRUMENT>.<date>`)."""
    return name.startswith("M.")


def is_raw_name(name: str) -> bool:
    """Tell whether a name is that of a raw frame in the archive, and not of a product (`M.…`, `ADP.…`)."""
    return is_dp_id(name) and not is_processed(name) and not name.startswith("ADP.")


def stem(name: str) -> DpId:
    """Return a file's name without its FITS ending: the dp_id where the archive named it.

    >>> stem("NACO.2016-03-02T02:00:00.000.fits.Z")
    'NACO.2016-03-02T02:00:00.000'
    """
    for suffix in _LONGEST_FIRST:
        if name.endswith(suffix):
            return DpId(name[: -len(suffix)])
    return DpId(name)
