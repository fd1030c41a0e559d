"""End products: the names of their contents, their place, and Reflex's note of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from esorex_bridge.errors import DataError, UserError

BY_OBJECT_AND_CATEGORY = "HIERARCH.ESO.OBS.NAME,'_',HIERARCH.ESO.PRO.CATG"
"""How ESO's workflows name end products."""


@dataclass(frozen=True)
class Naming:
    """How end products are named and put into place.

    Parameters
    ----------
    pattern : str
        Keywords and quoted texts, separated by commas, as ProductRenamer has them.
    copy_mode : str
        `copy` or `link`.
    exists_mode : str
        `append_version`, `overwrite` or `stop`.
    """

    pattern: str = BY_OBJECT_AND_CATEGORY
    copy_mode: str = "copy"
    exists_mode: str = "append_version"


def deliver(source: Path, place: Path, naming: Naming) -> Path:
    """Put a product into a folder under the name of its contents, and return where it is.

    A product that is there already, with the same content, is left as it is.

    Raises
    ------
    UserError
        If a mode is not known.
    DataError
        If a file of that name is there and must not be.
    """
    from esorex_bridge.workspace.folders import copy_whole

    place.mkdir(parents=True, exist_ok=True)
    target = _target(place, name_of(source, naming.pattern), source, naming.exists_mode)
    if naming.copy_mode == "link":
        target.unlink(missing_ok=True)
        target.symlink_to(source)
    elif naming.copy_mode == "copy":
        if not target.exists() or not _is_same(source, target):
            copy_whole(source, target)
            status = source.stat()
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        raise UserError(f"copy_mode is '{naming.copy_mode}'; it must be copy or link")
    return target


def name_of(product: Path, pattern: str) -> str:
    """Return the name of a product without ending, from keywords and quoted texts."""
    from esorex_bridge.fits.header import read_header
    from esorex_bridge.workspace.folders import safe_name

    header = read_header(product)
    words = []
    for part in pattern.split(","):
        text = part.strip()
        if text[:1] == text[-1:] == "'" and len(text) > 1:
            words.append(text[1:-1])
        elif text:
            value = header.get(text.partition("[")[0].removeprefix("HIERARCH.ESO."))
            words.append(safe_name(str(value)) if value not in (None, "") else "_UNKNOWN_")
    return safe_name("".join(words) or product.stem)


def note_end_products(database: Path, dataset: str, renamed: Mapping[Path, Path]) -> None:
    """Note end products in Reflex's bookkeeping, where there is one; what they are does not depend on it.

    Parameters
    ----------
    database : Path
        Reflex's `bookkeeping.db`.
    dataset : str
        Name of the dataset.
    renamed : mapping of Path to Path
        What each end product was before it was renamed.
    """
    from esorex_bridge.reflex.bookkeeping_db import add_final_products

    if database.exists():
        with suppress(DataError):
            add_final_products(database, dataset, renamed, datetime.now().astimezone())


def _target(place: Path, stem: str, source: Path, mode: str) -> Path:
    path = place / f"{stem}.fits"
    if not os.path.lexists(path) or mode == "overwrite":
        return path
    if mode == "append_version":
        versions = (place / f"{stem}{f'_{number}' if number else ''}.fits" for number in count())
        return next(path for path in versions if not os.path.lexists(path) or _is_same(source, path))
    if mode == "stop":
        raise DataError(f"{path} exists; set exists_mode to append_version or overwrite, or remove it")
    raise UserError(f"exists_mode is '{mode}'; it must be append_version, overwrite or stop")


def _is_same(source: Path, target: Path) -> bool:
    from esorex_bridge.fits.verify import verify_fits

    if target.resolve() == source.resolve():
        return True
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        return False
    return verify_fits(source, checksums=False).digest == verify_fits(target, checksums=False).digest
