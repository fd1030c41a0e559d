"""The latest end products of a dataset held against those before."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.pages.model import ComparisonView
from esorex_bridge.provenance.compare import ProductPair, compare
from esorex_bridge.provenance.document import document_of, hex_of
from esorex_bridge.provenance.lineage import Lineage
from esorex_bridge.provenance.pixels import difference
from esorex_bridge.provenance.trace import trace
from esorex_bridge.reuse.record import Product

if TYPE_CHECKING:
    from esorex_bridge.reuse.key import StepKey
    from esorex_bridge.store.step_store import SqliteStore

_MOST_BYTES = 64_000_000
"""Of a product whose pixels are compared: a page shall not take minutes."""


def compare_deliveries(dataset: str, store: SqliteStore) -> ComparisonView | None:
    """Return what differs between what a dataset got last and what the same steps gave before; None where they did not.

    Parameters
    ----------
    dataset : str
        Its name.
    store : SqliteStore
        Of the data root.
    """
    made = [keys for keys in store.deliveries(dataset).values() if len(keys) > 1]
    if not made:
        return None
    before = _lineage(dataset, tuple(keys[-2] for keys in made), store)
    after = _lineage(dataset, tuple(keys[-1] for keys in made), store)
    files = {hex_of(product.digest): product.path for each in (before, after) for product in each.targets}
    found = compare(document_of(before), document_of(after))
    changes = tuple((step.step, each.what, each.a, each.b) for step in found.steps for each in step.changes)
    products = tuple((pair.category, _words(pair, files)) for pair in found.products)
    return ComparisonView(_describe_making(before), _describe_making(after), changes, products)


def _lineage(dataset: str, keys: tuple[StepKey, ...], store: SqliteStore) -> Lineage:
    targets: list[Product] = []
    for key in keys:
        made = store.products(key)
        targets += [replace(made[position], file=path) for position, path in store.delivered_paths(key)[dataset]]
    return trace(targets, keys, store)


def _describe_making(lineage: Lineage) -> str:
    return max((activity.made for activity in lineage.activities), default="")


def _words(pair: ProductPair, files: dict[str, Path]) -> str:
    if pair.a is None or pair.b is None:
        return "is new" if pair.a is None else "is not made any more"
    if pair.same_data:
        return "same data"
    one, other = files[pair.a.sha256], files[pair.b.sha256]
    with suppress(OSError, ValueError, TypeError):
        if max(one.stat().st_size, other.stat().st_size) <= _MOST_BYTES:
            return "; ".join(each.words for each in difference(one, other) if each.words) or "same data"
    return "other data"
