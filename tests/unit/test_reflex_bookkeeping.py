"""Reflex's bookkeeping: its checksum, its spelling, its database and folders, and its Lazy Mode."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.definitions.parameters import Parameter, ParameterSchema, Value
from esorex_bridge.errors import DataError, UserError
from esorex_bridge.files import Digest
from esorex_bridge.plan.sof import Sof, SofEntry
from esorex_bridge.reflex import bookkeeping_db
from esorex_bridge.reflex.bookkeeping_db import add_execution, add_final_products, read_database
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile, java_text
from esorex_bridge.reflex.bookkeeping_writer import note_run
from esorex_bridge.reflex.checksum import checksum_of, reflex_checksum
from esorex_bridge.reflex.finished_run import FinishedRun
from esorex_bridge.reflex.history import read_history
from esorex_bridge.reflex.lazy_mode import ask_reflex
from esorex_bridge.reflex.lazy_rule import ReflexQuestion, decide_as_reflex
from esorex_bridge.reuse.record import Product
from esorex_bridge.workspace.folders import RunFolders

MOMENT = datetime(2018, 8, 31, 13, 24, 32, 247000, UTC)
CLEAN = ParameterSchema("x.clean", "Clean", "bool", False, description="Clean")
SIGMA = ParameterSchema("x.sigma", "Sigma", "double", 5, minimum=1, maximum=1e10)
METHOD = ParameterSchema("x.method", "Method", "string", "Median", choices=("Average", "Median"))
PARAMETERS = tuple(Parameter(schema, schema.default, "recipe default") for schema in (CLEAN, SIGMA, METHOD))


def header(*cards: str) -> bytes:
    text = "".join(card.ljust(80) for card in (*cards, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


# ----- checksum


def test_the_checksum_of_a_file_whose_value_reflex_noted() -> None:
    assert checksum_of(1524236760000, 3104640, "746bcc5170c7cc51064714e4f44655bd") == "3881D4032BDC8FD60B8ED8CE404F2B9E"


def test_the_checksum_takes_the_sums_of_all_headers_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    primary = header("SIMPLE  =                    T", "BITPIX  = -32", "NAXIS   = 1", "NAXIS1  = 800",
                     "CHECKSUM= 'one'", "DATASUM = '2'", "DATAMD5 = 'three'")  # fmt: skip
    extension = header("XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 10", "NAXIS2  = 300",
                       "PCOUNT  = 7", "GCOUNT  = 1", "DATAMD5 = 'four'")  # fmt: skip
    last = header("XTENSION= 'IMAGE'", "BITPIX  = 8", "NAXIS   = 0", "CHECKSUM= 'five'")
    path.write_bytes(primary + bytes(5760) + extension + bytes(5760) + last)
    os.utime(path, ns=(0, 1_500_000_000_123_456_789))
    text = f"1500000000123{path.stat().st_size}one2fourfive"
    assert reflex_checksum(path) == hashlib.md5(text.encode()).hexdigest().upper()


def test_the_checksum_of_what_is_no_fits_is_of_time_and_size(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.Z"
    path.write_bytes(b"\x1f\x9d...")
    os.utime(path, (5, 5))
    assert reflex_checksum(path) == hashlib.md5(b"50005").hexdigest().upper()


def test_a_header_that_promises_too_much_ends_the_walk(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    cards = ("BITPIX  = 8", "NAXIS   = 2000000000", "NAXIS1  = 9000000000000000000", "CHECKSUM= 'one'")
    path.write_bytes(header("SIMPLE  =                    T", *cards))
    state = path.stat()
    assert reflex_checksum(path) == checksum_of(state.st_mtime_ns // 1_000_000, state.st_size, "one")


# ----- spelling


@pytest.mark.parametrize(
    ("value", "valtype", "text"),
    [
        (5, "double", "5.0"), (5.25, "double", "5.25"), (1e7, "double", "1.0E7"),
        (12345678.5, "double", "1.23456785E7"),
        (1e-6, "double", "1.0E-6"), (0.0001, "double", "1.0E-4"), (0.001, "double", "0.001"), (0, "double", "0.0"),
        (-1e10, "double", "-1.0E10"), (7, "int", "7"), (False, "bool", "false"), ("200 200", "string", "200 200"),
    ],
)  # fmt: skip
def test_values_are_spelt_as_java_spells_them(value: Value, valtype: str, text: str) -> None:
    assert java_text(value, valtype) == text


# ----- database


def an_execution(folder: Path = Path("/data/book/vimos/vmbias_1/2018-08-31T13:24:32.247")) -> NotedExecution:
    products = "/data/products/master_bias.fits"
    return NotedExecution(
        "vmbias_1", "vmbias", MOMENT, "esorex vmbias data.sof", folder, 0, (),
        (NotedFile(Path("/data/a.fits"), "BIAS", "A" * 32), NotedFile(Path("/data/b.fits"), "BIAS", "B" * 32)),
        (NotedFile(Path(products), "MASTER_BIAS", "C" * 32),),
    )  # fmt: skip


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def test_an_execution_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    add_execution(tmp_path / "bookkeeping.db", an_execution())
    assert read_database(tmp_path / "bookkeeping.db") == (an_execution(),)


def test_files_and_parameters_stand_there_once(tmp_path: Path) -> None:
    database = tmp_path / "bookkeeping.db"
    add_execution(database, an_execution())
    add_execution(database, replace(an_execution(), actor="vmbias_2"))
    assert rows(database, "SELECT COUNT(*) FROM files") == [(3,)]
    assert rows(database, "SELECT COUNT(*) FROM execution_input_files") == [(4,)]
    assert [each.actor for each in read_database(database, "vmbias_2")] == ["vmbias_2"]


def test_what_comes_together_is_written_together(tmp_path: Path) -> None:
    database = tmp_path / "bookkeeping.db"
    add_execution(database, an_execution(), replace(an_execution(), actor="vmbias_2"))
    assert [each.actor for each in read_database(database)] == ["vmbias_1", "vmbias_2"]
    ends = {name: {Path(f"/end/{name}.fits"): Path("/tmp/y.fits")} for name in ("D", "E")}
    for _ in range(2):
        add_final_products(database, ends, MOMENT)
    query = "SELECT datasets.name, alias FROM final_products JOIN datasets ON datasets.id = dataset_id"
    assert rows(database, query) == [("D", "/end/D.fits"), ("E", "/end/E.fits")] * 2
    assert rows(database, "SELECT COUNT(*) FROM datasets") == [(2,)]


def test_what_others_wrote_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "bookkeeping.db"
    add_execution(database, an_execution())
    with closing(sqlite3.connect(database)) as db:
        db.execute("INSERT INTO last_executions VALUES (1, 'vmbias_1', 'D', 'P', 'sigma=3')")
        db.execute("INSERT INTO datasets VALUES (7, 'D', 1, NULL, '[{\"OBS.ID\": \"1\"}]')")
        db.commit()
        before = list(db.iterdump())
    add_execution(database, replace(an_execution(), exit_code=1, outputs=()))
    add_final_products(database, {"D": {Path("/end/x.fits"): Path("/tmp/y.fits")}}, MOMENT)
    with closing(sqlite3.connect(database)) as db:
        after = list(db.iterdump())
    assert [line for line in before if line not in after] == []
    assert rows(database, "SELECT dataset_id, alias, name FROM final_products") == [(7, "/end/x.fits", "/tmp/y.fits")]


def test_a_database_that_reflex_holds_is_waited_for(tmp_path: Path) -> None:
    database = tmp_path / "bookkeeping.db"
    add_execution(database, an_execution())
    held = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    held.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, lambda: held.execute("COMMIT"))
    timer.start()
    add_execution(database, an_execution())
    timer.join()
    held.close()
    assert rows(database, "SELECT COUNT(*) FROM executions") == [(2,)]


def test_a_database_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "bookkeeping.db"
    add_execution(database, an_execution())
    monkeypatch.setattr(bookkeeping_db, "_WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(database, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DataError, match="locked"):
            add_execution(database, an_execution())


def test_what_is_no_database_of_reflex_is_told(tmp_path: Path) -> None:
    (tmp_path / "bookkeeping.db").write_text("no database at all, but long enough to be looked at " * 10)
    with pytest.raises(DataError, match="cannot be written"):
        add_execution(tmp_path / "bookkeeping.db", an_execution())
    with pytest.raises(DataError, match="cannot be read"):
        read_database(tmp_path / "bookkeeping.db")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="BOOKKEEPING_DIR"):
        read_history(tmp_path / "empty")


@pytest.mark.real
def test_a_real_database_is_listed(real: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "bookkeeping.db")) as db:
        db.executescript((real / "reflex" / "samples" / "bookkeeping_dump.sql").read_text())
    history = read_database(tmp_path / "bookkeeping.db")
    assert [(each.actor, each.recipe, each.exit_code) for each in history] == [
        ("vmbias_1", "vmbias", 0), ("vmifucalib_1", "vmifucalib", 0), ("vmifustandard_1", "vmifustandard", 1),
        ("vmifuscience_1", "vmifuscience", 1),
    ]  # fmt: skip
    assert [len(each.inputs) for each in history] == [6, 5, 0, 0]
    assert [len(each.outputs) for each in history] == [1, 6, 0, 0]
    assert history[0].values["vimos.Parameters.stacking.ksigma.high"] == "5.0"
    assert history[0].made.timestamp() == 1535739872.247


@pytest.mark.real
def test_our_tables_are_those_of_a_real_database(real: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "real.db")) as db:
        db.executescript((real / "reflex" / "samples" / "bookkeeping_dump.sql").read_text())
    add_execution(tmp_path / "ours.db", an_execution())
    names = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    assert rows(tmp_path / "ours.db", names) == rows(tmp_path / "real.db", names)
    for kind, name, _ in rows(tmp_path / "real.db", names):
        if kind == "table":
            columns = f"SELECT cid, name, type, \"notnull\", pk FROM pragma_table_info('{name}')"
            assert rows(tmp_path / "ours.db", columns) == rows(tmp_path / "real.db", columns)
    add_execution(tmp_path / "real.db", an_execution())
    assert len(read_database(tmp_path / "real.db")) == 5


# ----- folders


@pytest.fixture
def finished(tmp_path: Path) -> FinishedRun:
    """Return a run that ended well, with its files in place."""
    work = tmp_path / "reflex_book_keeping" / "vimos" / "vmbias_1" / "2018-08-31T13:24:32.247"
    products = tmp_path / "reflex_tmp_products" / "vimos" / "vmbias_1" / work.name
    work.mkdir(parents=True)
    products.mkdir(parents=True)
    (work / "in" / "0000").mkdir(parents=True)
    for path in (tmp_path / "a.fits", tmp_path / "b c.fits", products / "master_bias.fits"):
        path.write_bytes(header("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   = 0"))
    (work / "in" / "0000" / "b_c.fits").symlink_to(tmp_path / "b c.fits")
    (work / "cmdline.sh").write_text("#!/bin/sh\nesorex vmbias data.sof\n")
    (work / "products_dir").symlink_to(products)
    sof = Sof((SofEntry(tmp_path / "a.fits", "BIAS"), SofEntry(Path("in/0000/b_c.fits"), "BIAS")))
    made = Product(str(products / "master_bias.fits"), "MASTER_BIAS", Digest("sha256:1"), 2880)
    folders = RunFolders(work, products, tmp_path / "logs")
    return FinishedRun("vmbias_1", "vmbias", "BIAS/IFU_CAL/SCI_IFU", PARAMETERS, sof, folders, (made,))


def test_a_run_is_noted_in_its_folder_as_reflex_notes_it(finished: FinishedRun, tmp_path: Path) -> None:
    assert note_run(finished) == ()
    work = finished.folders.work
    inputs = json.loads((work / "input_sof.json").read_text())
    assert [entry["name"] for entry in inputs] == [str(tmp_path / "a.fits"), str(tmp_path / "b c.fits")]
    assert inputs[0] == {
        "purposes": ["BIAS/IFU_CAL/SCI_IFU"], "name": str(tmp_path / "a.fits"), "category": "BIAS",
        "checksum": reflex_checksum(tmp_path / "a.fits"), "class": "org.eso.domain.FitsFile",
    }  # fmt: skip
    (output,) = json.loads((work / "output_sof.json").read_text())
    assert output["purposes"] == ["IFU_CAL/SCI_IFU"]
    assert (work / "exitcode.txt").read_text() == "0"
    parameters = json.loads((work / "parameters.json").read_text())
    assert [(entry["partype"], entry["value"]) for entry in parameters] == [
        ("value", False), ("range", 5), ("enum", "Median"),
    ]  # fmt: skip
    assert "\\/master_bias.fits" in (work / "products_sof.json").read_text()
    assert (work.parent / "latest").resolve() == work


@pytest.mark.real
def test_our_files_have_the_keys_of_a_real_folder(finished: FinishedRun, real: Path) -> None:
    note_run(finished)
    sample = real / "reflex" / "samples" / "vmbias_1_execution"
    for name in ("input_sof.json", "output_sof.json", "products_sof.json", "parameters.json"):
        ours, theirs = (json.loads((folder / name).read_text()) for folder in (finished.folders.work, sample))
        assert ours[0].keys() == theirs[0].keys(), name
    assert (sample / "exitcode.txt").read_text() == (finished.folders.work / "exitcode.txt").read_text()


def test_a_run_is_noted_in_the_database_of_its_workflow(finished: FinishedRun) -> None:
    note_run(finished)
    (execution,) = read_database(finished.folders.work.parent.parent / "bookkeeping.db")
    assert execution.values == {"x.clean": "false", "x.sigma": "5.0", "x.method": "Median"}
    assert [(each.valmin, each.valmax, each.valenum) for each in execution.parameters] == [
        (None, None, "[]"), ("1.0", "1.0E10", "[]"), (None, None, '["Average","Median"]'),
    ]  # fmt: skip
    assert execution.command_line == "esorex vmbias data.sof\n"
    assert execution.folder == finished.folders.work


def test_a_failed_run_is_noted_with_its_exit_code(finished: FinishedRun) -> None:
    assert note_run(replace(finished, products=(), exit_code=10)) == ()
    work = finished.folders.work
    assert (work / "output_sof.json").read_text() == "[]"
    assert not (work / "products_sof.json").exists()
    (history,) = read_history(work.parent.parent)
    assert [(each.exit_code, each.outputs) for each in history.executions] == [(10, ())]


def test_notes_that_cannot_be_written_are_told_and_do_no_harm(finished: FinishedRun) -> None:
    database = finished.folders.work.parent.parent / "bookkeeping.db"
    database.write_text("something else entirely, which is no database of any kind whatsoever " * 20)
    (problem,) = note_run(finished)
    assert "cannot be written" in problem
    assert (finished.folders.work / "exitcode.txt").exists()


def test_folders_tell_what_a_lost_database_knew(finished: FinishedRun) -> None:
    note_run(finished)
    bookkeeping = finished.folders.work.parent.parent
    (before,) = read_history(bookkeeping)
    (bookkeeping / "bookkeeping.db").unlink()
    (after,) = read_history(bookkeeping.parent)
    assert after.executions == before.executions


def test_files_of_a_moved_root_are_found(finished: FinishedRun, tmp_path: Path) -> None:
    note_run(finished)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    (history,) = read_history(moved)
    (execution,) = history.executions
    assert all(file.path.is_file() for file in (*execution.inputs, *execution.outputs))
    assert execution.folder == moved / finished.folders.work.relative_to(tmp_path)
    moved.rename(tmp_path)


# ----- Lazy Mode


QUESTION = ReflexQuestion("vmbias_1", "vmbias", {}, an_execution().inputs)
EARLIER = an_execution()
TOUCHED = (replace(EARLIER.inputs[0], checksum="D" * 32), EARLIER.inputs[1])


@pytest.mark.parametrize(
    ("question", "executions", "whole", "reused"),
    [
        (QUESTION, (EARLIER,), True, True),
        (replace(QUESTION, inputs=EARLIER.inputs[::-1]), (EARLIER,), True, True),
        (replace(QUESTION, inputs=EARLIER.inputs[:1]), (EARLIER,), True, False),
        (replace(QUESTION, inputs=TOUCHED), (EARLIER,), True, False),
        (replace(QUESTION, actor="vmbias_2"), (EARLIER,), True, False),
        (replace(QUESTION, values={"x.clean": "true"}), (EARLIER,), True, False),
        (QUESTION, (replace(EARLIER, exit_code=1),), True, False),
        (QUESTION, (replace(EARLIER, outputs=()),), True, False),
        (QUESTION, (replace(EARLIER, kind="PYTHON"),), True, False),
        (QUESTION, (EARLIER,), False, False),
        (QUESTION, (), True, False),
    ],
)
def test_the_rule_of_reflex(
    question: ReflexQuestion, executions: tuple[NotedExecution, ...], whole: bool, reused: bool
) -> None:
    answer = decide_as_reflex(question, executions, lambda file: whole)
    assert (answer.execution is not None) is reused
    assert answer.reason


def test_of_several_executions_the_latest_counts() -> None:
    later = replace(EARLIER, made=datetime(2019, 1, 1, tzinfo=UTC))
    assert decide_as_reflex(QUESTION, (later, EARLIER), lambda file: True).execution == later


def test_a_touched_input_runs_again_under_the_rule_of_reflex(finished: FinishedRun, tmp_path: Path) -> None:
    note_run(finished)
    database = finished.folders.work.parent.parent / "bookkeeping.db"
    sof = Sof((SofEntry(tmp_path / "b c.fits", "BIAS"), SofEntry(tmp_path / "a.fits", "BIAS")))
    assert ask_reflex(database, "vmbias_1", "vmbias", PARAMETERS, sof).execution is not None
    os.utime(tmp_path / "a.fits", (5, 5))
    assert ask_reflex(database, "vmbias_1", "vmbias", PARAMETERS, sof).execution is None
    assert ask_reflex(tmp_path / "none.db", "vmbias_1", "vmbias", PARAMETERS, sof).execution is None
