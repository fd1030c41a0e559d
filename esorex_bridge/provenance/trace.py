"""Tracing products back through the store, and through the folders of the runs that made them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.definitions.parameters import RECIPE_DEFAULT
from esorex_bridge.errors import DataError
from esorex_bridge.esorex.products import cpl_of
from esorex_bridge.files import Digest
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.plan import AssociatedInput
from esorex_bridge.provenance.lineage import Activity, Lineage, Makers, ParameterValue, in_order, input_of, needs_of
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product
from esorex_bridge.store.rebuild import read_statement_file

if TYPE_CHECKING:
    from esorex_bridge.store.lookup import StepRow
    from esorex_bridge.store.step_store import SqliteStore

_STEP = "step:"
_ASSIGNMENT = re.compile(r'^([A-Za-z0-9_.-]+)="(.*)"$')


class Tracer:
    """Traces products back; what several of them were made from is looked up once.

    Parameters
    ----------
    store : SqliteStore
        Of the data root.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._known: dict[StepKey, Activity] = {}

    def trace(self, targets: Iterable[Product], keys: Iterable[StepKey]) -> Lineage:
        """Return the lineage of products that steps of these keys made."""
        wanted = deque(dict.fromkeys(keys))
        self.look_up(wanted)
        found: dict[StepKey, Activity] = {}
        lost: dict[StepKey, None] = {}
        while wanted:
            key = wanted.popleft()
            if key not in self._known:
                lost[key] = None
            elif key not in found:
                found[key] = self._known[key]
                wanted.extend(entry.key for entry in found[key].inputs if entry.key is not None)
        return Lineage(tuple(targets), in_order(found.values()), tuple(lost))

    def look_up(self, keys: Iterable[StepKey]) -> None:
        """Look up the recorded steps from these backwards that are not known yet."""
        rows, makers = self._collect(key for key in keys if key not in self._known)
        places = self._store.paths_by_content(digest for row in rows.values() for digest in _contents(row))
        for key, row in rows.items():
            self._known[key] = _activity(row, self._store.products(key), places, makers)

    def _collect(self, keys: Iterable[StepKey]) -> tuple[dict[StepKey, StepRow], Makers]:
        """Return the recorded steps from these backwards, and who made files among their inputs.

        An input that is stated by its content may be a product all the same: Reflex hands files on, not steps.
        """
        found: dict[StepKey, StepRow] = {}
        makers: Makers = {}
        seen: set[StepKey] = set()
        wanted = tuple(dict.fromkeys(keys))
        while wanted:
            seen.update(wanted)
            rows = self._store.step_rows(wanted)
            found |= rows
            made = self._store.makers_by_content(digest for row in rows.values() for digest in _contents(row))
            makers |= made
            needs = [need for row in rows.values() for need in needs_of(row.statement)]
            needs += [key for key, _ in made.values()]
            wanted = tuple(dict.fromkeys(need for need in needs if need not in seen and need not in self._known))
        return found, makers


def trace(targets: Iterable[Product], keys: Iterable[StepKey], store: SqliteStore) -> Lineage:
    """Return the lineage of products.

    Parameters
    ----------
    targets : iterable of Product
        What is asked about.
    keys : iterable of StepKey
        The steps that made them.
    store : SqliteStore
        Of the data root.
    """
    return Tracer(store).trace(targets, keys)


def _contents(row: StepRow) -> Iterator[Digest]:
    entries = (entry.content for entry in row.statement.inputs)
    return (Digest(content) for content in entries if not content.startswith(_STEP))


def _activity(row: StepRow, products: tuple[Product, ...], places: dict[Digest, str], makers: Makers) -> Activity:
    statement = row.statement
    origins = parameter_origins(Path(row.sof).with_name(f"{statement.recipe}.rc"))
    associations = _associations(Path(row.sof).parent)
    return Activity(
        key=row.key,
        step=row.step,
        dataset=row.dataset,
        recipe=statement.recipe,
        pipeline=statement.pipeline,
        plugin=statement.plugin,
        libraries=dict(getattr(statement, "libraries", ())),
        parameters=tuple(ParameterValue(name, value, origins.get(name, "")) for name, value in statement.parameters),
        inputs=tuple(input_of(entry, places, makers, associations) for entry in statement.inputs),
        products=products,
        made=row.made,
        seconds=row.seconds,
        sof=row.sof,
        warnings=row.warnings,
        cpl=next(filter(None, map(_find_cpl, products)), ""),
        usage=row.usage,
    )


def _find_cpl(product: Product) -> str:
    with suppress(DataError, OSError):
        return cpl_of(read_header(product.path))
    return ""


def _associations(folder: Path) -> tuple[AssociatedInput, ...]:
    """Return how the inputs of a run were associated; nothing where its folder is gone, or does not say it."""
    with suppress(DataError):
        return read_statement_file(folder).associations
    return ()


def parameter_origins(file: Path) -> dict[str, str]:
    """Return who set each parameter, as the comments of a run's `.rc` file say; nothing where it is gone."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    origins: dict[str, str] = {}
    origin = RECIPE_DEFAULT
    for line in lines:
        if line.startswith("#"):
            origin = line.removeprefix("#").strip().removesuffix(":")
        elif match := _ASSIGNMENT.match(line):
            origins[match.group(1)] = "default" if origin == RECIPE_DEFAULT else origin
            origin = RECIPE_DEFAULT
    return origins
