"""What the embedded archive holds: files by name, who may have them, and how they are delivered."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.datasets.association import AssociationTree, Mode
from esorex_bridge.demo.archive.products import ServedProduct, products_of
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, FrameFolder
from esorex_bridge.files import DpId, is_processed

FITS_TYPE = "application/fits"
_END_BYTES = 1 << 16


class DeliveredFile(Struct, frozen=True):
    """A file as it leaves the archive.

    Parameters
    ----------
    name : str
        File name in Content-Disposition.
    content : bytes
        Whole.
    content_type : str
        MIME type.
    """

    name: str
    content: bytes
    content_type: str

    @property
    def etag(self) -> str:
        """Names this very content, by its length and both ends: a frame's header tells it from every other."""
        ends = self.content[:_END_BYTES] + self.content[-_END_BYTES:]
        return f'"{hashlib.sha256(ends).hexdigest()[:20]}-{len(self.content):x}"'


class Holdings:
    """Nights with the folder of their frames.

    Parameters
    ----------
    nights : iterable of Night
        What the archive knows.
    folder : Path
        Where frames are kept once they were made.
    proprietary : collection of str
        dp_ids that only a user who logged in may have.
    """

    def __init__(self, nights: Iterable[DemoNight], folder: Path, proprietary: Collection[str] = ()) -> None:
        self.nights = tuple(nights)
        self.proprietary = frozenset(proprietary)
        self._frames = FrameFolder(folder)
        self.products = tuple(product for night in self.nights for product in products_of(night))
        self._files = {file.dp_id: (night, file) for night in self.nights for file in (*night.files, *_reduce(night))}

    def __contains__(self, dp_id: object) -> bool:
        """Tell whether the archive holds a file."""
        return dp_id in self._files

    def file(self, dp_id: str) -> ArchiveFile:
        """Return a file by name (KeyError where there is none)."""
        return self._entry(dp_id)[1]

    def tree(self, dp_id: str, mode: Mode) -> AssociationTree | None:
        """Return the association tree of a science file; None for any other file."""
        return self._entry(dp_id)[0].tree(dp_id, mode)

    def product_files(self, dp_id: str) -> tuple[ServedProduct, ...]:
        """Return the files of a product; none where the name is not a product's."""
        return tuple(product for product in self.products if product.product_id == dp_id)

    def is_raw(self, dp_id: str) -> bool:
        """Tell whether a file came from an instrument, not from a pipeline."""
        return not is_processed(dp_id) and not dp_id.startswith("ADP.")

    def delivered_name(self, dp_id: str) -> str:
        """Return the name under which a file is delivered: raw frames are compressed."""
        night, _ = self._entry(dp_id)
        return f"{dp_id}.fits.Z" if self.is_raw(dp_id) and night.kept else f"{dp_id}.fits"

    def deliver(self, dp_id: str) -> DeliveredFile:
        """Return a file as it leaves the archive."""
        night, file = self._entry(dp_id)
        name = self.delivered_name(dp_id)
        if not night.kept:
            content = file.build()
        elif name.endswith(".Z"):
            content = self._frames.compress_file(night, file).read_bytes()
        else:
            content = self._frames.fits(night, file).read_bytes()
        return DeliveredFile(name, content, FITS_TYPE)

    def size_bytes(self, dp_id: str) -> int:
        """Return the size of a file as listings state it: exact for processed files, an estimate for raw ones."""
        if is_processed(dp_id):
            return len(self.deliver(dp_id).content)
        return self.file(dp_id).estimated_bytes

    def _entry(self, dp_id: str) -> tuple[DemoNight, ArchiveFile]:
        return self._files[DpId(dp_id)]


def _reduce(night: DemoNight) -> tuple[ArchiveFile, ...]:
    return tuple(product.file for product in products_of(night))
