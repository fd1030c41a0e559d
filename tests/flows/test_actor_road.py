"""Actors in the hands of a driver that does what ESO Reflex does: on the embedded archive, with the real EsoRex."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.fits.header import read_header
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from reflex_actors.install import install
from reflex_actors.purposes import accumulate, split
from reflex_actors.sof_json import SetOfFiles, read_sof
from tests.flows.provenance_facts import facts_beside
from tests.flows.reflex_driver import ReflexDriver

PROGRAM = "60.A-9999(A)"


@pytest.fixture
def reflex(tmp_path: Path, empty_home: Path) -> ReflexDriver:
    """Return a Reflex with the actors installed, whose PYTHONPATH holds a module that must not get into ours."""
    installed = install(tmp_path / "actors")
    trap = tmp_path / "scratch" / "eso_python"
    trap.mkdir(parents=True)
    (trap / "reflex.py").write_text("raise SystemExit('ESO module loaded')\n")
    (trap / "json.py").write_text("raise SystemExit('wrong json')\n")
    (tmp_path / "scratch" / "optparse.py").write_text("raise SystemExit('the working directory got in')\n")
    assert len(installed.launchers) > 8
    return ReflexDriver(installed.folder, tmp_path / "scratch", empty_home)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data folder of a data root."""
    return tmp_path / "root" / "reflex_input" / "naco"


def reduce_with_actors(reflex: ReflexDriver, archive: str, data: Path) -> dict[str, Any]:
    """Go the whole road with actors; return the outputs by actor, and what each run of a recipe said."""
    frames = reflex.ok("query_archive.py", program=PROGRAM, archive=archive)
    fetched = reflex.ok("calselector_fetch.py", data_dir=str(data), dp_ids=frames["out_dp_ids"], archive=archive)
    listed = reflex.ok("organise_datasets.py", data_dir=fetched["out_data_dir"])
    chosen = reflex.ok("select_dataset.py", datasets=listed["datasets"], rule="complete")
    products, runs = SetOfFiles(), []
    for recipe in ("naco_img_dark", "naco_img_twflat", "naco_img_jitter"):
        given = {"dataset": chosen["out_dataset"], "products": products.document()}
        taken = reflex.ok("sof_for_recipe.py", recipe=recipe, **given)
        sop = "naco_img_twflat:bpm=true"
        done = [
            reflex.ok("run_recipe.py", in_sof=group.document(), recipe=recipe, in_sop=sop)
            for group in split(read_sof(taken["out_sof"]))
        ]
        runs += done
        made = accumulate(read_sof(each["out_sof"]) for each in done)
        products = accumulate((products, made), same_dataset=False)
    ends = reflex.ok("collect_products.py", in_sof=made.document())
    return {"query": frames, "fetch": fetched, "datasets": listed, "ends": ends, "runs": runs}


@pytest.mark.slow
def test_a_workflow_of_actors_makes_what_reduce_makes_and_a_second_pass_is_lazy(
    reflex: ReflexDriver, naco_archive: EmbeddedArchive, data: Path, tmp_path: Path, esorex: str
) -> None:
    first = reduce_with_actors(reflex, naco_archive.url, data)
    assert [run["logs"] != "" for run in first["runs"]] == [True] * 3
    assert first["fetch"]["complete"] == first["fetch"]["certified"] == "true"
    assert first["fetch"]["executed_mode"] == "Raw2Raw"

    (end,) = read_sof(first["ends"]["out_sof"]).files
    assert Path(end.name).name == "SYNTH-001_COADDED_IMG.fits"
    told = json.loads((Path(first["ends"]["end_dir"]) / "provenance.json").read_text())
    assert [step["recipe"] for step in told["steps"]][-1] == "naco_img_jitter"
    assert len({step["recipe"] for step in told["steps"]}) == 3
    assert sum(source["kind"] == "raw" for source in told["sources"]) >= 14

    headless = reduced_headless(data, tmp_path / "headless")
    assert checksum(Path(end.name)) == checksum(headless)
    assert facts_beside(Path(end.name)) == facts_beside(headless)
    assert "calSelector" in str(facts_beside(headless))

    asked = len(naco_archive.requests)
    second = reduce_with_actors(reflex, naco_archive.url, data)
    assert [run["logs"] for run in second["runs"]] == [""] * 3
    assert [request.kind for request in naco_archive.requests[asked:]] == ["tap"]
    for one, other in zip(first["runs"], second["runs"], strict=True):
        assert one["out_sof"] == other["out_sof"]


class Silent:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *told: None


def reduced_headless(data: Path, root: Path) -> Path:
    """Return the end product of the headless road on the same files."""
    place = root / "reflex_input" / "data_with_raw_calibs"
    place.parent.mkdir(parents=True)
    place.symlink_to(data)
    with Session(Settings(root)) as session:
        reports = session.run(session.planning.plan_datasets(), Silent(), datetime.now())
    (end,) = reports[0].end_products
    return end.path


def checksum(path: Path) -> object:
    return read_header(path)["DATAMD5"]
