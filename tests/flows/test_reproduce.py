"""Products made again from what is known of them: from a crate, from the archive, from a header."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")

DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
NOWHERE = "http://127.0.0.1:9"
"""An address that nobody serves: the discard port."""


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return the root of a small NACO night that was reduced."""
    root = tmp_path_factory.mktemp("reduced")
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert bridge("run", "--root", root, *SMALL).code == 0
    return root


def export(root: Path, dataset: str, crate: Path, bridge: Callable[..., Ended], *options: str) -> Path:
    ended = bridge("provenance", "export", dataset, "--root", root, "--crate", crate, *options)
    assert ended.code == 0, ended.err
    return crate


def verdicts(ended: Ended) -> set[str]:
    return {product["verdict"] for product in ended.json["products"]}


def test_a_crate_with_raws_is_reproduced_without_an_archive_and_without_the_root(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    root = tmp_path / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert bridge("run", "--root", root, *SMALL).code == 0
    crate = export(root, DATASET, tmp_path / "crate", bridge, "--with-raws")
    shutil.rmtree(root)
    home = {"HOME": str(tmp_path / "home")}
    again = bridge(
        "provenance", "reproduce", crate, "--root", tmp_path / "again", "--archive", NOWHERE, "--json", env=home
    )
    assert again.code == 0, again.out + again.err
    assert again.json["identical"]
    assert verdicts(again) == {"identical"}
    assert {product["category"] for product in again.json["products"]} >= {"MASTER_IMG_FLAT", "COADDED_IMG"}
    (delivered,) = again.json["delivered"]
    with fits.open(delivered) as made:
        assert made[0].data.size > 0


def test_a_crate_without_raws_is_reproduced_from_the_archive(
    reduced: Path, tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    crate = export(reduced, DATASET, tmp_path / "crate", bridge)
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        again = bridge(
            "provenance", "reproduce", crate, "--root", tmp_path / "again", "--archive", archive.url, "--json"
        )
    assert again.code == 0, again.out + again.err
    assert verdicts(again) == {"identical"}


def test_what_cannot_be_had_is_named_and_nothing_runs(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    crate = export(reduced, DATASET, tmp_path / "crate", bridge, "--with-raws")
    lost = sorted((crate / "raws").iterdir())[0]
    lost.unlink()
    again = bridge("provenance", "reproduce", crate, "--root", tmp_path / "again", "--offline", "--json")
    assert again.code == 1
    assert any(lost.name.removesuffix(".fits") in problem for problem in again.json["problems"])
    assert again.json["products"] == []
    assert not list((tmp_path / "again").rglob("*.fits"))


def test_a_raw_that_the_archive_changed_is_not_taken_for_the_one_that_was_used(
    reduced: Path, tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    crate = export(reduced, DATASET, tmp_path / "crate", bridge)
    with EmbeddedArchive([naco_night(npix=128, seed=8)], frames_folder) as archive:
        again = bridge(
            "provenance", "reproduce", crate, "--root", tmp_path / "again", "--archive", archive.url, "--json"
        )
    assert again.code == 1
    assert any("another content in the archive" in problem for problem in again.json["problems"])
    assert again.json["products"] == []


def test_another_parameter_makes_other_data(reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    crate = export(reduced, DATASET, tmp_path / "crate", bridge, "--with-raws")
    document = crate / "provenance.json"
    told = document.read_text()
    assert '"8 8 8 8"' in told
    document.write_text(told.replace('"8 8 8 8"', '"20 20 20 20"'))
    again = bridge("provenance", "reproduce", crate, "--root", tmp_path / "again", "--offline", "--json")
    assert again.code == 1
    assert "differs" in verdicts(again)


def test_a_product_of_one_step_is_reproduced_from_its_header_alone(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    """The dark's header names all that the recipe took; that of the jitter recipe leaves out its dark."""
    dark = next((reduced / "reflex_tmp_products").rglob("*dark_set01_avg.fits"))
    words = ("--from-header", "--data", reduced / "reflex_input", "--offline", "--json")
    again = bridge("provenance", "reproduce", dark, "--root", tmp_path / "dark", *words)
    assert again.code == 0, again.out + again.err
    jitter = next((reduced / "reflex_tmp_products").rglob("naco_img_jitter.fits"))
    again = bridge("provenance", "reproduce", jitter, "--root", tmp_path / "jitter", *words)
    assert again.code == 1
    assert any("naco_img_twflat_set01" in problem for problem in again.json["problems"])


def test_the_root_that_made_a_product_does_not_reproduce_it(reduced: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("provenance", "reproduce", DATASET, "--from-root", reduced, "--root", reduced)
    assert ended.code == 1
    assert "another --root" in ended.err


def test_a_dry_run_names_the_recipes_and_runs_none(reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    words = ("--from-root", reduced, "--root", tmp_path / "again", "--dry-run")
    ended = bridge("provenance", "reproduce", DATASET, *words)
    assert (ended.code, "naco_img_jitter" in ended.out) == (0, True), ended.err
    assert not (tmp_path / "again" / "reflex_tmp_products").exists()


def test_another_library_is_named(reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    crate = export(reduced, DATASET, tmp_path / "crate", bridge, "--with-raws")
    document = crate / "provenance.json"
    told = json.loads(document.read_text())
    (name, digest) = next(iter(told["steps"][0]["libraries"].items()))
    document.write_text(document.read_text().replace(digest, digest[:-8] + "00000000"))
    again = bridge("provenance", "reproduce", crate, "--root", tmp_path / "again", "--offline", "--json")
    assert {each["what"] for each in again.json["versions"]} == {f"library {name}"}
    assert verdicts(again) == {"identical"}


@pytest.fixture(scope="module", params=["naco", "hawki", "uves"])
def reduced_night(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    frames_folder: Path,
    bridge: Callable[..., Ended],
) -> tuple[str, Path]:
    """Return the name of a night of the usual size, and its root after a reduction."""
    name: str = request.param
    root = tmp_path_factory.mktemp(name)
    put_on_disk(make_night(name), frames_folder, root)
    ended = bridge("run", "--root", root, *(f"--set={text}" for text in NIGHTS[name].settings))
    assert ended.code == 0, ended.err
    return name, root


@pytest.mark.slow
@pytest.mark.parametrize("raws", ["in the crate", "in the archive"])
def test_whole_nights_are_reproduced_in_a_clean_home(
    raws: str, reduced_night: tuple[str, Path], tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    name, root = reduced_night
    (dataset,) = {path.parent.name for path in (root / "reflex_end_products").rglob("*.fits")}
    with_raws = ("--with-raws",) if raws == "in the crate" else ()
    crate = export(root, dataset, tmp_path / "crate", bridge, *with_raws)
    with EmbeddedArchive([make_night(name)], frames_folder) as archive:
        again = bridge(
            "provenance",
            "reproduce",
            crate,
            "--root",
            tmp_path / "again",
            "--archive",
            NOWHERE if with_raws else archive.url,
            "--json",
            env={"HOME": str(tmp_path / "home")},
        )
    assert again.json["problems"] == []
    ends = {product["category"] for product in json.loads((crate / "provenance.json").read_text())["products"]}
    made = again.json["products"]
    assert ends <= {product["category"] for product in made}
    assert verdicts(again) == {"identical"}
    assert again.code == 0
