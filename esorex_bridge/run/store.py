"""The store: which steps were made, of what, and where their products lie. The only module that speaks SQL.

One SQLite file per data root. A record is written last, in one transaction, when the products lie in their final place:
what is recorded was whole. What is not recorded never happened.
"""

from __future__ import annotations

import json
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from operator import itemgetter
from pathlib import Path
from threading import RLock
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.plan.plan import Plan
from esorex_bridge.run.key import Seal, Statement, StepKey, read_statement
from esorex_bridge.run.ports import ADOPTED, Absent, Product, Record
from esorex_bridge.run.schema import bring_up, is_later
from esorex_bridge.run.summaries import AdoptedStep, RecipeSummary, RunSummary
from esorex_bridge.run.transaction import StoreError, Transaction

_WAIT_SECONDS = 60.0
_VALUES_A_QUERY = 10_000
_MANY = 1000

_KEY_LENGTH = 64


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


class SqliteStore:
    """The store of one data root.

    Parameters
    ----------
    path : Path
        The database file; made with its folder where it is missing.
    root : Path
        The data root. Products below it are remembered relative to it, so that a root that was moved still hits.

    Raises
    ------
    StoreError
        The file is no store, or one of a later version of the bridge.
    """

    def __init__(self, path: Path, root: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._inside = f"{root}/"
        self._lock = RLock()
        self._db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreError(
                f"{path} cannot be read as the bridge's store ({error}); move it away to start anew"
            ) from None

    def _open(self, path: Path) -> None:
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._write():
            version = bring_up(self._db)
        if is_later(version):
            self._db.close()
            raise StoreError(
                f"{path} was written by a later version of esorex-bridge (format {version}); use that version"
            )

    def _write(self) -> Transaction:
        return Transaction(self._db, self._lock, self._path)

    def _one(self, query: str, values: tuple[str, ...]) -> Any:
        with self._lock:
            return self._db.execute(query, values).fetchone()

    def _all(self, query: str, values: Sequence[str]) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _among(self, query: str, values: Iterable[str], order: str) -> Iterator[Any]:
        """Yield the rows of a query that ends in the name of its first column, where that has one of these values.

        `order` begins with that column. Many values are looked for by reading all between the least and the greatest:
        that takes half the time where most of it is wanted, and is given up where it is not.
        """
        listed = sorted(values)
        if len(listed) >= _MANY:
            wanted, most = frozenset(listed), 2 * len(listed)
            ends = listed[0], listed[-1]
            rows = self._all(f"{query} BETWEEN ? AND ? ORDER BY {order} LIMIT {most}", ends)
            rest = len(rows) if len(rows) < most else bisect_left(rows, rows[-1][0], key=itemgetter(0))
            yield from (row for row in rows[:rest] if row[0] in wanted)
            if rest == len(rows):
                return
            listed = listed[bisect_left(listed, rows[rest][0]) :]
        for start in range(0, len(listed), _VALUES_A_QUERY):
            part = listed[start : start + _VALUES_A_QUERY]
            yield from self._all(f"{query} IN ({','.join('?' * len(part))}) ORDER BY {order}", part)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # ----- files

    def stamps(self, files: Iterable[str]) -> dict[str, str]:
        """Return what changes when the content of files does; an empty text where there is no file."""
        return {file: _stamp(file) for file in files}

    def digests(self, files: Iterable[str]) -> dict[str, Digest | DataError]:
        """Return the content digests of files, reading only those that changed; the error where one is damaged."""
        wanted = tuple(dict.fromkeys(files))
        known = self._known_digests(wanted)
        found: dict[str, Digest | DataError] = {}
        fresh: dict[str, Digest] = {}
        for file in wanted:
            stamp, digest = known.get(file, ("", ""))
            if stamp and stamp == _stamp(file):
                found[file] = Digest(digest)
                continue
            try:
                found[file] = fresh[file] = verify_fits(Path(file), checksums=False).digest
            except DataError as error:
                found[file] = error
        self.learn(fresh, verified=False)
        return found

    def read_new(self, files: Iterable[str]) -> None:
        """Read files that are not known, and hold them against their own checksums on the way.

        What is damaged stays unknown: it is told where the file is needed.
        """
        wanted = tuple(dict.fromkeys(files))
        known = self._known_digests(wanted)
        fresh: dict[str, Digest] = {}
        for file in wanted:
            if file not in known or known[file][0] != _stamp(file):
                with suppress(DataError):
                    fresh[file] = verify_fits(Path(file)).digest
        self.learn(fresh)

    def _known_digests(self, files: Iterable[str]) -> dict[str, tuple[str, str]]:
        query = "SELECT path, stamp, digest FROM digests WHERE path"
        return {file: (stamp, digest) for file, stamp, digest in self._among(query, files, "path")}

    def verify(self, files: Iterable[str]) -> None:
        """Hold files against their own CHECKSUM and DATASUM, each once while it does not change.

        Raises
        ------
        DataError
            The data of a file differ from its DATASUM.
        """
        self.learn({file: verify_fits(Path(file)).digest for file in self.unverified(files)})

    def unverified(self, files: Iterable[str]) -> frozenset[str]:
        """Return the files that were not held against their own checksums since they changed."""
        wanted = frozenset(files)
        done = dict(self._among("SELECT path, stamp FROM digests WHERE verified AND path", wanted, "path"))
        return frozenset(file for file in wanted if file not in done or done[file] != _stamp(file))

    def learn(self, digests: Mapping[str, Digest], verified: bool = True) -> None:
        """Remember digests, and whether the files were held against their own checksums."""
        if digests:
            with self._write():
                self._learn(digests, verified)

    def _learn(self, digests: Mapping[str, Digest], verified: bool = True) -> None:
        rows = [(file, stamp, digest, verified) for file, digest in digests.items() if (stamp := _stamp(file))]
        self._db.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)

    # ----- recipes

    def known_recipe(self, plugin: Path) -> tuple[Digest, str] | None:
        """Return the digest and the parameters (JSON) of a plugin, where it is the file that was looked at."""
        row = self._one("SELECT stamp, digest, parameters FROM recipes WHERE plugin = ?", (str(plugin),))
        return (Digest(row[1]), row[2]) if row is not None and row[0] == _stamp(plugin) else None

    def learn_recipe(self, plugin: Path, digest: Digest, parameters: str) -> None:
        """Remember the digest and the parameters (JSON) of a plugin."""
        with self._write():
            self._db.execute(
                "INSERT OR REPLACE INTO recipes VALUES (?, ?, ?, ?)", (str(plugin), _stamp(plugin), digest, parameters)
            )

    # ----- keys

    def keys_foreseen(self, seals: Iterable[Seal]) -> dict[Seal, tuple[StepKey, ...]]:
        """Return the keys of the steps of plans, in their order, as far as they were worked out under these seals."""
        rows = self._among("SELECT seal, keys FROM foreseen WHERE seal", seals, "seal")
        return {Seal(seal): _keys_in(keys) for seal, keys in rows}

    def never_foreseen(self, plans: Iterable[Plan]) -> tuple[Plan, ...]:
        """Return the plans whose keys were never worked out, under whatever seal."""
        listed = tuple(plans)
        query = "SELECT dataset, workflow FROM foreseen WHERE dataset"
        known = set(self._among(query, {plan.dataset for plan in listed}, "dataset"))
        return tuple(plan for plan in listed if (plan.dataset, plan.workflow) not in known)

    def learn_keys(self, foreseen: Iterable[tuple[Plan, Seal, Iterable[StepKey]]]) -> None:
        """Remember the keys of the steps of plans (plan, seal, keys), the last ones of each plan."""
        rows = [
            (plan.dataset, plan.workflow, seal, bytes.fromhex("".join(keys))) for plan, seal, keys in foreseen
        ]
        if rows:
            with self._write():
                self._db.executemany("INSERT OR REPLACE INTO foreseen VALUES (?, ?, ?, ?)", rows)

    # ----- steps

    def find(self, key: StepKey) -> Record | Absent:
        """Return the record of a key with its products whole and in place, or why there is none."""
        return self.find_all((key,))[key]

    def find_all(self, keys: Iterable[StepKey]) -> dict[StepKey, Record | Absent]:
        """Return for each key its record with the products whole and in place, or why there is none.

        Sizes are compared first, then digests; the digest of a file that was not touched since is not taken again.
        """
        wanted = tuple(dict.fromkeys(keys))
        query = "SELECT key, seconds, made, sof, warnings FROM steps INDEXED BY steps_found WHERE key"
        steps = tuple(self._among(query, wanted, "key"))
        made: dict[str, list[Product]] = {row[0]: [] for row in steps}
        doubtful: list[_Doubtful] = []
        query = "SELECT key, position, path, category, digest, size_bytes, stamp FROM products WHERE key"
        for key, position, path, category, digest, size, known in self._among(query, made, "key, position"):
            product = Product(self._at(path), category, digest, size)
            made[key].append(product)
            if known != (stamp := _stamp(product.file)):
                doubtful.append(_Doubtful(key, position, product, stamp))
        problems = self._problems(doubtful) if doubtful else {}
        found: dict[StepKey, Record | Absent] = dict.fromkeys(wanted, Absent())
        for key, seconds, date, sof, warnings in steps:
            lost = [problems[product.file] for product in made[key] if product.file in problems] if problems else []
            told = () if warnings == "[]" else tuple(json.loads(warnings))
            record = Record(key, tuple(made[key]), seconds, date, self._at(sof), told)
            found[key] = Absent(lost[0]) if lost else record
        return found

    def _problems(self, doubtful: Sequence[_Doubtful]) -> dict[str, str]:
        """Return what is wrong with doubtful products, by file, and remember what the whole ones look like."""
        digests = self.digests(each.product.file for each in doubtful if each.is_size)
        problems: dict[str, str] = {}
        whole: list[tuple[str, str, int]] = []
        for each in doubtful:
            product = each.product
            if problem := each.problem(digests.get(product.file)):
                problems[product.file] = f"product {product.category} ({product.path.name}) {problem}"
            else:
                whole.append((each.stamp, each.key, each.position))
        if whole:
            with self._write():
                self._db.executemany("UPDATE products SET stamp = ? WHERE key = ? AND position = ?", whole)
        return problems

    def expected_seconds(self, recipe: str) -> float | None:
        """Return how long a recipe took on the average of its last runs; None where it never ran."""
        query = "SELECT avg(seconds) FROM (SELECT seconds FROM steps WHERE recipe = ? ORDER BY made DESC LIMIT 10)"
        found = self._one(query, (recipe,))[0]
        return None if found is None else float(found)

    def nearest(self, statement: Statement) -> Statement | None:
        """Return the recorded statement of the same recipe that shares most with this one; the latest of equals."""
        rows = self._all(
            "SELECT statement FROM steps WHERE recipe = ? ORDER BY made DESC LIMIT 200", (statement.recipe,)
        )
        mine = _features(statement)
        candidates = [read_statement(document) for (document,) in rows]
        best = max(candidates, key=lambda other: len(mine & _features(other)), default=None)
        labels = {entry.label for entry in statement.inputs}
        return best if best and labels & {entry.label for entry in best.inputs} else None

    def record(self, record: Record, statement: Statement, dataset: str, step: str) -> None:
        """Remember a finished step, in one transaction."""
        self.record_all(((record, statement, dataset, step),))

    def record_all(self, made: Iterable[tuple[Record, Statement, str, str]]) -> None:
        """Remember finished steps (record, statement, dataset, step), in one transaction."""
        listed = tuple(made)
        with self._write():
            self._db.executemany("DELETE FROM steps WHERE key = ?", [(record.key,) for record, *_ in listed])
            self._db.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(self._step_row, listed))
            self._db.executemany(
                "INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?)",
                [row for record, *_ in listed for row in self._product_rows(record)],
            )

    def _step_row(self, made: tuple[Record, Statement, str, str]) -> tuple[str | float, ...]:
        record, statement, dataset, step = made
        sof, warnings = self._relative(record.sof_file), json.dumps(record.warnings)
        head = (record.key, statement.recipe, dataset, step, statement.document())
        return (*head, record.made, record.seconds, sof, warnings)

    def _product_rows(self, record: Record) -> Iterator[tuple[str | int, ...]]:
        for position, made in enumerate(record.products):
            file, stamp = self._relative(made.file), _stamp(made.file)
            yield record.key, position, file, made.category, made.digest, made.size_bytes, stamp

    # ----- end products

    def end_products(self, dataset: str, key: StepKey) -> tuple[Path, ...]:
        """Return the end products that a dataset got of a key, in the order of the key's products."""
        rows = self._all(
            "SELECT path FROM end_products WHERE dataset = ? AND key = ? ORDER BY position", (dataset, key)
        )
        return tuple(Path(self._at(path)) for (path,) in rows)

    def record_end_products(self, dataset: str, key: StepKey, ends: Mapping[Path, Digest]) -> None:
        """Remember the end products that a dataset got of a key, in the order of the key's products."""
        with self._write():
            self._learn({str(path): digest for path, digest in ends.items()})
            self._db.execute("DELETE FROM end_products WHERE dataset = ? AND key = ?", (dataset, key))
            self._db.executemany(
                "INSERT INTO end_products VALUES (?, ?, ?, ?)",
                [(dataset, key, position, self._relative(str(path))) for position, path in enumerate(ends)],
            )

    # ----- the history

    def log_run(self, run: RunSummary) -> None:
        """Remember what a whole run came to."""
        with self._write():
            self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", astuple(run))

    def runs(self) -> tuple[RunSummary, ...]:
        """Return what earlier runs came to, the latest last."""
        return tuple(RunSummary(*row) for row in self._all("SELECT * FROM runs ORDER BY started", ()))

    def recipes_made(self) -> tuple[RecipeSummary, ...]:
        """Return how often each recipe is recorded, how long it took in all, and how much its products hold."""
        rows = self._all(
            "SELECT recipe, count(*), sum(seconds), max(made),"
            " (SELECT sum(size_bytes) FROM products JOIN steps AS s USING (key) WHERE s.recipe = steps.recipe)"
            " FROM steps GROUP BY recipe ORDER BY recipe",
            (),
        )
        return tuple(RecipeSummary(*row) for row in rows)

    def has_adopted(self) -> bool:
        """Tell whether a history that Reflex made was adopted."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM steps WHERE instr(warnings, ?))", (ADOPTED,))[0])

    def adopted(self) -> tuple[AdoptedStep, ...]:
        """Return the steps that were taken over from a history of Reflex, in the order in which they were made."""
        rows = self._all("SELECT recipe, step, made, sof FROM steps WHERE instr(warnings, ?) ORDER BY made", (ADOPTED,))
        return tuple(AdoptedStep(recipe, step, made, Path(self._at(sof))) for recipe, step, made, sof in rows)

    def adopted_keys(self) -> tuple[StepKey, ...]:
        """Return the keys of the steps that were taken over from a history of Reflex."""
        rows = self._all("SELECT key FROM steps WHERE instr(warnings, ?)", (ADOPTED,))
        return tuple(StepKey(key) for (key,) in rows)

    def all_keys(self) -> tuple[StepKey, ...]:
        """Return the keys of all recorded steps."""
        return tuple(StepKey(key) for (key,) in self._all("SELECT key FROM steps ORDER BY made", ()))

    def products(self, key: StepKey) -> tuple[Product, ...]:
        """Return the products of a recorded step, whether they are there or not."""
        rows = self._all(
            "SELECT path, category, digest, size_bytes FROM products WHERE key = ? ORDER BY position", (key,)
        )
        return tuple(Product(self._at(path), tag, Digest(digest), size) for path, tag, digest, size in rows)

    def places(self, key: StepKey) -> tuple[Path, ...]:
        """Return the folders that a recorded step has: where it ran, and where its products lie."""
        sofs = self._all("SELECT sof FROM steps WHERE key = ?", (key,))
        products = self._all("SELECT path FROM products WHERE key = ?", (key,))
        return tuple(dict.fromkeys(Path(self._at(path)).parent for (path,) in (*sofs, *products)))

    def known_files(self) -> dict[str, tuple[str, str]]:
        """Return what files that are there, products excepted, looked like when they were read, and their digests."""
        products = {self._at(path) for (path,) in self._all("SELECT path FROM products", ())}
        rows = self._all("SELECT path, stamp, digest FROM digests ORDER BY path", ())
        return {file: (stamp, digest) for file, stamp, digest in rows if file not in products and _stamp(file)}

    def doubt_all(self, fresh: Mapping[str, Digest]) -> None:
        """Forget what all files look like and contain, and the keys that follow from it, but for what was read anew."""
        with self._write():
            self._db.execute("DELETE FROM foreseen")
            self._db.execute("UPDATE products SET stamp = ''")
            self._db.execute("DELETE FROM digests")
            self._learn(fresh)

    def forget(self, keys: Iterable[StepKey]) -> None:
        """Forget recorded steps; their files are the caller's business."""
        with self._write():
            self._db.executemany("DELETE FROM steps WHERE key = ?", [(key,) for key in keys])

    def _at(self, path: str) -> str:
        """Return where a path of the store lies."""
        return path if path.startswith("/") else f"{self._inside}{path}"

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._inside)


def _stamp(path: str | Path) -> str:
    """Return what changes when a file's content does, its size first; empty where there is no file."""
    try:
        state = os.stat(path)  # noqa: PTH116  (ten thousand times in a no-op: a Path costs more than the call)
    except OSError:
        return ""
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"


def _keys_in(joined: bytes) -> tuple[StepKey, ...]:
    digits = joined.hex()
    return tuple(StepKey(digits[at : at + _KEY_LENGTH]) for at in range(0, len(digits), _KEY_LENGTH))


def _features(statement: Statement) -> set[tuple[str, str]]:
    contents = {("content", entry.content) for entry in statement.inputs}
    labels = {("label", entry.label) for entry in statement.inputs}
    return contents | labels | set(statement.parameters)


def open_store(path: Path, root: Path) -> closing[SqliteStore]:
    """Open a store for a `with` statement."""
    return closing(SqliteStore(path, root))
