"""The store made again from the folders of runs: what each step was made of lies beside it.

`statement.json` in the folder of a run holds its statement and its record; paths in it are relative to the root. What
is not whole any more is left out, as it would be by the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.disk.atomic import write_whole
from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.fits.verify import read_fits
from esorex_bridge.plan.plan import AssociatedInput
from esorex_bridge.reuse.key import Statement
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.store.step_store import SqliteStore, open_store

STATEMENT_FILE = "statement.json"
VERSION = 1


class RunStatement(Struct, frozen=True):
    """A finished run, as its folder holds it; of those before version 0.2.0 no associations are known."""

    version: int
    dataset: str
    step: str
    statement: Statement
    record: Record
    associations: tuple[AssociatedInput, ...] = ()


class Rebuilt(Struct, frozen=True):
    """What came of it: steps and end products that are recorded again, and what was left out, in words."""

    steps: int
    end_products: int
    left_out: tuple[str, ...]


def write_statement(folder: Path, root: Path, run: RunStatement) -> None:
    """Write what a run was made of into its folder; WriteError if that cannot be written."""
    write_whole(folder / STATEMENT_FILE, msgspec.json.encode(_move_paths(run, f"{root}/", "")).decode() + "\n")


def read_statement_file(folder: Path) -> RunStatement:
    """Return what the folder of a finished run says of it, paths relative to the root; DataError if it does not."""
    try:
        return msgspec.json.decode((folder / STATEMENT_FILE).read_bytes(), type=RunStatement)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{folder} does not say what was run in it: {error}") from None


def rebuild(path: Path, root: Path, ends: Path) -> Rebuilt:
    """Make a store again from the folders of runs, and put the old one aside.

    Parameters
    ----------
    path : Path
        The database; the folders of runs lie beside it.
    root : Path
        The data root.
    ends : Path
        The folder of end products.

    Raises
    ------
    StoreError
        If the new one cannot be written.
    """
    if path.exists() or path.is_symlink():
        path.rename(path.with_name(f"{path.name}.{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.old"))
    for beside in (path.with_name(f"{path.name}-journal"), path.with_name(f"{path.name}-wal")):
        beside.unlink(missing_ok=True)
    left_out: list[str] = []
    latest = {
        run.record.key: run for run in sorted(_runs(path.parent, root, left_out), key=lambda run: run.record.made)
    }
    runs = sorted(latest.values(), key=lambda run: run.record.made)
    with open_store(path, root) as store:
        store.record_all((run.record, run.statement, run.dataset, run.step) for run in runs)
        delivered = _deliver_again(store, {run.dataset: run for run in runs}, runs, ends)
    return Rebuilt(len(runs), delivered, tuple(left_out))


def _runs(folder: Path, root: Path, left_out: list[str]) -> Iterator[RunStatement]:
    """Yield the runs whose products are there and whole."""
    for path in sorted(folder.glob(f"*/*/*/{STATEMENT_FILE}")):
        if path.parent.is_symlink():
            continue
        try:
            run = _move_paths(msgspec.json.decode(path.read_bytes(), type=RunStatement), "", f"{root}/")
            if run.version != VERSION:
                raise DataError(f"it was written by another version of esorex-bridge ({run.version})")
            products = tuple(_whole(product) for product in run.record.products)
        except (OSError, msgspec.MsgspecError, DataError) as error:
            left_out.append(f"{path}: {error}")
            continue
        yield replace(run, record=replace(run.record, products=products))


def _whole(product: Product) -> Product:
    content, stamp = read_fits(product.path, checksums=False)
    if content.digest != product.digest:
        raise DataError(f"{product.path} is damaged: its sha256 differs")
    return replace(product, stamp=stamp)


def _move_paths(run: RunStatement, before: str, after: str) -> RunStatement:
    """Return a run with its paths relative to a root, or below one."""

    def move(path: str) -> str:
        return f"{after}{path.removeprefix(before)}" if not path.startswith("/") or before else path

    products = tuple(replace(product, file=move(product.file), stamp="") for product in run.record.products)
    return replace(run, record=replace(run.record, products=products, sof_file=move(run.record.sof_file)))


def _deliver_again(
    store: SqliteStore, datasets: Mapping[str, RunStatement], runs: list[RunStatement], ends: Path
) -> int:
    """Record again the end products whose content is that of a product, and return how many there are."""
    found: dict[tuple[str, Digest], tuple[Path, Reading]] = {}
    for path in sorted(ends.glob("*/*/*.fits")):
        try:
            content, stamp = read_fits(path, checksums=False)
        except DataError:
            continue
        found[path.parent.name, content.digest] = path, Reading(content.digest, stamp)
    names = {folder for folder, _ in found}
    count = 0
    for run in runs:
        for folder in names:
            held = [found.get((folder, product.digest)) for product in run.record.products]
            whole = {entry[0]: entry[1] for entry in held if entry is not None}
            if len(whole) == len(held):
                dataset = folder if folder in datasets else run.dataset
                store.record_end_products(((dataset, run.record.key, whole),))
                count += len(whole)
    return count
