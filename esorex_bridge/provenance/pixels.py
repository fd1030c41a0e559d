"""By how much the data of two FITS files differ: statistics of the difference, HDU by HDU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct


class HduDifference(Struct, frozen=True):
    """The difference b - a of the data of two HDUs, in the units of the data.

    Parameters
    ----------
    hdu : str
        Number, and EXTNAME where there is one.
    problem : str
        Why they cannot be compared (`shape (128, 128) against (64, 64)`); empty where they can.
    values : int
        How many pixels, or numbers of a table, are finite on both sides.
    differing : int
        How many of these differ, with those that are finite on one side alone.
    mean, std, largest : float or None
        Of the difference; `largest` by its absolute value. None where no value can be compared.
    relative : float or None
        `std` over the standard deviation of a.
    """

    hdu: str
    problem: str = ""
    values: int = 0
    differing: int = 0
    mean: float | None = None
    std: float | None = None
    largest: float | None = None
    relative: float | None = None

    @property
    def words(self) -> str:
        """The difference in words; empty where there is none."""
        if self.problem:
            return f"HDU {self.hdu}: {self.problem}"
        if not self.differing:
            return ""
        share = f"HDU {self.hdu}: {self.differing} of {self.values} values differ"
        if self.mean is None:
            return share
        relative = "" if self.relative is None else f", {self.relative:.2g} of the spread of A"
        return f"{share}; B - A mean {self.mean:.4g}, std {self.std:.4g}, largest {self.largest:.4g}{relative}"


def difference(a: Path, b: Path) -> tuple[HduDifference, ...]:
    """Return the difference of the data of two FITS files, for every HDU that has data on a side."""
    from astropy.io import fits

    with fits.open(a) as left, fits.open(b) as right:
        return tuple(_compare(left, right))


def _compare(left: Any, right: Any) -> Iterator[HduDifference]:
    for number in range(max(len(left), len(right))):
        one: Any = left[number] if number < len(left) else None
        other: Any = right[number] if number < len(right) else None
        name = f"{number} {(other if one is None else one).name}".strip()
        if one is None or other is None:
            yield HduDifference(name, problem="only in b" if one is None else "only in a")
        elif one.data is not None or other.data is not None:
            yield _of_data(name, one.data, other.data)


def _of_data(name: str, one: Any, other: Any) -> HduDifference:
    import numpy as np

    if one is None or other is None:
        return HduDifference(name, problem="data in b only" if one is None else "data in a only")
    if one.dtype.names is not None or other.dtype.names is not None:
        return _of_tables(name, one, other)
    if one.shape != other.shape:
        return HduDifference(name, problem=f"shape {one.shape} against {other.shape}")
    return _statistics(name, np.asarray(one, dtype=float).ravel(), np.asarray(other, dtype=float).ravel())


def _of_tables(name: str, one: Any, other: Any) -> HduDifference:
    import numpy as np

    if one.dtype.names != other.dtype.names or len(one) != len(other):
        return HduDifference(name, problem=f"table of {len(one)} rows against {len(other)}, or other columns")
    columns = [
        (np.asarray(one[column], dtype=float).ravel(), np.asarray(other[column], dtype=float).ravel())
        for column in one.dtype.names
        if np.asarray(one[column]).dtype.kind in "fiub"
    ]
    if not columns:
        return HduDifference(name)
    left, right = (np.concatenate(side) for side in zip(*columns, strict=True))
    return _statistics(name, left, right)


def _statistics(name: str, one: Any, other: Any) -> HduDifference:
    import numpy as np

    finite = np.isfinite(one) & np.isfinite(other)
    lost = int(np.count_nonzero(np.isfinite(one) != np.isfinite(other)))
    if not finite.any():
        return HduDifference(name, values=0, differing=lost)
    delta = other[finite] - one[finite]
    spread = float(one[finite].std())
    return HduDifference(
        hdu=name,
        values=int(finite.sum()),
        differing=int(np.count_nonzero(delta)) + lost,
        mean=float(delta.mean()),
        std=float(delta.std()),
        largest=float(np.abs(delta).max()),
        relative=float(delta.std() / spread) if spread > 0 else None,
    )
