"""What Reflex made is reused: EsoRex run as Reflex runs it, noted as Reflex notes it, adopted, and not run again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.definitions.parameters import Parameter, ParameterSetting, effective
from esorex_bridge.esorex.products import check_outputs
from esorex_bridge.esorex.recipe import Output, Recipe
from esorex_bridge.esorex.runner import find_esorex
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.sof import Sof, SofEntry
from esorex_bridge.reflex.adopt import AdoptionReport, adopt_bookkeeping, adopted_alike
from esorex_bridge.reflex.bookkeeping_writer import note_run
from esorex_bridge.reflex.finished_run import FinishedRun
from esorex_bridge.reuse.key import InputStatement, Statement, StepKey, read_statement
from esorex_bridge.reuse.record import Absent, Product, Record
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace
from tests.flows.conftest import SMALL, Ended

STAMP = "2018-08-31T13:24:32.247"
DARK = "naco_img_dark"


class ReflexRoot(Struct, frozen=True):
    """A data root in which Reflex worked, and the bridge's store of another one."""

    folder: Path
    bookkeeping: Path
    store: SqliteStore
    recipe: Recipe

    def adopt(self, dry_run: bool = False) -> AdoptionReport:
        runner = find_esorex()
        assert runner is not None
        return adopt_bookkeeping(self.bookkeeping, self.store, runner, dry_run)

    @property
    def product(self) -> Path:
        (found,) = self.folder.glob("reflex_tmp_products/**/*_avg.fits")
        return found


@pytest.fixture
def reflex_root(root: Path, tmp_path: Path, esorex: str) -> Iterator[ReflexRoot]:
    """Return a root in which the darks of the night were reduced as Reflex does it."""
    folder = tmp_path / "reflex"
    folders = Workspace(folder).new_run("naco", f"{DARK}_1", datetime.strptime(STAMP, "%Y-%m-%dT%H:%M:%S.%f"))
    folders.products.mkdir(parents=True)
    folders.logs.mkdir(parents=True)
    darks = [path for path in sorted(root.rglob("*.fits")) if read_header(path).get("DPR.TYPE") == "DARK"]
    dit = read_header(darks[0]).get("DET.DIT")
    sof = Sof(tuple(SofEntry(path, "CAL_DARK") for path in darks if read_header(path).get("DET.DIT") == dit))
    with closing(SqliteStore(root / "reflex_book_keeping" / "esorex_bridge.db", root)) as store:
        runner = find_esorex()
        assert runner is not None
        recipe = runner.recipes((DARK,))[DARK]
        assert isinstance(recipe, Recipe)
        setting = ParameterSetting(DARK, "r", "8 8 8 8", "test")
        parameters = effective(DARK, recipe.parameters, (setting,))
        run = FinishedRun(f"{DARK}_1", DARK, "DARK/SCIENCE", parameters, sof, folders)
        note_run(replace(run, products=_reduced(esorex, run, parameters)))
        yield ReflexRoot(folder, folder / "reflex_book_keeping", store, recipe)


def _reduced(esorex: str, run: FinishedRun, parameters: tuple[Parameter, ...]) -> tuple[Product, ...]:
    """Run EsoRex by the command line of Reflex, and return its products."""
    work = run.folders.work
    (work / "data.sof").write_text(run.sof.text())
    (work / f"{DARK}.rc").write_text("".join(f'{each.schema.name}="{each.text}"\n' for each in parameters))
    command = [
        esorex, "--suppress-prefix=TRUE", f"--output-dir={run.folders.products}", f"--log-dir={run.folders.logs}",
        f"--recipe-config={work / DARK}.rc", "--products-sof=products_sof.json", DARK, str(work / "data.sof"),
    ]  # fmt: skip
    (work / "cmdline.sh").write_text(f"#!/bin/sh\nenv -i 'PATH'='/usr/bin' \\\n{' '.join(command)}\n")
    subprocess.run(command, cwd=work, check=True, capture_output=True)
    listed = json.loads((work / "products_sof.json").read_text())
    checked = check_outputs(DARK, [Output(Path(entry["name"]), entry["category"]) for entry in listed])
    return tuple(Product(str(each.output.path), each.output.category, each.digest, each.size_bytes) for each in checked)


def test_what_reflex_made_is_not_made_again(reflex_root: ReflexRoot, root: Path, bridge: Callable[..., Ended]) -> None:
    report = reflex_root.adopt()
    assert (report.adopted, len(report.adoptions)) == (1, 1), report.adoptions[0].reason
    ran = bridge("run", "--root", root, "--json", *SMALL)
    assert ran.code == 0, ran.err
    assert ran.decisions[DARK] == "reuse"
    assert ran.json["executed"] == 2
    assert ran.step(DARK)["products"][0]["path"] == str(reflex_root.product)
    (listed,) = bridge("status", "--root", root, "--json").json["adopted"]
    assert (listed["recipe"], Path(listed["sof"]).name) == (DARK, "data.sof")
    assert "made by Reflex" in bridge("status", "--root", root).out


def test_a_dry_run_records_nothing(reflex_root: ReflexRoot) -> None:
    (adoption,) = reflex_root.adopt(dry_run=True).adoptions
    assert adoption.key is not None
    assert isinstance(reflex_root.store.find(adoption.key), Absent)


def test_a_history_that_was_moved_is_adopted(reflex_root: ReflexRoot, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    reflex_root.folder.rename(moved)
    root = replace(reflex_root, folder=moved, bookkeeping=moved / "reflex_book_keeping")
    (adoption,) = root.adopt().adoptions
    assert adoption.key is not None, adoption.reason
    found = reflex_root.store.find(adoption.key)
    assert isinstance(found, Record)
    assert {product.path.is_relative_to(moved) for product in found.products} == {True}


def _lose_product(root: ReflexRoot) -> None:
    root.product.unlink()


def _damage_product(root: ReflexRoot) -> None:
    data = bytearray(root.product.read_bytes())
    data[-3000] ^= 1
    root.product.write_bytes(data)


def _upgrade_pipeline(root: ReflexRoot) -> None:
    data = root.product.read_bytes()
    pipeline = root.recipe.pipeline.encode()
    assert pipeline in data
    root.product.write_bytes(data.replace(pipeline, b"naco/4.4.10"))


def _lose_input(root: ReflexRoot) -> None:
    sof = next(root.bookkeeping.rglob("data.sof"))
    Path(sof.read_text().split()[0]).unlink()


def _write_input_again(root: ReflexRoot) -> None:
    path = Path(next(root.bookkeeping.rglob("data.sof")).read_text().split()[0])
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (_lose_product, "is not there any more"),
        (_damage_product, "damaged"),
        (_upgrade_pipeline, "naco/4.4.10"),
        (_lose_input, "is not there any more"),
        (_write_input_again, "after it ran"),
    ],
)
def test_what_cannot_be_trusted_is_not_adopted(
    reflex_root: ReflexRoot, fault: Callable[[ReflexRoot], None], reason: str
) -> None:
    fault(reflex_root)
    (adoption,) = reflex_root.adopt().adoptions
    assert adoption.key is None
    assert reason in adoption.reason


def test_a_touched_input_of_a_history_without_times_is_told_apart_by_its_age(reflex_root: ReflexRoot) -> None:
    path = Path(next(reflex_root.bookkeeping.rglob("data.sof")).read_text().split()[0])
    os.utime(path, (5, 5))
    assert reflex_root.adopt().adopted == 1


def test_a_failed_execution_is_listed_with_its_exit_code(reflex_root: ReflexRoot) -> None:
    folder = next(reflex_root.bookkeeping.glob("naco/*/20*"))
    later = folder.with_name("2018-08-31T13:25:00.000")
    shutil.copytree(folder, later, symlinks=True)
    (later / "exitcode.txt").write_text("10")
    failed = reflex_root.adopt().adoptions[1]
    assert (failed.key, failed.reason) == (None, "failed with exit code 10")


def test_the_order_of_the_inputs_does_not_matter_to_an_adopted_execution(reflex_root: ReflexRoot) -> None:
    (adoption,) = reflex_root.adopt().adoptions
    assert adoption.key is not None
    store = reflex_root.store
    adopted = _statement(store, adoption.key)
    turned = replace(adopted, inputs=adopted.inputs[::-1])
    found = adopted_alike(turned, store.nearest(turned), store.find)
    assert found is not None
    assert found.key == turned.key()
    other = replace(turned, parameters=(("naco.naco_img_dark.nsamples", "7"), *turned.parameters[1:]))
    assert adopted_alike(other, store.nearest(other), store.find) is None
    fewer = replace(turned, inputs=turned.inputs[1:])
    assert adopted_alike(fewer, store.nearest(fewer), store.find) is None


def test_an_input_that_is_a_product_counts_by_its_content(reflex_root: ReflexRoot) -> None:
    store = reflex_root.store
    (adoption,) = reflex_root.adopt().adoptions
    assert adoption.key is not None
    made = store.find(adoption.key)
    assert isinstance(made, Record)
    product = made.products[0]
    base = _statement(store, adoption.key)
    by_content = replace(base, recipe="naco_img_jitter", inputs=(
        InputStatement("DARK", product.digest, "dark"), *base.inputs[:1],
    ))  # fmt: skip
    store.record(replace(made, key=by_content.key()), by_content, "", "jitter_1")
    by_step = replace(by_content, inputs=(
        *base.inputs[:1], InputStatement("DARK", f"step:{adoption.key}/{product.category}", "dark"),
    ))  # fmt: skip
    assert adopted_alike(by_step, store.nearest(by_step), store.find) is not None


def _statement(store: SqliteStore, key: StepKey) -> Statement:
    (document,) = store._one("SELECT statement FROM steps WHERE key = ?", (key,))
    return read_statement(document)
