"""Products and logs as a page shows them; a file is drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError
from esorex_bridge.fits.header import Header, read_header
from esorex_bridge.pages.model import ProductView
from esorex_bridge.pages.preview import preview
from esorex_bridge.reuse.record import Product

_LOG_LINES = 25
_MOST_QC = 24
_MOST_PREVIEWS = 250


class Limits(Struct, frozen=True):
    """How much a page holds: previews at most, whether inputs get some, lines of each log, comparisons."""

    previews: int = _MOST_PREVIEWS
    inputs: bool = True
    log_lines: int = _LOG_LINES
    comparisons: bool = True


class FileViews:
    """Draws the files of one page."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._previews: dict[tuple[str, int], str] = {}

    def view_product(self, product: Product) -> ProductView:
        """Return how a product is shown."""
        return ProductView(
            name=product.path.name,
            category=product.category,
            path=product.file,
            size_bytes=product.size_bytes,
            preview=self.draw(product.path),
            qc=tuple((key, str(value)) for key, value in qc_values(header_of(product.path)))[:_MOST_QC],
        )

    def draw(self, path: Path, widest: int = 180) -> str:
        """Return a preview of a file; empty where the page has enough of them, or there is nothing to draw."""
        key = str(path), widest
        if key not in self._previews:
            if len(self._previews) >= self._limits.previews or not path.is_file():
                return ""
            self._previews[key] = preview(path, widest)
        return self._previews[key]

    def draw_input(self, path: Path) -> str:
        """Return a small preview of a file that a step takes, where the page has such."""
        return self.draw(path, _SMALL) if self._limits.inputs else ""

    def read_log(self, folder: Path) -> str:
        """Return the end of the log of a run."""
        return tail(folder / "esorex.log", self._limits.log_lines)


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
