"""What may go once a dataset has its end products: the products in between, and the originals of the end products.

The records stay, so what a product was made from is known for as long as the root exists, and a later run makes nothing
again: an end product stands for its original, and what nothing needs is not made.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.cleaning import Removal, folder_size, is_run_folder
from esorex_bridge.run.delivery import EndProducts, find_delivered
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace

_REASON = "the end products made of it are there"


def returnable(
    resolved: Iterable[ResolvedPlan], store: SqliteStore, workspace: Workspace, claimed: Iterable[Path] = ()
) -> tuple[Removal, ...]:
    """Return the folders of products that finished datasets can do without.

    A dataset is finished if all that it is for was delivered, as copies, and is whole. What another dataset needs that
    is not finished stays, and so does what Reflex made.

    Parameters
    ----------
    resolved : iterable of ResolvedPlan
        Of all datasets of the root.
    store, workspace
        Of the data root.
    claimed : iterable of Path
        Folders that batches need.
    """
    ends: dict[StepKey, tuple[Path, ...]] = {}
    surplus: set[StepKey] = set()
    needed = set(store.adopted_keys())
    for ahead in resolved:
        found = _end_products(ahead, store)
        if found is None:
            needed.update(ahead.keys.values())
        else:
            surplus.update(ahead.keys.values())
            ends.update(found)
            needed.update(ahead.keys[step.name] for step in ahead.plan.steps if step.target and not step.delivered)
    kept = set(claimed)
    return tuple(
        Removal(path, folder_size(path), _REASON, key, ends.get(key, ()))
        for key in sorted(surplus - needed)
        for path in store.places(key)
        if path.is_relative_to(workspace.tmp_products) and path not in kept
        if path.is_dir() and is_run_folder(path, workspace)
    )


def _end_products(ahead: ResolvedPlan, store: SqliteStore) -> Mapping[StepKey, tuple[Path, ...]] | None:
    """Return the end products of a dataset by the step that made them; None where it is not finished."""
    targets = [ahead.keys[step.name] for step in ahead.plan.steps if step.makes_end_products]
    found: dict[StepKey, tuple[Path, ...]] = {}
    for key, record in store.find_all(targets).items():
        if not isinstance(record, Record):
            return None
        (delivered,) = find_delivered((EndProducts(ahead.dataset.name, ahead.plan.workflow, record),), store)
        paths = tuple(product.path for product in delivered)
        if not _are_copies(paths):
            return None
        found[key] = paths
    return found or None


def _are_copies(paths: Collection[Path]) -> bool:
    """Tell whether end products are files of their own: a link would lead nowhere."""
    return bool(paths) and not any(map(os.path.islink, paths))
