"""End products: what a dataset is for, copied under names that people can read.

Named as Reflex's ProductRenamer does by default, `<OBS NAME>_<PRO CATG>`, in `<time of the run>/<dataset>/`. A product
that was delivered before and lies there unchanged is not delivered again.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from esorex_bridge.fits.header import read_header
from esorex_bridge.run.key import StepKey
from esorex_bridge.run.ports import Product
from esorex_bridge.run.store import SqliteStore
from esorex_bridge.run.workspace import copy_whole, free_name, safe_name


def deliver(
    dataset: str, key: StepKey, products: tuple[Product, ...], store: SqliteStore, folder: Path, started: datetime
) -> tuple[Path, ...]:
    """Return the end products of a dataset, copied into place where they are not there yet.

    Parameters
    ----------
    dataset : str
        Names the folder.
    key : StepKey
        What the products were made of.
    products : tuple of Product
        In the store.
    store : SqliteStore
        Remembers what was delivered.
    folder : Path
        `reflex_end_products`.
    started : datetime
        When the run began; names the folder above the dataset's.
    """
    earlier = store.end_products(dataset, key)
    if len(earlier) == len(products) and all(map(_is_still, earlier, products)):
        return earlier
    place = folder / f"{started:%Y-%m-%dT%H:%M:%S}" / safe_name(dataset)
    delivered = []
    for product in products:
        header = read_header(product.path)
        words = (header.get("OBS.NAME"), header.get("PRO.CATG"))
        stem = "_".join(safe_name(str(word)) if word else "_UNKNOWN_" for word in words)
        target = free_name(place, stem, ".fits", taken=lambda path: path.exists() or path in delivered)
        copy_whole(product.path, target)
        delivered.append(target)
    store.record_end_products(dataset, key, delivered)
    store.learn({target: product.digest for target, product in zip(delivered, products, strict=True)})
    _say(place.parent, dataset, delivered)
    return tuple(delivered)


def _is_still(path: Path, product: Product) -> bool:
    return path.exists() and path.stat().st_size == product.size_bytes


def _say(folder: Path, dataset: str, delivered: list[Path]) -> None:
    with (folder / "README").open("a", encoding="utf-8") as readme:
        names = "".join(f"    {path.name}\n" for path in delivered)
        readme.write(
            f"{dataset}\n  Dataset has been reduced and saved in {folder / safe_name(dataset)} with files:\n{names}"
        )
