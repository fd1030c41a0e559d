"""What a user means by a product, a dataset or a step: found by path, by content, or by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.errors import DataError, UserError
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product

if TYPE_CHECKING:
    from esorex_bridge.store.step_store import SqliteStore


class Found(Struct, frozen=True):
    """What a word means: products, and the steps that made them."""

    targets: tuple[Product, ...]
    keys: tuple[StepKey, ...]


def identify(word: str, store: SqliteStore) -> Found:
    """Return the products that a word means.

    A file is known by its content first, wherever it was copied and however it is named; then by the path that it was
    delivered to, and by its name. A dataset means its end products, a step or recipe what it made last.

    Parameters
    ----------
    word : str
        Path or name of a product, name of a dataset, a step or a recipe, or a step's key (12 digits or more).
    store : SqliteStore
        Of the data root.

    Raises
    ------
    UserError
        If nothing of that name is recorded, or a name means several contents.
    DataError
        If a file is there that this root did not make.
    """
    path = Path(word).absolute()
    if path.is_file():
        return _by_content(path, store)
    found = _at(store.keys_by_path(str(path)), store) or _by_name(word, store) or _by_words(word, store)
    if found is None:
        raise UserError(_nothing(word, store))
    return found


def _by_content(path: Path, store: SqliteStore) -> Found:
    digest = verify_fits(path, checksums=False).digest
    keys = store.keys_by_content(digest)[:1]
    if not keys:
        known = " (a file of that path was delivered here, with other content)" if _at_path(path, store) else ""
        raise DataError(
            f"{path} has a content that no step of this data root made{known}; give the --root that made it, or see "
            f"what its header says: esorex-bridge provenance --from-header {path.name}"
        )
    made = next(product for product in store.products(keys[0]) if product.digest == digest)
    return Found((replace(made, file=str(path)),), keys)


def _at_path(path: Path, store: SqliteStore) -> bool:
    return bool(store.keys_by_path(str(path)))


def _by_name(word: str, store: SqliteStore) -> Found | None:
    if "/" in word or not word.endswith((".fits", ".paf", ".tfits")):
        return None
    rows = store.keys_by_name(word)
    contents = {store.products(key)[position].digest for key, position in rows}
    if len(contents) > 1:
        places = "\n".join(f"  {store.products(key)[position].file}" for key, position in rows)
        raise UserError(f"{len(rows)} products of different content are named {word}; give a path:\n{places}")
    return _at(rows[:1], store)


def _at(rows: tuple[tuple[StepKey, int], ...], store: SqliteStore) -> Found | None:
    if not rows:
        return None
    return Found(
        tuple(store.products(key)[position] for key, position in rows), tuple(dict.fromkeys(key for key, _ in rows))
    )


def _by_words(word: str, store: SqliteStore) -> Found | None:
    delivered = store.delivered_keys(word)
    if delivered:
        return Found(tuple(end for key in delivered for end in _find_delivered(word, key, store)), delivered)
    keys = store.keys_of_step(word)[:1] or _keys_beginning(word, store)
    products = tuple(product for key in keys for product in store.products(key))
    return Found(products, keys) if keys else None


def _find_delivered(dataset: str, key: StepKey, store: SqliteStore) -> Iterator[Product]:
    """Yield the end products that a dataset got of a step, under the names that they were delivered under."""
    made = store.products(key)
    for position, path in store.delivered_paths(key)[dataset]:
        yield replace(made[position], file=path)


def _keys_beginning(word: str, store: SqliteStore) -> tuple[StepKey, ...]:
    if len(word) < 12 or not set(word) <= set("0123456789abcdef"):
        return ()
    return tuple(key for key in store.all_keys() if key.startswith(word))


def _nothing(word: str, store: SqliteStore) -> str:
    datasets = store.delivered_datasets()
    there = f"datasets with end products: {', '.join(datasets)}" if datasets else "this data root has no end products"
    return f"no product, dataset or step '{word}' is recorded here; {there}"
