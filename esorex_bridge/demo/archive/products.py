"""Reduced products that the archive has of a night, each with its ancillary files, as in ESO's phase 3."""

from __future__ import annotations

from functools import partial

from msgspec import Struct

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight
from esorex_bridge.files import DpId

SIDE_PIX = 32
SIZE_KB = 9
FILES = (("SCIENCE.IMAGE", "img"), ("ANCILLARY.WEIGHTMAP", "wgt"), ("ANCILLARY.MAGLIM", "lim"))
"""Category and suffix of the original name; the file of the first category names the product."""


class ServedProduct(Struct, frozen=True):
    """A file of a product.

    Parameters
    ----------
    file : ArchiveFile
        Named `ADP.<date>`.
    product_id : DpId
        The product's science file; its own name for that.
    original_name : str
        Name before it came into the archive.
    source : ArchiveFile
        First raw frame that the product was made from.
    """

    file: ArchiveFile
    product_id: DpId
    original_name: str
    source: ArchiveFile

    @property
    def is_science(self) -> bool:
        """Whether this is the product itself, not a file beside it."""
        return self.file.dp_id == self.product_id


def products_of(night: DemoNight) -> tuple[ServedProduct, ...]:
    """Return the files of one product for each science template of a night."""
    firsts = (file for file in night.science if file.keyword("ESO TPL EXPNO") == 1)
    return tuple(product for first in firsts for product in _product(first))


def _product(source: ArchiveFile) -> tuple[ServedProduct, ...]:
    """Return the files of one product; their dates are milliseconds apart."""
    date, milliseconds = source.dp_id.split(".", 1)[1].split(".")
    names = [DpId(f"ADP.{date}.{(int(milliseconds) + step) % 1000:03d}") for step in range(len(FILES))]
    return tuple(
        ServedProduct(_file(name, category, source), names[0], f"{_plain(source.dp_id)}_{suffix}.fits", source)
        for name, (category, suffix) in zip(names, FILES, strict=True)
    )


def _file(name: DpId, category: str, source: ArchiveFile) -> ArchiveFile:
    copied = ("ORIGIN", "DATE", "TELESCOP", "INSTRUME", "OBJECT", "RA", "DEC", "EXPTIME", "MJD-OBS", "ESO OBS ID")
    keywords: Keywords = (
        *((key, value) for key, value in source.keywords if key in copied),
        ("ARCFILE", f"{name}.fits"),
        ("PRODCATG", category),
        ("PROG_ID", str(source.keyword("ESO OBS PROG ID"))),
        ("PROV1", f"{source.dp_id}.fits"),
    )
    return ArchiveFile(name, category, keywords, partial(_content, keywords), estimated_bytes=SIZE_KB * 1024)


def _content(keywords: Keywords) -> bytes:
    import numpy as np

    return fits_bytes(keywords, np.ones((SIDE_PIX, SIDE_PIX), dtype=">f4"))


def _plain(dp_id: DpId) -> str:
    return dp_id.replace(":", "")
