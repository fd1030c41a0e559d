"""What EDPS left in its data folder: one folder a job, `<INSTRUMENT>/<task>/<uuid>`, with `input.sof` and the products.

EDPS' own database is not read: its fields are not public. Nothing is written there either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError, UserError
from esorex_bridge.files import FITS_SUFFIXES
from esorex_bridge.fits.header import Header, read_header

SOF_NAME, PARAMETERS_NAME = "input.sof", "parameters.rc"


class EdpsRun(Struct, frozen=True):
    """One job of EDPS.

    Parameters
    ----------
    instrument, task : str
        As its folders are named.
    folder : Path
        Of the job.
    made : datetime
        When its set of files was written.
    sof : tuple of (Path, str)
        Files and tags, in their order.
    given : mapping of str to str
        Parameters that differ from the recipe's defaults, by full name.
    products : tuple of (Path, str)
        FITS files that are not inputs, with their `PRO.CATG`.
    recipe : str
        By the products' headers; empty where they do not tell, or not the same.
    stated : mapping of str to str
        Parameters that the first product's header states, by the name that it gives.
    """

    instrument: str
    task: str
    folder: Path
    made: datetime
    sof: tuple[tuple[Path, str], ...]
    given: Mapping[str, str]
    products: tuple[tuple[Path, str], ...]
    recipe: str
    stated: Mapping[str, str]


def read_data_folder(place: Path) -> tuple[EdpsRun, ...]:
    """Return the jobs below EDPS' data folder (`base_dir`), the oldest first.

    Parameters
    ----------
    place : Path
        The data folder, or that of an instrument, a task or a job.

    Raises
    ------
    UserError
        If there is no job.
    """
    depths = ("", "*/", "*/*/", "*/*/*/")
    folders = sorted({path.parent for depth in depths for path in place.glob(f"{depth}{SOF_NAME}")})
    if not folders:
        raise UserError(f"{place} holds no job of EDPS: no <INSTRUMENT>/<task>/<job>/{SOF_NAME}")
    return tuple(sorted(map(_read_run, folders), key=lambda run: (run.made, str(run.folder))))


def _read_run(folder: Path) -> EdpsRun:
    sof_file = folder / SOF_NAME
    sof = tuple(_entries(sof_file, folder))
    inputs = {path.resolve() for path, _ in sof}
    headers = {path: header for path in _fits(folder) if path.resolve() not in inputs and (header := _header(path))}
    recipes = {_last_run(header)[1] for header in headers.values()}
    first = next(iter(headers.values()), None)
    return EdpsRun(
        instrument=folder.parent.parent.name,
        task=folder.parent.name,
        folder=folder,
        made=datetime.fromtimestamp(sof_file.stat().st_mtime, UTC),
        sof=sof,
        given=dict(_parameters(folder / PARAMETERS_NAME)),
        products=tuple((path, str(header.get("PRO.CATG") or "").strip()) for path, header in headers.items()),
        recipe=recipes.pop() if len(recipes) == 1 else "",
        stated=_read_stated(first) if first is not None else {},
    )


def _entries(sof: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    for line in _lines(sof):
        words = line.split()
        if len(words) >= 2:
            yield folder / words[0], words[1]


def _parameters(place: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines `name=value` of a configuration file of EsoRex; none where there is no file."""
    for line in _lines(place):
        name, equals, value = line.partition("=")
        if equals:
            yield name.strip(), value.strip().strip('"')


def _lines(place: Path) -> Iterator[str]:
    try:
        text = place.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    yield from (line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#"))


def _fits(folder: Path) -> Iterator[Path]:
    """Yield the FITS files of a job; what a report or one of several recipes made lies in folders of its own."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.endswith(FITS_SUFFIXES):
            yield path


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except DataError:
        return None


def _last_run(header: Header) -> tuple[int, str]:
    """Return the number and the recipe of the last run in a product's history."""
    number = 1
    while f"PRO.REC{number + 1}.ID" in header:
        number += 1
    return number, str(header.get(f"PRO.REC{number}.ID") or "").strip()


def _read_stated(header: Header) -> dict[str, str]:
    number, _ = _last_run(header)
    found = {}
    place = 1
    while (name := header.get(f"PRO.REC{number}.PARAM{place}.NAME")) is not None:
        value = header.get(f"PRO.REC{number}.PARAM{place}.VALUE")
        found[str(name).strip()] = "" if value is None else str(value).strip()
        place += 1
    return found
