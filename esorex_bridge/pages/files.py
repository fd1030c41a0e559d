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
_PAGE_BYTES = 4_000_000
_STEP_BYTES = 2_500
"""Of a step without previews, log and QC values; with its share of the dataset that it stands in."""
_LEAST_BYTES = 500_000
_MOST_BYTES = 2_300_000
_FOR_PICTURES = 0.65
_MOST_DRAWN = 160
_FOR_INPUTS = 0.3
"""How much of the previews may go to inputs."""


class PageLimits(Struct, frozen=True):
    """How much a page holds, so that one of a thousand steps stays below 5 MB and takes seconds.

    Parameters
    ----------
    steps : int
        How many the page shows. The more there are, the less is left for previews, logs and QC values: what comes
        later has none.
    previews : bool
        Whether there are any.
    drawn : int
        How many files are read for a preview.
    log_lines : int
        Of each log.
    comparisons : bool
        Whether deliveries are compared.
    """

    steps: int = 0
    previews: bool = True
    drawn: int = _MOST_DRAWN
    log_lines: int = _LOG_LINES
    comparisons: bool = True


class FileViews:
    """Draws the files of one page."""

    def __init__(self, limits: PageLimits) -> None:
        self._limits = limits
        self._previews: dict[tuple[str, int], str] = {}
        room = min(max(_PAGE_BYTES - limits.steps * _STEP_BYTES, _LEAST_BYTES), _MOST_BYTES)
        pictures = int(room * _FOR_PICTURES)
        self._left = {"pictures": pictures if limits.previews else 0, "texts": room - pictures}
        self._to_draw = limits.drawn
        self._inputs_to_draw = int(limits.drawn * _FOR_INPUTS)
        self._headers: dict[Path, Header] = {}
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
        found = tuple((key, str(value)) for key, value in islice(qc_values(self.header(path)), _MOST_QC))
        fits = self._fits("texts", "".join(f"<li>{key} = {value}</li>" for key, value in found))
        return found if fits else ()

    def header(self, path: Path) -> Header:
        """Return the header of a file, read once; an empty one where it cannot be read."""
        if path not in self._headers:
            self._headers[path] = header_of(path)
        return self._headers[path]

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
            room = self._left["pictures"] > 0 and self._to_draw > 0
            self._to_draw -= 1
            self.left_out += self._limits.previews and not room
            drawn = preview(path, widest) if room and path.is_file() else ""
            self._previews[key] = drawn if self._fits("pictures", drawn) else ""
        # A picture that is there is repeated, so it counts again.
        elif not self._fits("pictures", self._previews[key]):
            return ""
        return self._previews[key]

    def draw_input(self, path: Path) -> str:
        """Return a small preview of a file that a step takes, where the page has such."""
        if (str(path), _SMALL) not in self._previews:
            self._inputs_to_draw -= 1
        if self._inputs_to_draw < 0:
            self.left_out += self._limits.previews
            return ""
        return self.draw(path, _SMALL)

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
    return iter(header.group("QC").items())


def tail(file: Path, lines: int) -> str:
    """Return the last lines of a file; nothing where it cannot be read."""
    try:
        return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
