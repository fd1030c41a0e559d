"""The Python of a user: the script of the documentation, tab completion, short reprs, errors with attributes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import esorex_bridge as eb
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL_FRAMES, put_on_disk

DARK = "NACO.2016-03-01T16:00:00.076"
SCRIPT = f"""
import esorex_bridge as eb
night = eb.open("night")                                   # str or Path; archive="…" optional
frames = night.query(program="60.A-9999", instrument="naco")   # astropy Table with units
night.fetch(frames)                                        # progress=True by default on a terminal or in a notebook
for ds in night.datasets: print(ds.name, ds.target, ds.missing)
night.choose(ds, "DARK", use="{DARK}", purpose="science")
result = night.run(set={{"naco_img_dark.nsamples": 50}})
result.table; p = result.products["COADDED_IMG"]; p.made_from; p.preview(); p.open()   # HDUList
print(frames["exposure"].unit, result, p.made_from, len(p.open()), p.preview()[:4])
"""


@pytest.mark.usefixtures("esorex")
def test_the_script_runs_as_written(naco_archive: EmbeddedArchive, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ESOREX_BRIDGE_ARCHIVE": naco_archive.url},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    dataset, told = done.stdout.splitlines()
    assert dataset == "NACO.2016-03-02T00:30:00.076_tpl SYNTH-FIELD-1 ()"
    assert told.startswith("s <Result: 1 dataset; 3 ran> <Lineage of SYNTH-001_COADDED_IMG.fits: naco_img_")
    assert told.endswith("raws> 2 <img")
    assert "choices.yaml" in {path.name for path in (tmp_path / "night").iterdir()}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Iterator[eb.Night]:
    root = tmp_path_factory.mktemp("python") / "night"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    yield eb.open(root)


def test_datasets_are_shown_as_they_are_planned(night: eb.Night, tmp_path: Path) -> None:
    """A tree of the other mode among the data counts for neither."""
    data = shutil.copytree(night.root / "reflex_input" / "data_with_raw_calibs", tmp_path / "data")
    (tree,) = data.glob("*_raw2raw.xml")
    tree.rename(data / tree.name.replace("raw2raw", "raw2master"))
    other = eb.open(tmp_path / "night", data=data)
    (shown,) = other.datasets
    with eb.Session(other.settings) as session:
        ((planned, _),) = session.planning.plan_datasets()
    assert (shown.mode, planned.mode) == (None, None)


@pytest.fixture(scope="module")
def result(night: eb.Night, esorex: str) -> eb.Result:
    return night.run(set=SMALL_FRAMES)


def test_tab_shows_what_is_public() -> None:
    assert dir(eb) == sorted(eb.__all__)
    assert {"open", "Night", "Result", "UserError"} <= set(dir(eb))


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys, esorex_bridge; print(*sorted(n for n in sys.modules if n.startswith('esorex_bridge')))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["esorex_bridge", "esorex_bridge.version"]


def test_datasets_say_target_and_what_is_missing(night: eb.Night) -> None:
    (dataset,) = night.datasets
    assert (dataset.target, dataset.missing) == ("SYNTH-FIELD-1", ())
    assert night.datasets[dataset.name] == dataset


def test_what_is_shown_is_short(night: eb.Night, result: eb.Result) -> None:
    dataset, plan = night.datasets[0], night.plan()[0]
    lineage = result.end_products[0].made_from
    shown = (night, dataset, plan, plan.steps[0], result, result.reports[0], result.products[0], lineage)
    assert [text for text in map(repr, shown) if len(text) > 200 or "\n" in text] == []


def test_a_notebook_shows_tables(night: eb.Night, result: eb.Result) -> None:
    shown = (night.datasets, night.datasets[0], night.plan(), night.plan()[0], result, result.products)
    lineage = result.end_products[0].made_from
    for value in (*shown, lineage):
        assert value._repr_html_().startswith("<table>")
    assert "<img" in result.end_products[0]._repr_html_()


def test_html_escapes_what_comes_from_headers() -> None:
    report = eb.DatasetReport("<script>", "naco", ())
    assert "<script>" not in eb.Result((report,), Path())._repr_html_()


def test_a_result_is_a_table_with_units(result: eb.Result) -> None:
    assert list(result.table["result"]) == ["ran", "ran", "ran", "not needed"]
    assert str(result.table["seconds"].unit) == "s"
    assert not result.failed
    assert result.ran == 3


def test_a_second_run_reuses_everything(night: eb.Night, result: eb.Result) -> None:
    again = night.run(set=SMALL_FRAMES)
    assert (again.ran, again.reused) == (0, 3)
    assert repr(again) == "<Result: 1 dataset; 3 reused>"


def test_products_are_had_by_category(result: eb.Result) -> None:
    product = result.products["MASTER_IMG_FLAT"]
    assert product.path.is_file()
    assert product.step == "naco_img_twflat_1"
    assert result.products["COADDED_IMG"].path.parent.parent.parent.name == "reflex_end_products"
    with product.open() as hdus:
        assert hdus[0].header["ESO PRO CATG"] == "MASTER_IMG_FLAT"


def test_errors_have_attributes(night: eb.Night, result: eb.Result) -> None:
    with pytest.raises(eb.UnknownNameError) as unknown:
        result.products["COADED_IMG"]
    assert (unknown.value.kind, unknown.value.name, unknown.value.nearest) == ("product", "COADED_IMG", "COADDED_IMG")
    with pytest.raises(eb.UnknownNameError, match="did you mean 'naco_img_dark'") as recipe:
        night.plan(set={"naco_img_drak.nsamples": 1})
    assert recipe.value.kind == "recipe"
    with pytest.raises(eb.UnknownNameError, match="did you mean 'program'"):
        night.query(programm="60.A-9999")


def test_a_choice_is_told_and_taken_back(night: eb.Night) -> None:
    dataset = night.datasets[0]
    changes = night.choose(dataset, "DARK", use="NACO.2016-03-01T16:10:00.076", purpose="science", force=True)
    assert "now made: naco_img_dark_1 (DARK/IMGJITOBJ_SW)" in changes
    night.reset_choices(dataset)
    assert night.datasets[0] == dataset


def test_without_a_dataset_the_reason_is_said(tmp_path: Path) -> None:
    assert len(eb.open(tmp_path).datasets) == 0
    with pytest.raises(eb.DataError, match="no association tree"):
        eb.open(tmp_path).run()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(eb.UserError, match="is a file"):
        eb.open(tmp_path / "file")
