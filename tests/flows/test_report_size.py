"""The page of a large root stays light: what a step made once really is recorded for many datasets."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.flows.conftest import SMALL, Ended, put_on_disk
from tests.tiny_fits import fits_of

pytestmark = pytest.mark.usefixtures("esorex")

LARGEST = 5_000_000
MARGIN = 0.8
LONGEST_S = 3.0
"""Of the processor, on a machine that does nothing else."""
BUSY = 1.5
"""A core that is shared gives less in a second."""


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return the root of a small NACO night that was reduced."""
    root = tmp_path_factory.mktemp("reduced")
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert bridge("run", "--root", root, *SMALL).code == 0
    return root


def put_headers(root: Path, templates: int) -> None:
    """Write a night of many templates: trees, and frames without pixels."""
    night = naco_night(npix=128, templates=templates)
    folder = root / "reflex_input" / "data_with_raw_calibs"
    folder.mkdir(parents=True)
    for file in night.files:
        keywords = {key.removeprefix("HIERARCH ESO ").replace(" ", "."): value for key, value in file.keywords}
        (folder / f"{file.dp_id}.fits").write_bytes(fits_of(keywords))
    for tree in night.trees:
        if tree.mode == "Raw2Raw":
            (folder / f"{tree.root.files[0].name}_raw2raw.xml").write_text(tree_document(tree))


def record_all(root: Path, reduced: Path) -> int:
    """Record every step of a root as made, with products and log of a real one; return how many steps plans have."""
    with Session(Settings(reduced)) as session:
        rows = session.store.step_rows(session.store.all_keys())
        made = {row.statement.recipe: (row, session.store.products(key)) for key, row in rows.items()}
    with Session(Settings(root)) as session:
        plans = session.require_engine().resolve(session.planning.plan_datasets())
        for plan in plans:
            assert isinstance(plan, ResolvedPlan)
            for step in plan.plan.steps:
                key, (row, products) = plan.keys[step.name], made[step.recipe]
                folder = root / "reflex_book_keeping" / "naco" / step.name / key[:16]
                if folder.exists():
                    continue
                shutil.copytree(Path(row.sof).parent, folder, symlinks=True)
                for each in products:
                    os.link(each.path, folder / each.path.name)
                here = (Product(str(folder / p.path.name), p.category, p.digest, p.size_bytes) for p in products)
                record = Record(key, tuple(here), 1.0, row.made, str(folder / "data.sof"), row.warnings)
                session.store.record(record, plan.stated[step.name], plan.plan.dataset, step.name)
        return sum(len(plan.plan.steps) for plan in plans)


@pytest.mark.parametrize("templates", [20, pytest.param(334, marks=pytest.mark.slow)])
def test_a_page_of_many_steps_stays_below_its_size(
    templates: int, reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    put_headers(tmp_path, templates)
    steps = record_all(tmp_path, reduced)
    assert steps == 3 * templates
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    ended = bridge("report", "--root", tmp_path, "--json")
    assert ended.code == 0, ended.err
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < LONGEST_S * BUSY
    page = Path(ended.json["report"]).read_text()
    assert page.count('<summary>naco_img_jitter_1 <span class="state reused">') == templates
    assert len(page.encode()) < (LARGEST * MARGIN if steps > 1000 else 1_600_000)
    assert "data:image/png" in page
    assert page.count("shared: shown with the first dataset") == 2 * (templates - 1)
