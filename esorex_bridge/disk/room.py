"""Room on disks: what is to be fetched and made, against what is free before it begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Literal

from msgspec import Struct

from esorex_bridge.errors import UserError

RoomRule = Literal["check", "ignore"]
"""Whether what the disks have no room for is refused, or begun all the same."""

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


class DiskNeed(Struct, frozen=True):
    """What is to come onto a disk.

    Parameters
    ----------
    folder : str
        One on that disk, as far as it is there yet.
    fetched_bytes, made_bytes : int
        Files to be fetched, and products to be made; estimates.
    free_bytes : int
        What was free before anything began.
    """

    folder: str
    fetched_bytes: int
    made_bytes: int
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        """All of it."""
        return self.fetched_bytes + self.made_bytes

    @property
    def enough(self) -> bool:
        """Whether the disk has room for it."""
        return self.needed_bytes <= self.free_bytes

    @property
    def words(self) -> str:
        """How much is needed, for what, where, and how much there is."""
        kinds = ((self.fetched_bytes, "to be fetched"), (self.made_bytes, "of products"))
        parts = ", ".join(f"{describe_bytes(size)} {what}" for size, what in kinds if size)
        return (
            f"about {describe_bytes(self.needed_bytes)} are needed on the disk of {self.folder} ({parts}), which has "
            f"{describe_bytes(self.free_bytes)} free"
        )


class Room:
    """What the disks of some folders have free, and what is to come into these; may be told by several threads.

    Parameters
    ----------
    rule : {'check', 'ignore'}
        Whether `refuse` refuses.
    products : Path, optional
        Where products of what is fetched will be made; nowhere by default.
    made_per_byte : float
        How many bytes of products are expected of each byte that is fetched, as long as no plan says more.
    """

    def __init__(self, rule: RoomRule = "check", products: Path | None = None, made_per_byte: float = 0.0) -> None:
        self._rule, self._products, self._made_per_byte = rule, products, made_per_byte
        self._disks: dict[int, tuple[Path, int]] = {}
        self._disk_by_folder: dict[Path, int] = {}
        self._fetched: dict[int, int] = {}
        self._made: dict[int, int] = {}
        self._lock = Lock()
        if products is not None:
            self._disk_of(products)

    def take_fetched(self, folder: Path, size_bytes: int) -> None:
        """Count files in that are to be fetched."""
        with self._lock:
            disk = self._disk_of(folder)
            self._fetched[disk] = self._fetched.get(disk, 0) + size_bytes

    def take_made(self, folder: Path, size_bytes: int) -> None:
        """Count products in that are to be made."""
        with self._lock:
            disk = self._disk_of(folder)
            self._made[disk] = self._made.get(disk, 0) + size_bytes

    @property
    def needs(self) -> tuple[DiskNeed, ...]:
        """What is to come, a disk each; none of a disk that nothing comes onto."""
        with self._lock:
            expected = int(sum(self._fetched.values()) * self._made_per_byte)
            made = dict(self._made)
            if self._products is not None:
                disk = self._disk_of(self._products)
                made[disk] = max(made.get(disk, 0), expected)
            needs = (
                DiskNeed(str(place), self._fetched.get(disk, 0), made.get(disk, 0), free)
                for disk, (place, free) in self._disks.items()
            )
            return tuple(need for need in needs if need.needed_bytes)

    def refuse(self) -> None:
        """Refuse to begin what the disks have no room for, unless that is to be ignored.

        Raises
        ------
        UserError
            If one has less free than is needed.
        """
        if self._rule == "check":
            refuse_without_room(self.needs)

    def _disk_of(self, folder: Path) -> int:
        """Return the disk of a folder; a batch asks for each of its steps, so it is looked at once."""
        if folder not in self._disk_by_folder:
            place = _place(folder)
            disk = place.stat().st_dev
            if disk not in self._disks:
                self._disks[disk] = place, _free_bytes(place)
            self._disk_by_folder[folder] = disk
        return self._disk_by_folder[folder]


def refuse_without_room(needs: Iterable[DiskNeed]) -> None:
    """Refuse to begin what a disk has no room for; UserError with how much, where, and what to do."""
    if lacking := [need.words for need in needs if not need.enough]:
        raise UserError(
            f"{'; '.join(lacking)}; make room, use a data root on another disk, ask for less, or begin all the same "
            "with --room ignore"
        )


def describe_bytes(size_bytes: int) -> str:
    """Return a number of bytes in words.

    >>> describe_bytes(2_345_000_000), describe_bytes(12_000)
    ('2.3 GB', '12.0 kB')
    """
    unit, name = next(((unit, name) for unit, name in _UNITS if size_bytes >= unit), (1, "bytes"))
    return f"{size_bytes / unit:.1f} {name}" if unit > 1 else f"{size_bytes} {name}"


def _place(folder: Path) -> Path:
    """Return a folder, or what is there above it."""
    return next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))


def _free_bytes(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
