"""End products: what a dataset is for, copied under names that people can read.

Named as Reflex's ProductRenamer does by default, `<OBS NAME>_<PRO CATG>`, in `<time of the run>/<dataset>/`. A product
that was delivered before and lies there unchanged is not delivered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.errors import DataError
from esorex_bridge.fits.header import read_header
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace, copy_whole, free_name, safe_name
from esorex_bridge.workspace.locks import locked


def deliver(
    dataset: str, workflow: str, record: Record, store: SqliteStore, workspace: Workspace, started: datetime
) -> tuple[Product, ...]:
    """Return the end products of a dataset, copied into place where they are not there yet.

    Parameters
    ----------
    dataset, workflow : str
        Names the folder; and whose books they are noted in.
    record : Record
        Of the step whose products are delivered.
    store : SqliteStore
        Remembers what was delivered.
    workspace : Workspace
        Has the folder of end products.
    started : datetime
        When the run began; names the folder above the dataset's.
    """
    with locked(workspace.locks / f"end_{record.key}"):
        earlier = _earlier(dataset, record, store)
        if earlier:
            return earlier
        delivered = _delivered(dataset, record, store, workspace.end_products / f"{started:%Y-%m-%dT%H:%M:%S}")
        renamed = {end.path: made.path for end, made in zip(delivered, record.products, strict=True)}
        _note(workspace.reflex_database(workflow), dataset, renamed, started)
        return delivered


def _note(database: Path, dataset: str, renamed: Mapping[Path, Path], started: datetime) -> None:
    """Note the end products in Reflex's bookkeeping, where there is one; what they are does not depend on it."""
    from esorex_bridge.reflex.bookkeeping_db import add_final_products

    if database.exists():
        with suppress(DataError):
            add_final_products(database, dataset, renamed, started.astimezone())


def _earlier(dataset: str, record: Record, store: SqliteStore) -> tuple[Product, ...]:
    """Return what was delivered before, where all of it still lies there unchanged."""
    paths = store.end_products(dataset, record.key)
    if len(paths) != len(record.products) or not all(map(_is_still, paths, record.products)):
        return ()
    return tuple(replace(product, file=str(path)) for product, path in zip(record.products, paths, strict=True))


def _delivered(dataset: str, record: Record, store: SqliteStore, folder: Path) -> tuple[Product, ...]:
    products = record.products
    place = folder / safe_name(dataset)
    delivered: dict[Path, Product] = {}
    for product in products:
        target = free_name(place, _stem(product), ".fits")
        copy_whole(product.path, target)
        delivered[target] = replace(product, file=str(target))
    store.record_end_products(dataset, record.key, {path: product.digest for path, product in delivered.items()})
    _say(folder, dataset, delivered)
    return tuple(delivered.values())


def _stem(product: Product) -> str:
    header = read_header(product.path)
    words = (header.get("OBS.NAME"), header.get("PRO.CATG"))
    return "_".join(safe_name(str(word)) if word else "_UNKNOWN_" for word in words)


def _is_still(path: Path, product: Product) -> bool:
    return path.exists() and path.stat().st_size == product.size_bytes


def _say(folder: Path, dataset: str, delivered: Iterable[Path]) -> None:
    with (folder / "README").open("a", encoding="utf-8") as readme:
        names = "".join(f"    {path.name}\n" for path in delivered)
        readme.write(
            f"{dataset}\n  Dataset has been reduced and saved in {folder / safe_name(dataset)} with files:\n{names}"
        )
