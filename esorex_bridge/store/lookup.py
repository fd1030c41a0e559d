"""Looking backwards in the store: from contents, paths, datasets and steps to what was recorded of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from msgspec import Struct

from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.files import Digest
from esorex_bridge.reuse.key import Statement, StepKey, is_file, read_statement, steps_in
from esorex_bridge.store.database import Database
from esorex_bridge.store.summaries import USED, read_usage

_VALUES_A_QUERY = 500


class StepRow(Struct, frozen=True):
    """All that is recorded of a step but its products; times in ISO 8601 and UTC, the SOF by its absolute path."""

    key: StepKey
    dataset: str
    step: str
    statement: Statement
    made: str
    seconds: float
    sof: str
    warnings: tuple[str, ...]
    usage: Usage | None = None


class Lookup(Database):
    """The part of the store that is asked where things come from."""

    def step_rows(self, keys: Iterable[StepKey]) -> dict[StepKey, StepRow]:
        """Return what is recorded of steps, whether their products are still there or not."""
        query = f"SELECT key, dataset, step, statement, made, seconds, sof, warnings, {USED} FROM steps WHERE key"
        rows = self._among(query, dict.fromkeys(keys), "key")
        return {StepKey(row[0]): self._step_row_of(*row) for row in rows}

    def _step_row_of(
        self, key: str, dataset: str, step: str, statement: str, made: str, seconds: float, sof: str, warnings: str,
        *used: Any,
    ) -> StepRow:  # fmt: skip
        said, usage = tuple(json.loads(warnings)), read_usage(*used)
        return StepRow(
            StepKey(key), dataset, step, read_statement(statement), made, seconds, self._at(sof), said, usage
        )

    def keys_of_absent(self, present: Collection[str]) -> frozenset[StepKey]:
        """Return the steps of which a file is nowhere at the moment, what was made from them, and all that made it.

        Parameters
        ----------
        present : collection of str
            Names of the files that there are: one with other content than before was replaced, and is not absent.
        """
        rows = self._all("SELECT key, statement FROM steps", ())
        stated = {StepKey(key): read_statement(document) for key, document in rows}
        known = self._all("SELECT path, digest FROM digests", ())
        there = {digest for path, digest in known if self._look(self._at(path))}
        found = {
            key
            for key, statement in stated.items()
            if any(
                is_file(entry) and entry.content not in there and entry.label not in present
                for entry in statement.inputs
            )
        }
        needs = {key: set(steps_in(each)) for key, each in stated.items()}
        while later := {key for key, above in needs.items() if key not in found and above & found}:
            found |= later
        while earlier := {key for step in found for key in needs.get(step, ())} - found:
            found |= earlier
        return frozenset(found)

    def keys_by_content(self, digest: Digest) -> tuple[StepKey, ...]:
        """Return the steps that made a product of this content, the latest first."""
        query = (
            "SELECT DISTINCT key FROM products JOIN steps USING (key) WHERE digest = ? "
            "ORDER BY made DESC, steps.rowid DESC"  # several may be made within a second
        )
        return tuple(StepKey(key) for (key,) in self._all(query, (digest,)))

    def makers_by_content(self, digests: Iterable[Digest]) -> dict[Digest, tuple[StepKey, str]]:
        """Return the step that made a product of each content, the latest of several, and under which category."""
        wanted = sorted(set(digests))
        found: dict[Digest, tuple[StepKey, str]] = {}
        for start in range(0, len(wanted), _VALUES_A_QUERY):
            part = wanted[start : start + _VALUES_A_QUERY]
            query = (
                "SELECT digest, key, category FROM products JOIN steps USING (key) "
                f"WHERE digest IN ({','.join('?' * len(part))}) ORDER BY made, steps.rowid"
            )
            found.update({Digest(digest): (StepKey(key), tag) for digest, key, tag in self._all(query, part)})
        return found

    def keys_by_path(self, path: str) -> tuple[tuple[StepKey, int], ...]:
        """Return the step, and the product's position, that a path was recorded for, as product or as end product."""
        known = (self._relative(path),) * 2
        query = (
            "SELECT key, position FROM products WHERE path = ? UNION SELECT key, position FROM end_products "
            "WHERE path = ?"
        )
        return tuple((StepKey(key), position) for key, position in self._all(query, known))

    def keys_by_name(self, name: str) -> tuple[tuple[StepKey, int], ...]:
        """Return the steps, with the product's position, whose products or end products have a file name."""
        end = "%/" + name.replace("%", r"\%").replace("_", r"\_")
        query = (
            r"SELECT key, position FROM products WHERE path LIKE ? ESCAPE '\' UNION "
            r"SELECT key, position FROM end_products WHERE path LIKE ? ESCAPE '\'"
        )
        return tuple((StepKey(key), position) for key, position in self._all(query, (end, end)))

    def keys_of_step(self, name: str) -> tuple[StepKey, ...]:
        """Return the recorded steps of a name, or of a recipe, the latest first."""
        query = "SELECT key FROM steps WHERE step = ? OR recipe = ? ORDER BY made DESC, rowid DESC"
        return tuple(StepKey(key) for (key,) in self._all(query, (name, name)))

    def delivered_keys(self, dataset: str) -> tuple[StepKey, ...]:
        """Return the steps whose products were delivered as end products of a dataset: the latest of each name."""
        return tuple(keys[-1] for keys in self.deliveries(dataset).values())

    def deliveries(self, dataset: str) -> dict[str, tuple[StepKey, ...]]:
        """Return, by the name of the step, what was ever delivered as end products of a dataset, the latest last."""
        query = (
            "SELECT DISTINCT step, key FROM end_products JOIN steps USING (key) WHERE end_products.dataset = ? "
            "ORDER BY made, steps.rowid"
        )
        found: dict[str, tuple[StepKey, ...]] = {}
        for step, key in self._all(query, (dataset,)):
            found[step] = (*found.get(step, ()), StepKey(key))
        return found

    def delivered_datasets(self) -> tuple[str, ...]:
        """Return the datasets that have end products."""
        return tuple(name for (name,) in self._all("SELECT DISTINCT dataset FROM end_products ORDER BY dataset", ()))

    def delivered_paths(self, key: StepKey) -> dict[str, tuple[tuple[int, str], ...]]:
        """Return the end products made of a step's products, by dataset: position and absolute path."""
        found: dict[str, tuple[tuple[int, str], ...]] = {}
        query = "SELECT dataset, position, path FROM end_products WHERE key = ? ORDER BY dataset, position"
        for dataset, position, path in self._all(query, (key,)):
            found[dataset] = (*found.get(dataset, ()), (position, self._at(path)))
        return found

    def paths_by_content(self, digests: Iterable[Digest]) -> dict[Digest, str]:
        """Return where files of these contents were last seen (absolute paths); those never seen are left out."""
        wanted = sorted(set(digests))
        found: dict[Digest, str] = {}
        for start in range(0, len(wanted), _VALUES_A_QUERY):
            part = wanted[start : start + _VALUES_A_QUERY]
            marks = ",".join("?" * len(part))
            rows = self._all(f"SELECT digest, path FROM digests WHERE digest IN ({marks}) ORDER BY path DESC", part)
            found.update({Digest(digest): self._at(path) for digest, path in rows})
        return found
