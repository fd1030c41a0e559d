"""Products and logs as a page shows them; a file is drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError
from esorex_bridge.fits.header import Header, read_header
from esorex_bridge.pages.model import ProductView
from esorex_bridge.pages.preview import preview
from esorex_bridge.reuse.record import Product

_LOG_LINES = 25
_MOST_QC = 24
_PREVIEW_BYTES = 1_500_000
_TEXT_BYTES = 800_000
_FOR_INPUTS = 0.3
"""Of the bytes of previews, how much may go to inputs."""


class Limits(Struct, frozen=True):
    """How much a page holds, so that one of a thousand steps stays below 5 MB.

    Parameters
    ----------
    preview_bytes : int
        Of all previews together; what comes later has none.
    text_bytes : int
        Of logs and QC values together.
    log_lines : int
        Of each log.
    comparisons : bool
        Whether deliveries are compared.
    """

    preview_bytes: int = _PREVIEW_BYTES
    text_bytes: int = _TEXT_BYTES
    log_lines: int = _LOG_LINES
    comparisons: bool = True


class FileViews:
    """Draws the files of one page."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._previews: dict[tuple[str, int], str] = {}
        self._left = {"pictures": limits.preview_bytes, "texts": limits.text_bytes}
        self._for_inputs = int(limits.preview_bytes * _FOR_INPUTS)
        self.left_out = 0
        """How many previews and texts the page has no room for."""

    def view_product(self, product: Product) -> ProductView:
        """Return how a product is shown."""
        return ProductView(
            name=product.path.name,
            category=product.category,
            path=product.file,
            size_bytes=product.size_bytes,
            preview=self.draw(product.path),
            qc=self._values(product.path),
        )

    def _values(self, path: Path) -> tuple[tuple[str, str], ...]:
        if self._left["texts"] <= 0:
            return ()
        found = tuple((key, str(value)) for key, value in islice(qc_values(header_of(path)), _MOST_QC))
        fits = self._fits("texts", "".join(f"<li>{key} = {value}</li>" for key, value in found))
        return found if fits else ()

    def _fits(self, kind: str, text: str) -> bool:
        """Take a text from what is left for its kind; return whether it had room."""
        size = len(text.encode())
        if size > self._left[kind]:
            self.left_out += 1
            return False
        self._left[kind] -= size
        return True

    def draw(self, path: Path, widest: int = 180) -> str:
        """Return a preview of a file; empty where the page has enough of them, or there is nothing to draw."""
        key = str(path), widest
        if key not in self._previews:
            room = self._left["pictures"] > 0 and path.is_file()
            drawn = preview(path, widest) if room else ""
            self._previews[key] = drawn if self._fits("pictures", drawn) else ""
        # A picture that is there is repeated, so it counts again.
        elif not self._fits("pictures", self._previews[key]):
            return ""
        return self._previews[key]

    def draw_input(self, path: Path) -> str:
        """Return a small preview of a file that a step takes, where the page has such."""
        if self._for_inputs <= 0:
            return ""
        drawn = self.draw(path, _SMALL)
        self._for_inputs -= len(drawn)
        return drawn

    def read_log(self, folder: Path) -> str:
        """Return the end of the log of a run."""
        text = tail(folder / "esorex.log", self._limits.log_lines)
        return text if self._fits("texts", text) else ""


_SMALL = 72
"""Pixels of the previews of inputs."""


def header_of(path: Path) -> Header:
    """Return the header of a file; an empty one where it cannot be read."""
    with suppress(DataError, OSError):
        return read_header(path)
    return Header.of({})


def qc_values(header: Header) -> Iterator[tuple[str, object]]:
    """Yield the quality values of a header."""
    return ((key, header[key]) for key in header if key.startswith("QC."))


def tail(file: Path, lines: int) -> str:
    """Return the last lines of a file; nothing where it cannot be read."""
    try:
        return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
