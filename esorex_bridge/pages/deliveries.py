"""Deliveries of a dataset held against each other."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations
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

_MOST_DELIVERIES = 4
"""Of a dataset, so six pairs: older ones are there for `compare`."""

_MOST_BYTES = 64_000_000
"""Of a product whose pixels are compared: a page shall not take minutes."""


def compare_deliveries(dataset: str, store: SqliteStore) -> tuple[ComparisonView, ...]:
    """Return what differs between any two of the latest deliveries of a dataset, the latest pair first.

    Parameters
    ----------
    dataset : str
        Its name.
    store : SqliteStore
        Of the data root.
    """
    made = store.deliveries(dataset).values()
    most = min(_MOST_DELIVERIES, max(map(len, made), default=0))
    # A step that gave fewer end products than others had the first of them then.
    lineages = [
        _lineage(dataset, tuple(keys[-min(back, len(keys))] for keys in made), store) for back in range(1, most + 1)
    ]
    return tuple(_view_pair(before, after) for after, before in combinations(lineages, 2))


def _view_pair(before: Lineage, after: Lineage) -> ComparisonView:
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
