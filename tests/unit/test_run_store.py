"""The store: what it knows of files, keys and products, and when it looks again."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import ParameterSchema, ParameterSetting
from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import DataError
from esorex_bridge.esorex.recipe import Recipe, Usage, pass_over
from esorex_bridge.files import Digest
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepName
from esorex_bridge.reuse.key import Fingerprint, StepKey
from esorex_bridge.reuse.record import Absent, Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan, Unresolvable
from esorex_bridge.run.engine import Engine
from esorex_bridge.store import schema
from esorex_bridge.store.audit import audit
from esorex_bridge.store.step_store import SqliteStore, open_store
from esorex_bridge.store.summaries import KEPT_RUNS
from esorex_bridge.store.transaction import StoreError
from esorex_bridge.workspace.folders import Workspace
from tests.tiny_fits import write_night

DARK, FLAT, SCIENCE = (StepName(name) for name in ("dark_1", "flat_1", "science_1"))
PARAMETERS = (ParameterSchema("toy.r", "r", "int", 4), ParameterSchema("toy.table", "table", "string", ""))


class Recipes:
    """Knows one recipe."""

    def __init__(self) -> None:
        self.recipe = Recipe("toy", Path("/toy.so"), "toy/1.0", Digest("sha256:0"), PARAMETERS)

    def recipes(self, names: Iterable[str], asking: Callable[[], None] = pass_over) -> dict[str, Recipe]:
        return dict.fromkeys(names, self.recipe)


class Night:
    """A cascade of three steps on tiny frames, and its store."""

    def __init__(self, root: Path, store: SqliteStore) -> None:
        self.root, self.store, self.runner = root, store, Recipes()
        names = ("dark", "flat", "science")
        write_night(root, {name: {"EXPTIME": number} for number, name in enumerate(names)})
        self.plan = Plan(
            "night", "toy",
            (
                self._step(DARK), self._step(FLAT, DARK), replace(self._step(SCIENCE, DARK, FLAT), target=True),
            ),
        )  # fmt: skip

    def file(self, name: StepName) -> Path:
        return self.root / f"{name.removesuffix('_1')}.fits"

    def _step(self, name: StepName, *needs: StepName) -> Step:
        raw = FileInput(name, str(self.file(name)), "RAW")
        inputs = (raw, *(ProductInput(need, "MASTER", "MASTER") for need in needs))
        return Step(name, name, "toy", inputs, (), ("MASTER",), Purpose("P"))

    def set(self, name: str, value: int | str) -> None:
        """Give the flat's recipe a parameter."""
        dark, flat, science = self.plan.steps
        flat = replace(flat, settings=(ParameterSetting("toy", name, value, "--set"),))
        self.plan = replace(self.plan, steps=(dark, flat, science))

    def look(self) -> ResolvedPlan:
        dataset = Dataset("night", "TOY", Action("night", ()))
        engine = Engine(self.runner, self.store, Workspace(self.root))  # type: ignore[arg-type]
        (ahead,) = engine.resolve(((dataset, self.plan),))
        assert not isinstance(ahead, Unresolvable), ahead.reason
        return ahead

    def changed(self, before: ResolvedPlan) -> set[StepName]:
        """Return the steps whose key is another one than before, and hold the keys against their statements."""
        now = self.look()
        assert {name: statement.key() for name, statement in now.stated.items()} == now.keys
        return {name for name, key in now.keys.items() if key != before.keys[name]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with open_store(tmp_path / "books" / "store.db", tmp_path) as opened:
        yield opened


@pytest.fixture
def night(tmp_path: Path, store: SqliteStore) -> Night:
    return Night(tmp_path, store)


def edited(path: Path) -> bytes:
    """Return the content of a product with another keyword in it."""
    return path.read_bytes().replace(b"EXPTIME", b"EXPTIMF")


def edit_unseen(path: Path) -> None:
    """Edit a product so that nothing but its content tells: size, time and inode stay."""
    state, content = path.stat(), edited(path)
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


# ----- keys


def test_keys_are_known_without_a_look_at_digests_while_nothing_changes(night: Night, store: SqliteStore) -> None:
    before = night.look()
    store._db.execute("UPDATE digests SET digest = 'sha256:wrong'")
    assert night.look().keys == before.keys


def test_files_of_a_new_plan_are_read_once_and_held_against_their_checksums(night: Night, store: SqliteStore) -> None:
    damaged = night.file(FLAT)
    fits.PrimaryHDU(np.zeros((10, 10), np.int16)).writeto(damaged, checksum=True, overwrite=True)
    content = bytearray(damaged.read_bytes())
    content[2880] ^= 1
    damaged.write_bytes(content)
    night.look()
    files = [str(night.file(name)) for name in (DARK, FLAT, SCIENCE)]
    assert store.find_unverified(files) == {str(damaged)}
    with pytest.raises(DataError, match="DATASUM"):
        store.verify(files)


def test_keys_follow_the_content_of_files(night: Night) -> None:
    before = night.look()
    assert night.changed(before) == set()
    os.utime(night.file(FLAT), ns=(1, 1))
    assert night.changed(before) == set()
    night.file(FLAT).write_bytes(night.file(SCIENCE).read_bytes())
    assert night.changed(before) == {FLAT, SCIENCE}
    night.file(DARK).write_bytes(night.file(SCIENCE).read_bytes())
    assert night.changed(before) == {DARK, FLAT, SCIENCE}


def test_keys_follow_parameters_and_the_files_they_name(night: Night) -> None:
    before = night.look()
    night.set("r", 8)
    assert night.changed(before) == {FLAT, SCIENCE}
    night.set("r", 4)
    assert night.changed(before) == set()
    table = night.root / "table.txt"
    table.write_text("1 2 3")
    night.set("table", str(table))
    named = night.look()
    table.write_text("1 2 4")
    assert night.changed(named) == {FLAT, SCIENCE}


def test_keys_follow_the_pipeline(night: Night) -> None:
    before = night.look()
    night.runner.recipe = replace(night.runner.recipe, plugin=Digest("sha256:1"))
    assert night.changed(before) == {DARK, FLAT, SCIENCE}


def test_keys_follow_the_order_and_the_tags_of_inputs(night: Night) -> None:
    before = night.look()
    dark, flat, science = night.plan.steps
    night.plan = replace(night.plan, steps=(dark, flat, replace(science, inputs=science.inputs[::-1])))
    assert night.changed(before) == {SCIENCE}


def test_a_plan_whose_file_went_is_held_up(night: Night, store: SqliteStore) -> None:
    night.look()
    night.file(FLAT).unlink()
    dataset = Dataset("night", "TOY", Action("night", ()))
    engine = Engine(night.runner, store, Workspace(night.root))  # type: ignore[arg-type]
    (ahead,) = engine.resolve(((dataset, night.plan),))
    assert isinstance(ahead, Unresolvable)
    assert "flat.fits" in ahead.reason


def test_a_statement_that_is_wanted_of_a_file_that_went_says_so(night: Night) -> None:
    night.look()
    ahead = night.look()
    night.file(FLAT).unlink()
    with pytest.raises(DataError, match=r"flat\.fits"):
        ahead.stated[DARK]


# ----- products


@pytest.fixture
def made(night: Night) -> tuple[Record, Path]:
    """A recorded step with one product."""
    return make_dark(night)


def make_dark(night: Night) -> tuple[Record, Path]:
    path = night.root / "products" / "master.fits"
    write_night(path.parent, {"master": {"EXPTIME": 1.0}})
    product = Product(str(path), "MASTER", verify_fits(path).digest, path.stat().st_size)
    ahead = night.look()
    record = Record(ahead.keys[DARK], (product,), 1.0, "2026-01-01T00:00:00Z", str(night.root / "data.sof"), ("odd",))
    night.store.record(record, ahead.stated[DARK], "night", DARK)
    return record, path


def test_a_recorded_step_is_found_as_it_was_recorded(made: tuple[Record, Path], store: SqliteStore) -> None:
    assert store.find(made[0].key) == made[0]
    assert store.find(StepKey("0" * 64)) == Absent()


@pytest.mark.parametrize("keys", [("a", "b"), ("b", "a")])
def test_of_two_steps_that_were_made_within_a_second_the_one_recorded_last_is_the_latest(
    keys: tuple[str, str], night: Night
) -> None:
    record, path = make_dark(night)
    statement, reading = night.look().stated[DARK], {path: Reading(record.products[0].digest, "")}
    night.store.forget([record.key])
    both = [StepKey(letter * 64) for letter in keys]
    for key in both:
        night.store.record(replace(record, key=key), statement, "night", DARK)
        night.store.record_end_products([("night", key, reading)])
    assert night.store.delivered_keys("night") == (both[1],)
    assert night.store.keys_of_step(DARK) == tuple(both[::-1])
    assert night.store.keys_by_content(record.products[0].digest) == tuple(both[::-1])
    assert night.store.makers_by_content([record.products[0].digest])[record.products[0].digest][0] == both[1]


def test_what_a_step_took_is_recorded_with_it_and_remembered_without_it(night: Night, tmp_path: Path) -> None:
    record, _ = make_dark(night)
    used = replace(record, usage=Usage(1.5, 300 << 20, 5760))
    statement = night.look().stated[DARK]
    for _ in range(KEPT_RUNS + 5):
        night.store.record(used, statement, "night", DARK)
    assert night.store.find(record.key) == used
    assert night.store.step_rows([record.key])[record.key].usage == used.usage
    night.store.learn_failed_run("toy", statement.pipeline, 0.1, "killed", Usage(0.0, 400 << 20, 5760))
    night.store.forget([record.key])
    kept = night.store.measured_runs("toy", statement.pipeline)
    assert len(kept) == KEPT_RUNS
    assert kept[0] == (1.0, "done", used.usage)
    assert kept[-1] == (0.1, "killed", Usage(0.0, 400 << 20, 5760))
    assert night.store.measured_runs("toy", "toy/2.0") == []


def test_a_product_that_was_touched_is_looked_at_once(made: tuple[Record, Path], store: SqliteStore) -> None:
    record, path = made
    os.utime(path, ns=(5, 5))
    assert store.find(record.key) == record
    store._db.execute("UPDATE digests SET digest = 'sha256:wrong'")
    assert store.find(record.key) == record


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:2880] * 3), "bytes instead of"),
        (lambda path: path.write_bytes(edited(path)), "its sha256 differs"),
    ],
    ids=["missing", "longer", "edited"],
)
def test_a_product_that_was_harmed_is_noticed(
    made: tuple[Record, Path], store: SqliteStore, harm: object, said: str
) -> None:
    record, path = made
    harm(path)  # type: ignore[operator]
    for _ in range(2):
        found = store.find(record.key)
        assert isinstance(found, Absent)
        assert "MASTER (master.fits)" in found.reason
        assert said in found.reason


def test_an_edit_in_place_with_the_time_put_back_shows(made: tuple[Record, Path], night: Night) -> None:
    record, path = made
    before = night.look()
    assert night.store.find(record.key) == record
    edit_unseen(path)
    edit_unseen(night.file(FLAT))
    assert isinstance(night.store.find(record.key), Absent)
    assert night.changed(before) == {FLAT, SCIENCE}


def test_a_file_that_got_other_rights_is_read_once_and_that_is_counted(night: Night, store: SqliteStore) -> None:
    before = night.look()
    night.file(FLAT).chmod(0o600)
    assert night.changed(before) == set()
    counted = store.rereading
    assert (counted.files, counted.size_bytes) == (1, night.file(FLAT).stat().st_size)
    assert night.changed(before) == set()
    assert counted.files == 1


def test_a_file_that_is_written_while_it_is_read_is_not_remembered(night: Night, store: SqliteStore) -> None:
    file = str(night.file(FLAT))
    store.learn({file: Reading(Digest("sha256:old"), "")})
    assert store.trusts({file: store.stamps([file])[file]}) is False


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store that does not look at ctime."""
    with open_store(tmp_path / "books" / "store.db", tmp_path, trust_ctime=False) as opened:
        yield opened


def test_reading_again_finds_what_changed_without_a_trace(tmp_path: Path, careless: SqliteStore) -> None:
    store, night = careless, Night(tmp_path, careless)
    record, path = make_dark(night)
    before = night.look()
    found = audit(store, {})
    assert (found.files, found.steps, found.problems) == (3, 1, ())
    assert night.changed(before) == set()
    edit_unseen(path)
    edit_unseen(night.file(FLAT))
    assert store.find(record.key) == record
    assert night.changed(before) == set()
    raw, product = sorted(audit(store, {}).problems)
    assert raw.startswith(f"{night.file(FLAT)} was changed without a trace")
    assert product == f"product {path} is damaged: its sha256 differs"
    assert night.changed(before) == {FLAT, SCIENCE}


def test_reading_again_tells_what_datasets_name_and_is_gone(night: Night, store: SqliteStore) -> None:
    night.look()
    night.file(FLAT).unlink()
    night.file(DARK).write_bytes(night.file(DARK).read_bytes()[:1000])
    found = audit(store, {"dark": night.file(DARK), "flat": None, "science": night.file(SCIENCE)})
    assert found.counts() == {"input": {"whole": 1, "unknown": 0, "changed": 1, "absent": 1}}
    dark, flat = found.problems
    assert "dark.fits" in dark
    assert flat.startswith("flat is missing")


def test_products_of_a_root_that_moved_are_found(made: tuple[Record, Path], night: Night, tmp_path: Path) -> None:
    record, _ = made
    night.store.close()
    moved = tmp_path.parent / f"{tmp_path.name}_moved"
    tmp_path.rename(moved)
    with open_store(moved / "books" / "store.db", moved) as store:
        found = store.find(record.key)
    assert isinstance(found, Record)
    assert found.products[0].path == moved / "products" / "master.fits"
    assert found.sof == moved / "data.sof"


# ----- looking for many


@given(
    recorded=st.sets(st.integers(0, 6000), max_size=60), wanted=st.sets(st.integers(0, 6000), max_size=60),
    step=st.sampled_from([1, 2, 7]),
)  # fmt: skip
def test_many_are_found_whether_they_lie_close_or_far_apart(
    tmp_path_factory: pytest.TempPathFactory, recorded: set[int], wanted: set[int], step: int
) -> None:
    there = {Fingerprint(f"{number:064x}") for number in (*range(0, 3000, step), *recorded)}
    asked = {Fingerprint(f"{number:064x}") for number in (*range(500, 2500), *wanted)}
    folder = tmp_path_factory.mktemp("store")
    with open_store(folder / "store.db", folder) as store:
        store.learn_keys((Plan(fingerprint, "toy", ()), fingerprint, (StepKey(fingerprint),)) for fingerprint in there)
        assert store.keys_by_fingerprint(asked) == {fingerprint: (fingerprint,) for fingerprint in asked & there}


# ----- formats


def test_a_store_of_an_older_format_is_brought_up(made: tuple[Record, Path], night: Night, tmp_path: Path) -> None:
    record, _ = made
    night.store.close()
    older = tmp_path / "older.db"
    new, old = sqlite3.connect(tmp_path / "books" / "store.db"), sqlite3.connect(older)
    old.executescript(schema._FORMATS[0])
    old.execute("PRAGMA user_version = 1")
    steps = "key, recipe, dataset, step, statement, made, seconds, sof, warnings"
    for table, columns in (("steps", steps), ("products", "key, position, path, category, digest, size_bytes")):
        rows = new.execute(f"SELECT {columns} FROM {table}").fetchall()
        old.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    old.commit()
    old.close()
    new.close()
    with open_store(older, tmp_path) as store:
        assert store.find(record.key) == record


def test_times_of_runs_that_were_local_become_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "older.db"
    with sqlite3.connect(path) as old:
        old.executescript(schema._FORMATS[0])
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO runs VALUES ('2026-01-02T03:04:05', 1, 3, 0, 0, 1.5)")
    monkeypatch.setenv("TZ", "America/Santiago")
    time.tzset()
    try:
        with open_store(path, tmp_path) as store:
            assert [run.started for run in store.runs()] == ["2026-01-02T06:04:05Z"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_store_of_a_later_format_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="later version"):
        SqliteStore(path, tmp_path)


# ----- what waits to be written


def frame(path: Path) -> str:
    """Write a small file that has settled."""
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path)
    time.sleep(0.05)
    return str(path)


def commits(store: SqliteStore) -> list[str]:
    """Return a list that grows by the commits of a store."""
    seen: list[str] = []
    store._db.set_trace_callback(lambda text: seen.append(text) if text == "COMMIT" else None)
    return seen


def test_what_was_read_is_written_with_the_next_record(tmp_path: Path) -> None:
    file = frame(tmp_path / "a.fits")
    with (
        closing(SqliteStore(tmp_path / "a.db", tmp_path)) as store,
        closing(SqliteStore(tmp_path / "a.db", tmp_path)) as other,
    ):
        seen = commits(store)
        store.read_new((file,))
        assert store.find_unverified((file,)) == frozenset()
        assert store.trusts(store.stamps((file,)))
        assert not seen and other.find_unverified((file,))
        store.forget(())
        assert seen == ["COMMIT"] and not other.find_unverified((file,))


def test_what_was_verified_elsewhere_is_written_with_the_next_record(tmp_path: Path) -> None:
    first, second = frame(tmp_path / "a.fits"), frame(tmp_path / "b.fits")
    with closing(SqliteStore(tmp_path / "a.db", tmp_path)) as store:
        digests = store.digests((first, second))
        seen = commits(store)
        for file, digest in digests.items():
            assert not isinstance(digest, DataError)
            store.learn_verified({file: digest})
        store.learn_verified({first: Digest("sha256:0")})
        assert store.find_unverified((first, second)) == frozenset()
        assert not seen
        store.forget(())
        assert seen == ["COMMIT"] and store.find_unverified((first, second)) == frozenset()


def test_what_was_read_is_written_at_the_end_and_for_who_asks(tmp_path: Path) -> None:
    first, second = frame(tmp_path / "a.fits"), frame(tmp_path / "b.fits")
    with closing(SqliteStore(tmp_path / "a.db", tmp_path)) as store:
        store.read_new((first,))
        assert set(store.known_files()) == {first}
        store.read_new((second,))
    with closing(SqliteStore(tmp_path / "a.db", tmp_path)) as store:
        assert set(store.known_files()) == {first, second}


def test_many_files_are_written_at_once(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "a.db", tmp_path)) as store:
        seen = commits(store)
        store.learn({f"/{number}.fits": Reading(Digest("sha256:0"), "1:1:1:1") for number in range(1000)})
        assert seen == ["COMMIT"]
