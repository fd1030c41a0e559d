"""Tiny FITS files for tests: a header and no more, written card by card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Value = str | int | float | bool | None


def card(name: str, value: Value) -> str:
    """Return a card, of ESO's HIERARCH where the name is dotted."""
    key = f"HIERARCH ESO {name.replace('.', ' ')} =" if "." in name else f"{name:<8}="
    text = {True: "T", False: "F"}[value] if isinstance(value, bool) else "" if value is None else str(value)
    if isinstance(value, str):
        text = "'" + value.replace("'", "''").ljust(8) + "'"
    return f"{key} {text}".ljust(80)


def header_bytes(cards: list[str]) -> bytes:
    """Return a header of raw cards, with END and padding."""
    text = "".join(line.ljust(80) for line in [*cards, "END"])
    return text.encode("latin-1").ljust(-(-len(text) // 2880) * 2880)


def fits_of(keywords: Mapping[str, Value]) -> bytes:
    """Return a FITS file without data."""
    fixed = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"]
    return header_bytes([*fixed, *(card(name, value) for name, value in keywords.items())])


def write_night(folder: Path, files: Mapping[str, Mapping[str, Value]]) -> list[Path]:
    """Write files by name (without ending) and keywords."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, keywords in files.items():
        path = folder / f"{name}.fits"
        path.write_bytes(fits_of(keywords))
        paths.append(path)
    return paths
