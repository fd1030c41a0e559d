"""The store: which steps were made, of what, and where their products lie.

One SQLite file per data root. A record is written last, in one transaction, when the products lie in their final place:
what is recorded was whole. What is not recorded never happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from msgspec.structs import astuple

from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import Plan, StepName
from esorex_bridge.reuse.key import Fingerprint, Statement, StepKey, read_statement
from esorex_bridge.reuse.record import Absent, Product, Record
from esorex_bridge.store.file_digests import FileDigests
from esorex_bridge.store.lookup import Lookup
from esorex_bridge.store.summaries import USED, History, read_usage

_KEY_LENGTH = 64
_STEP_COLUMNS = 12


class _Doubtful(Struct, frozen=True):
    """A product that looks other than when it was last known to be whole, and what it looks like now."""

    key: str
    position: int
    product: Product
    stamp: str

    @property
    def is_size(self) -> bool:
        """Whether it is there and as long as it should be."""
        return self.stamp.partition(":")[0] == str(self.product.size_bytes)

    def problem(self, digest: Digest | DataError | None) -> str:
        """Return what is wrong with it, given its digest now; empty where nothing is."""
        if not self.stamp:
            return "is missing"
        if not self.is_size:
            return f"is damaged: {self.stamp.partition(':')[0]} bytes instead of {self.product.size_bytes}"
        if isinstance(digest, DataError):
            return f"is damaged: {digest}"
        return "" if digest == self.product.digest else "is damaged: its sha256 differs"


class RecordedStep(Struct, frozen=True):
    """A step that was made before.

    Parameters
    ----------
    record : Record
        Its products, whole and in place.
    recipe : str
        Its recipe.
    step : StepName
        What it was called in its plan.
    """

    record: Record
    recipe: str
    step: StepName


class SqliteStore(FileDigests, History, Lookup):
    """The store of one data root; parameters and errors as `Database`."""

    # ----- keys

    def keys_by_fingerprint(self, fingerprints: Iterable[Fingerprint]) -> dict[Fingerprint, tuple[StepKey, ...]]:
        """Return the keys of the steps of plans, in their order, as far as they were worked out under these seals."""
        rows = self._among("SELECT seal, keys FROM foreseen WHERE seal", fingerprints, "seal")
        return {Fingerprint(fingerprint): _keys_in(keys) for fingerprint, keys in rows}

    def without_keys(self, plans: Iterable[Plan]) -> tuple[Plan, ...]:
        """Return the plans whose keys were never worked out, under whatever seal."""
        listed = tuple(plans)
        query = "SELECT dataset, workflow FROM foreseen WHERE dataset"
        known = set(self._among(query, {plan.dataset for plan in listed}, "dataset"))
        return tuple(plan for plan in listed if (plan.dataset, plan.workflow) not in known)

    def learn_keys(self, foreseen: Iterable[tuple[Plan, Fingerprint, Iterable[StepKey]]]) -> None:
        """Remember the keys of the steps of plans (plan, seal, keys), the last ones of each plan."""
        rows = [
            (plan.dataset, plan.workflow, fingerprint, bytes.fromhex("".join(keys)))
            for plan, fingerprint, keys in foreseen
        ]
        if rows:
            self._remember("INSERT OR REPLACE INTO foreseen VALUES (?, ?, ?, ?)", rows)

    # ----- steps

    def find(self, key: StepKey) -> Record | Absent:
        """Return the record of a key with its products whole and in place, or why there is none."""
        return self.find_all((key,))[key]

    def find_all(self, keys: Iterable[StepKey]) -> dict[StepKey, Record | Absent]:
        """Return for each key its record with the products whole and in place, or why there is none.

        Sizes are compared first, then digests; the digest of a file that was not touched since is not taken again.
        """
        wanted = tuple(dict.fromkeys(keys))
        query = f"SELECT key, seconds, made, sof, warnings, {USED} FROM steps INDEXED BY steps_found WHERE key"
        steps = self._among(query, wanted, "key")
        made: dict[str, tuple[Product, ...]] = dict.fromkeys((row[0] for row in steps), ())
        doubtful: list[_Doubtful] = []
        look, inside = self._look, self._inside
        query = "SELECT key, position, path, category, digest, size_bytes, stamp FROM products WHERE key"
        for key, position, path, category, digest, size, known in self._among(query, made, "key, position"):
            file = path if path.startswith("/") else inside + path  # as _at, without ten thousand calls
            product = Product(file, category, digest, size)
            made[key] += (product,)
            if known != (stamp := look(file)) or not stamp:
                doubtful.append(_Doubtful(key, position, product, stamp))
        problems = self._problems(doubtful) if doubtful else {}
        found: dict[StepKey, Record | Absent] = dict.fromkeys(wanted, Absent())
        for key, seconds, date, sof, warnings, *used in steps:
            lost = [problems[product.file] for product in made[key] if product.file in problems] if problems else []
            told = () if warnings == "[]" else tuple(json.loads(warnings))
            place = sof if sof.startswith("/") else inside + sof
            record = Record(key, made[key], seconds, date, place, told, read_usage(*used))
            found[key] = Absent(lost[0]) if lost else record
        return found

    def _problems(self, doubtful: Sequence[_Doubtful]) -> dict[str, str]:
        """Return what is wrong with doubtful products, by file, and remember what the whole ones look like."""
        files = tuple(each.product.file for each in doubtful if each.is_size)
        digests = self.digests(files, known=True)
        trusted = self._known_digests(files)
        problems: dict[str, str] = {}
        whole: list[tuple[str, str, int]] = []
        for each in doubtful:
            product = each.product
            if problem := each.problem(digests.get(product.file)):
                problems[product.file] = f"product {product.category} ({product.path.name}) {problem}"
            elif trusted.get(product.file, ("",))[0] == each.stamp:
                whole.append((each.stamp, each.key, each.position))
        if whole:
            self._remember("UPDATE products SET stamp = ? WHERE key = ? AND position = ?", whole)
        return problems

    def latest(self, recipe: str = "", most: int = 10) -> tuple[Record, ...]:
        """Return the last records of a recipe, or of all, as they stand; nobody looks whether their products are."""
        rows = self._all(
            "SELECT key, seconds, made, sof FROM steps WHERE recipe = ? OR ? = '' "
            f"ORDER BY made DESC, rowid DESC LIMIT {most}",
            (recipe, recipe),
        )
        return tuple(Record(key, self.products(key), seconds, made, self._at(sof)) for key, seconds, made, sof in rows)

    def nearest(self, statement: Statement) -> Statement | None:
        """Return the recorded statement of the same recipe that shares most with this one; the latest of equals."""
        rows = self._all(
            "SELECT statement FROM steps WHERE recipe = ? ORDER BY made DESC, rowid DESC LIMIT 200", (statement.recipe,)
        )
        mine = _features(statement)
        candidates = [read_statement(document) for (document,) in rows]
        best = max(candidates, key=lambda other: len(mine & _features(other)), default=None)
        sources = {entry.source for entry in statement.inputs}
        return best if best and sources & {entry.source for entry in best.inputs} else None

    def record(self, record: Record, statement: Statement, dataset: str, step: str) -> None:
        """Remember a finished step, in one transaction."""
        self.record_all(((record, statement, dataset, step),))

    def record_all(self, made: Iterable[tuple[Record, Statement, str, str]]) -> None:
        """Remember finished steps (record, statement, dataset, step), in one transaction."""
        listed = tuple(made)
        with self._write():
            self._db.executemany("DELETE FROM steps WHERE key = ?", [(record.key,) for record, *_ in listed])
            marks = ", ".join("?" * _STEP_COLUMNS)
            self._db.executemany(f"INSERT INTO steps VALUES ({marks})", map(self._step_row, listed))
            self._learn_recorded_runs((record, statement) for record, statement, *_ in listed)
            self._db.executemany(
                "INSERT INTO products (key, position, path, category, digest, size_bytes, stamp) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [row for record, *_ in listed for row in self._product_rows(record)],
            )

    def _step_row(self, made: tuple[Record, Statement, str, str]) -> tuple[str | float | None, ...]:
        record, statement, dataset, step = made
        sof, warnings = self._relative(record.sof_file), json.dumps(record.warnings)
        head = (record.key, statement.recipe, dataset, step, statement.document())
        used = astuple(record.usage) if record.usage is not None else (None, None, None)
        return (*head, record.made, record.seconds, sof, warnings, *used)

    def _product_rows(self, record: Record) -> Iterator[tuple[str | int, ...]]:
        for position, made in enumerate(record.products):
            stamp = self._strip_stamp(made.stamp)
            yield record.key, position, self._relative(made.file), made.category, made.digest, made.size_bytes, stamp

    # ----- records of version 0.1.0

    def has_older(self) -> bool:
        """Tell whether there are records of version 0.1.0, whose statements have no libraries."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM older_steps)", ())[0])

    def take_over(self, older: StepKey, record: Record, statement: Statement) -> None:
        """Put a record of version 0.1.0 under the key that it has now, with its products and end products."""
        with self._write():
            self._db.execute("DELETE FROM steps WHERE key = ?", (record.key,))
            columns = f"recipe, dataset, step, ?, made, seconds, sof, ?, {USED}"
            self._db.execute(
                f"INSERT INTO steps SELECT ?, {columns} FROM steps WHERE key = ?",
                (record.key, statement.document(), json.dumps(record.warnings), older),
            )
            for table in ("products", "end_products"):
                self._db.execute(f"UPDATE OR REPLACE {table} SET key = ? WHERE key = ?", (record.key, older))
            for table in ("steps", "older_steps"):
                self._db.execute(f"DELETE FROM {table} WHERE key = ?", (older,))

    # ----- end products

    def end_products(self, datasets: Iterable[str]) -> dict[tuple[str, StepKey], list[str]]:
        """Return the end products that datasets got, by dataset and key, in the order of the key's products."""
        query = "SELECT dataset, key, path FROM end_products WHERE dataset"
        found: dict[tuple[str, StepKey], list[str]] = {}
        for dataset, key, path in self._among(query, set(datasets), "dataset, key, position"):
            found.setdefault((dataset, key), []).append(self._at(path))
        return found

    def record_end_products(self, ends: Iterable[tuple[str, StepKey, Mapping[Path, Reading]]]) -> None:
        """Remember the end products that datasets got of keys, each in the order of the key's products."""
        listed = tuple(ends)
        self.learn({str(path): reading for _, _, each in listed for path, reading in each.items()}, verified=False)
        rows = [
            (dataset, key, position, self._relative(str(path)))
            for dataset, key, each in listed
            for position, path in enumerate(each)
        ]
        with self._write():
            self._db.executemany(
                "DELETE FROM end_products WHERE dataset = ? AND key = ?", [each[:2] for each in listed]
            )
            self._db.executemany("INSERT INTO end_products VALUES (?, ?, ?, ?)", rows)

    # ----- all of it

    def all_keys(self) -> tuple[StepKey, ...]:
        """Return the keys of all recorded steps."""
        return tuple(StepKey(key) for (key,) in self._all("SELECT key FROM steps ORDER BY made, rowid", ()))

    def all_products(self) -> tuple[tuple[str, Digest], ...]:
        """Return path and digest of every product that is recorded and was not given back."""
        rows = self._all("SELECT path, digest FROM products WHERE NOT given_back ORDER BY path", ())
        return tuple((self._at(path), Digest(digest)) for path, digest in rows)

    def trust_products(self, whole: Mapping[str, Reading]) -> None:
        """Remember what products looked like that were just found whole."""
        rows = [(self._strip_stamp(reading.stamp), self._relative(file)) for file, reading in whole.items()]
        self._remember("UPDATE products SET stamp = ? WHERE path = ?", rows)

    def all_end_products(self) -> tuple[tuple[str, Digest], ...]:
        """Return path of every end product, and digest of the product that it is a copy of."""
        query = "SELECT e.path, p.digest FROM end_products AS e JOIN products AS p USING (key, position) ORDER BY 1"
        return tuple((self._at(path), Digest(digest)) for path, digest in self._all(query, ()))

    def products(self, key: StepKey) -> tuple[Product, ...]:
        """Return the products of a recorded step, whether they are there or not."""
        rows = self._all(
            "SELECT path, category, digest, size_bytes FROM products WHERE key = ? ORDER BY position", (key,)
        )
        return tuple(Product(self._at(path), tag, Digest(digest), size) for path, tag, digest, size in rows)

    def makers(self, files: Iterable[str]) -> dict[str, RecordedStep]:
        """Return the steps that made files, as long as all that they made is unchanged."""
        wanted = {self._relative(file): file for file in files}
        query = "SELECT path, key, recipe, step FROM products JOIN steps USING (key) WHERE path"
        rows = tuple(self._among(query, wanted, "path"))
        whole = self.find_all(StepKey(key) for _, key, _, _ in rows)
        return {
            wanted[path]: RecordedStep(record, recipe, StepName(step))
            for path, key, recipe, step in rows
            if isinstance(record := whole[StepKey(key)], Record)
        }

    def places(self, key: StepKey) -> tuple[Path, ...]:
        """Return the folders that a recorded step has: where it ran, and where its products lie."""
        sofs = self._all("SELECT sof FROM steps WHERE key = ?", (key,))
        products = self._all("SELECT path FROM products WHERE key = ?", (key,))
        return tuple(dict.fromkeys(Path(self._at(path)).parent for (path,) in (*sofs, *products)))

    def give_back(self, key: StepKey, ends: Sequence[Path]) -> None:
        """Remember that a step's products go: that end products stand for them, in their order, or else nothing."""
        with self._write():
            self._db.execute("UPDATE products SET given_back = ? WHERE key = ?", (not ends, key))
            self._db.executemany(
                "UPDATE products SET path = ?, stamp = '' WHERE key = ? AND position = ?",
                [(self._relative(str(end)), key, position) for position, end in enumerate(ends)],
            )

    def forget(self, keys: Iterable[StepKey]) -> None:
        """Forget recorded steps; their files are the caller's business."""
        with self._write():
            self._db.executemany("DELETE FROM steps WHERE key = ?", [(key,) for key in keys])


def _keys_in(joined: bytes) -> tuple[StepKey, ...]:
    digits = joined.hex()
    return tuple(StepKey(digits[at : at + _KEY_LENGTH]) for at in range(0, len(digits), _KEY_LENGTH))


def _features(statement: Statement) -> set[tuple[str, str]]:
    contents = {("content", entry.content) for entry in statement.inputs}
    labels = {("label", entry.label) for entry in statement.inputs}
    return contents | labels | set(statement.parameters)


def open_store(path: Path, root: Path, trust_ctime: bool = True) -> closing[SqliteStore]:
    """Open a store for a `with` statement."""
    return closing(SqliteStore(path, root, trust_ctime))
