"""End products of many datasets at once: one transaction, one look at what they share, and no search through all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.files import Digest
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.reuse.key import InputStatement, Statement
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.run.delivery import EndProducts, deliver, deliver_all
from esorex_bridge.store.step_store import SqliteStore, open_store
from esorex_bridge.workspace.folders import Workspace
from tests.tiny_fits import write_night

NOW = datetime(2026, 1, 1, 12)
DATASETS = ("first", "second", "third")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def store(workspace: Workspace) -> Iterator[SqliteStore]:
    with open_store(workspace.store, workspace.root) as store:
        yield store


def make(name: str, workspace: Workspace, store: SqliteStore, *inputs: InputStatement) -> Record:
    """Record a step with one product."""
    (path,) = write_night(workspace.tmp_products / name, {name: {"OBS.NAME": name, "PRO.CATG": "IMAGE"}})
    statement = Statement("toy", "toy/1.0", Digest("sha256:0"), (("toy.of", name),), inputs)
    product = Product(str(path), "IMAGE", verify_fits(path).digest, path.stat().st_size)
    record = Record(statement.key(), (product,), 1.0, "2026-01-01T00:00:00Z", str(path.with_name("data.sof")))
    store.record(record, statement, name, f"{name}_1")
    return record


@pytest.fixture
def wanted(workspace: Workspace, store: SqliteStore) -> tuple[EndProducts, ...]:
    """Three datasets that were made with one master."""
    master = make("master", workspace, store)
    shared = InputStatement("MASTER", f"step:{master.key}/IMAGE", "IMAGE of master_1")
    return tuple(EndProducts(name, "toy", make(name, workspace, store, shared)) for name in DATASETS)


def watch(store: SqliteStore) -> list[str]:
    """Return a list that grows by what is asked of the database."""
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    return seen


def test_datasets_that_come_together_are_delivered_in_one_transaction(
    workspace: Workspace, store: SqliteStore, wanted: tuple[EndProducts, ...]
) -> None:
    seen = watch(store)
    found = deliver_all(wanted, store, workspace, NOW)
    assert seen.count("COMMIT") == 1
    assert len([text for text in seen if "FROM products WHERE key" in text and wanted[0].record.key not in text]) < 8
    places = [workspace.end_products / "2026-01-01T12:00:00" / name / f"{name}_IMAGE.fits" for name in DATASETS]
    assert [[product.path for product in each] for each in found if not isinstance(each, Exception)] == [
        [place] for place in places
    ]
    for place in places:
        document = json.loads(place.with_name("provenance.json").read_text())
        assert [step["step"] for step in document["steps"]] == ["master_1", f"{place.parent.name}_1"]


def test_what_was_delivered_is_not_delivered_again(
    workspace: Workspace, store: SqliteStore, wanted: tuple[EndProducts, ...]
) -> None:
    first = deliver(wanted[1], store, workspace, NOW)
    found = deliver_all(wanted, store, workspace, datetime(2026, 1, 2))
    assert found[1] == first
    seen = watch(store)
    assert deliver_all(wanted, store, workspace, datetime(2026, 1, 3)) == found
    assert "COMMIT" not in seen


STORE = f"{SqliteStore.__module__}.{SqliteStore.__name__}"


@pytest.mark.parametrize("point", ["esorex_bridge.provenance.beside.add_provenance", f"{STORE}.record_end_products"])
def test_a_delivery_that_was_cut_off_is_gone_on_with_in_its_folder(
    workspace: Workspace,
    store: SqliteStore,
    wanted: tuple[EndProducts, ...],
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(point, die)
        deliver_all(wanted, store, workspace, NOW)
    found = deliver_all(wanted, store, workspace, datetime(2026, 1, 2))
    places = sorted(workspace.end_products.rglob("*.fits"))
    assert sorted(product.path for each in found if not isinstance(each, Exception) for product in each) == places
    assert len(places) == len(DATASETS)
    assert places[0].is_relative_to(workspace.end_products / "2026-01-01T12:00:00")
    assert all(place.with_name("provenance.json").exists() for place in places)
    assert deliver_all(wanted, store, workspace, datetime(2026, 1, 3)) == found


def test_what_was_delivered_of_another_step_is_left_to_it(
    workspace: Workspace, store: SqliteStore, wanted: tuple[EndProducts, ...]
) -> None:
    (first,) = deliver(wanted[0], store, workspace, NOW)
    other = EndProducts("first", "toy", replace(wanted[0].record, key=wanted[1].record.key))
    (again,) = deliver(other, store, workspace, datetime(2026, 1, 2))
    assert again.path != first.path
    assert first.path.exists()


def test_one_that_cannot_be_delivered_holds_up_no_other(
    workspace: Workspace, store: SqliteStore, wanted: tuple[EndProducts, ...]
) -> None:
    wanted[1].record.products[0].path.write_bytes(b"no FITS file")
    found = deliver_all(wanted, store, workspace, NOW)
    assert [isinstance(each, Exception) for each in found] == [False, True, False]
    known = store.end_products(each.dataset for each in wanted)
    assert [(each.dataset, each.record.key) in known for each in wanted] == [True, False, True]


def test_nothing_that_a_delivery_asks_is_looked_for_among_all(
    workspace: Workspace, store: SqliteStore, wanted: tuple[EndProducts, ...]
) -> None:
    seen = watch(store)
    deliver_all(wanted, store, workspace, NOW)
    (product,) = wanted[0].record.products
    store.makers((product.file,))
    store.keys_by_path(product.file)
    store.delivered_paths(wanted[0].record.key)
    store._db.set_trace_callback(None)
    queries = {text for text in seen if text.startswith("SELECT")}
    plans = {text: [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {text}")] for text in queries}
    assert queries
    assert not {text: plan for text, plan in plans.items() if any(line.startswith("SCAN") for line in plan)}
