"""What a batch plans from: the same plans as `run` makes, and what datasets share worked out once."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from esorex_bridge import organise
from esorex_bridge.batch import dataset_source
from esorex_bridge.batch.dataset_source import Planned, Supply
from esorex_bridge.batch.jobs import read_jobs
from esorex_bridge.datasets.association import AssociationTree
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.disk.room import Room
from esorex_bridge.fits.header import Header, read_header
from esorex_bridge.organise.tree_datasets import TreeFiles, tree_datasets
from esorex_bridge.plan.plan import Plan
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from esorex_bridge.workspace.scan import scan
from esorex_bridge.workspace.tree_files import read_tree_file
from tests.flows.conftest import put_on_disk

ALL = read_jobs("jobs: [{datasets: all}]", "-").jobs


def supply_of(root: Path) -> Supply:
    """Return the supply of all datasets that lie in a root."""

    def refuse() -> NoReturn:
        raise AssertionError("nobody asked for the archive")

    return Supply(ALL, Session(Settings(root)).planning, refuse, Room())


def test_a_batch_plans_as_run_does(root: Path, frames_folder: Path, tmp_path: Path) -> None:
    put_on_disk(naco_night(npix=128, templates=4), frames_folder, tmp_path / "many")
    with Session(Settings(tmp_path / "many")) as session:
        alone = [session.planning.plans((dataset,))[0][1] for dataset in session.planning.datasets()]
    planned = [item.plan for item in supply_of(tmp_path / "many").on_disk() if isinstance(item, Planned)]
    assert planned == alone
    assert len(planned) == 4


def test_a_batch_takes_no_frame_under_the_name_of_another(root: Path) -> None:
    folder = root / "reflex_input" / "data_with_raw_calibs"
    with Session(Settings(root)) as session:
        ((_, plan),) = session.planning.plan_datasets()
    flat, other = [entry for entry in plan.step("naco_img_twflat_1").inputs if entry.category == "CAL_FLAT_TW"][:2]
    (folder / f"{flat.name}.fits").write_bytes((folder / f"{other.name}.fits").read_bytes())  # type: ignore[union-attr]
    (item,) = supply_of(root).on_disk()
    assert isinstance(item, Planned)
    assert any("is another frame than its name says" in text for text in item.plan.messages)


def test_headers_of_what_datasets_share_are_read_once(frames_folder: Path, tmp_path: Path) -> None:
    put_on_disk(naco_night(npix=128, templates=4), frames_folder, tmp_path)
    read: Counter[Path] = Counter()

    def header(path: Path) -> Header:
        read[path] += 1
        return read_header(path)

    shared = Shared()
    with Session(Settings(tmp_path)) as session:
        for dataset in session.planning.datasets():
            session.planning.plan(dataset, session.planning.workflow_for(dataset), header, shared=shared)
    assert set(read.values()) == {1}
    assert len(read) > 30


def test_the_plans_of_a_portion_are_let_go(
    frames_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_source, "PORTION", 3)
    put_on_disk(naco_night(npix=128, templates=8), frames_folder, tmp_path)
    supply, sizes, living, others = supply_of(tmp_path), [], [], count_plans()
    while not supply.finished:
        portion = supply.take()
        sizes.append(len(portion))
        living.append(count_plans() - others)
        del portion
    assert (sizes, sum(sizes)) == ([3, 3, 2], 8)
    assert max(living) <= 3 + 2  # the source has in hand what it gave last, under two names
    assert count_plans() == others


def count_plans() -> int:
    """Return how many plans are in memory."""
    gc.collect()
    return sum(isinstance(value, Plan) for value in gc.get_objects())


def test_datasets_are_made_one_by_one_as_all_at_once(frames_folder: Path, tmp_path: Path) -> None:
    folder = put_on_disk(naco_night(npix=128, templates=6), frames_folder, tmp_path)
    trees = TreeFiles(sorted(str(path) for path in folder.glob("*.xml")))
    read = [read_tree_file(Path(path)) for path in sorted(folder.glob("*.xml"))]
    assert list(trees) == list(trees) == read
    with Session(Settings(tmp_path, by="calselector")) as session:
        each = tuple(session.planning.each_dataset())
    alone = [tree_datasets([tree], scan(folder).files, read_header, "Raw2Raw") for tree in read]
    assert each == tuple(dataset for (dataset,) in alone)
    assert each[0].action.actions[0] is each[1].action.actions[0]


@pytest.mark.parametrize(("kept", "times"), [(500, 1), (0, 2)])
def test_trees_that_differ_in_their_science_are_read_once_as_far_as_memory_is_given_to_that(
    frames_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, times: int
) -> None:
    monkeypatch.setattr(organise.tree_datasets, "_FORMS_KEPT", kept)
    read: Counter[Path] = Counter()

    def read_counted(path: Path, read_document: Callable[[bytes], AssociationTree]) -> AssociationTree:
        read[path] += 1
        return read_tree_file(path, read_document)

    monkeypatch.setattr(organise.tree_datasets, "read_tree_file", read_counted)
    put_on_disk(naco_night(npix=128, templates=4), frames_folder, tmp_path)
    with Session(Settings(tmp_path, by="calselector")) as session:
        assert len(session.planning.datasets()) == 4
    assert set(read.values()) == {times}
