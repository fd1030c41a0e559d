"""Faults that EsoRex's recipes pass over with exit code 0, each told or refused here: with the real recipes.

The faults are those that were measured on EsoRex 3.13.6; each test first makes sure that nothing else stops the recipe.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits
from msgspec.structs import replace

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.definitions.parameters import effective
from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight
from esorex_bridge.demo.nights.uves import uves_night
from esorex_bridge.demo.nights.visir import visir_night
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.products import check_outputs
from esorex_bridge.esorex.recipe import Recipe, RecipeRun
from esorex_bridge.plan.sof import of_entries
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.flows.conftest import SMALL, Ended, put_on_disk
from tests.flows.test_run_again import frame

pytestmark = pytest.mark.usefixtures("esorex")
Shape = Callable[[Association], Association]


def shaped(night: DemoNight, change: Shape) -> DemoNight:
    """Return a night whose (first) tree is changed."""
    tree = night.trees[0]
    return replace(night, trees=(AssociationTree(change(tree.root), tree.mode),))


def without(*categories: str) -> Shape:
    """Return a change that takes groups of some categories out of a tree, wherever they are."""

    def change(node: Association) -> Association:
        kept = tuple(change(child) for child in node.associated if child.category not in categories)
        return replace(node, associated=kept)

    return change


def run(night: DemoNight, frames: Path, root: Path, bridge: Callable[..., Ended], *words: str) -> Ended:
    put_on_disk(night, frames, root)
    return bridge("run", "--root", root, "--json", *words)


def remarks(ended: Ended, recipe: str) -> str:
    step = ended.step(recipe)
    return "; ".join((*step["warnings"], step["error"] or ""))


def test_darks_of_two_dits_in_one_group_are_never_combined(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    def one_group_of_darks(root: Association) -> Association:
        darks = [child for child in root.associated if child.category == "DARK"]
        others = tuple(child for child in root.associated if child.category != "DARK")
        mixed = replace(darks[0], files=tuple(file for dark in darks for file in dark.files))
        return replace(root, associated=(mixed, *others))

    ended = run(shaped(naco_night(npix=128), one_group_of_darks), frames_folder, tmp_path, bridge, *SMALL)
    assert ended.code == 0, ended.err
    (made,) = [p for p in ended.step("naco_img_dark")["products"] if p["category"] == "NACO_IMG_DARK_AVG"]
    header = fits.getheader(made["path"])
    assert header["HIERARCH ESO PRO DATANCOM"] == 3
    assert header["HIERARCH ESO DET DIT"] == 10


def test_a_single_dark_is_not_enough_for_hawki(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    def one_dark(root: Association) -> Association:
        return replace(
            root,
            associated=tuple(
                replace(child, files=child.files[:1]) if child.category.startswith("DARK") else child
                for child in root.associated
            ),
        )

    ended = run(shaped(hawki_night(npix=128), one_dark), frames_folder, tmp_path, bridge)
    assert ended.code == 1
    assert ended.step("hawki_dark_combine")["outcome"] == "skipped"
    assert ended.step("hawki_science_process")["outcome"] == "blocked"
    assert "needs MASTER_DARK: hawki_dark_combine of DARK: 1 < 2" in remarks(ended, "hawki_science_process")


def test_a_flat_made_without_a_dark_of_its_dit_says_so(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    def darks_of_the_science_only(root: Association) -> Association:
        science_dark = next(child for child in root.associated if child.category == "DARK")
        return replace(
            root,
            associated=tuple(
                replace(child, associated=(science_dark,)) if child.category == "FLAT_TW" else child
                for child in root.associated
            ),
        )

    ended = run(shaped(naco_night(npix=128), darks_of_the_science_only), frames_folder, tmp_path, bridge, *SMALL)
    assert ended.code == 0, ended.err
    # What calSelector put under the flat is handed to the recipe, which passes it over, and both are said.
    assert "DET.DIT 10.0 ≠ 2.0), kept as calSelector put it there" in remarks(ended, "naco_img_twflat")
    assert "naco_img_twflat did not use CAL_DARK" in remarks(ended, "naco_img_twflat")


def test_a_dark_that_the_recipe_passes_over_is_told(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    # A definition that forgets to match the DIT: the recipe ignores the dark with exit code 0.
    from esorex_bridge.definitions.folders import workflow_folder

    text = (workflow_folder() / "naco.yaml").read_text()
    careless = tmp_path / "careless.yaml"
    careless.write_text(re.sub(r"(CAL_DARK:\s+match: )\*dark", r"\1[]", text))
    assert careless.read_text() != text

    def darks_of_the_science_only(root: Association) -> Association:
        science_dark = next(child for child in root.associated if child.category == "DARK")
        flats = next(child for child in root.associated if child.category == "FLAT_TW")
        return replace(root, associated=(replace(flats, associated=(science_dark,)), science_dark))

    night = shaped(naco_night(npix=128), darks_of_the_science_only)
    ended = run(night, frames_folder, tmp_path / "root", bridge, "--workflow", str(careless), *SMALL)
    assert "naco_img_twflat did not use CAL_DARK" in remarks(ended, "naco_img_twflat")


def test_science_without_a_flat_is_refused(tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]) -> None:
    ended = run(shaped(naco_night(npix=128), without("FLAT_TW")), frames_folder, tmp_path, bridge, *SMALL)
    assert ended.code == 1
    assert "naco_img_jitter needs MASTER_IMG_FLAT: the dataset has none" in remarks(ended, "naco_img_jitter")


def test_a_uves_dark_without_a_bias_is_refused(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    ended = run(shaped(uves_night(), without("BIAS", "BIAS_BLUE")), frames_folder, tmp_path, bridge)
    blocked = {step["recipe"]: step["error"] for step in ended.json["datasets"][0]["steps"] if step["error"]}
    assert "needs MASTER_BIAS_BLUE" in " ".join(blocked.values())
    assert not [
        step for step in ended.json["datasets"][0]["steps"] if step["recipe"] == "uves_cal_mdark" and step["products"]
    ]


def test_a_raw_without_its_dit_is_not_combined_with_others(root: Path, bridge: Callable[..., Ended]) -> None:
    path = frame(root, "DARK", DET_DIT=10.0)
    fits.delval(path, "HIERARCH ESO DET DIT")
    ended = bridge("run", "--root", root, "--json", *SMALL)
    told = remarks(ended, "naco_img_jitter")
    assert "made without NACO_IMG_DARK_AVG" in told
    assert "2 < 3" in told
    assert "DET.DIT 2.0 ≠ 10.0" in told


def test_a_nod_that_is_left_out_is_told(tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]) -> None:
    def three_nods(root: Association) -> Association:
        return replace(root, files=root.files[:-1])

    ended = run(shaped(visir_night(), three_nods), frames_folder, tmp_path, bridge)
    (science,) = [step for step in ended.json["datasets"][0]["steps"] if step["recipe"] == "visir_old_img_combine"]
    told = "; ".join((*science["warnings"], science["error"] or ""))
    assert "ignoring the last of 3 file(s)" in told


def test_a_recipe_that_makes_nothing_has_failed(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    ended = run(
        hawki_night(npix=128), frames_folder, tmp_path, bridge, "--set", "hawki_science_process.preview_only=true"
    )
    assert ended.step("hawki_science_process")["outcome"] == "failed"
    assert "made no product" in remarks(ended, "hawki_science_process")
    assert "to repeat it: sh " in remarks(ended, "hawki_science_process")


def test_a_tag_that_the_recipe_does_not_know_is_no_success(root: Path) -> None:
    name = "uves_utl_remove_crh_single"
    folder = root / "by_hand"
    folder.mkdir()
    with Session(Settings(root)) as session:
        assert session.esorex is not None
        recipe = session.esorex.recipes([name])[name]
        assert isinstance(recipe, Recipe), recipe
        sof = of_entries([(frame(root, "FLAT,SKY"), "NO_SUCH_TAG")])
        ended = session.esorex.execute(RecipeRun(recipe, sof, effective(name, recipe.parameters, ()), folder))
    assert any("reported: uves_utl_remove_crh_single: Found no input frames" in said for said in ended.complaints)
    with pytest.raises(RecipeError, match="exited with status 0 and made no product"):
        check_outputs(name, ended.outputs)


def test_frames_of_different_size_crash_the_recipe_and_the_crash_is_explained(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    folder = put_on_disk(hawki_night(npix=128), frames_folder, tmp_path)
    other = {file.dp_id: file for file in hawki_night(npix=160).files}
    name = next(file.dp_id for file in hawki_night(npix=128).files if file.category == "DARK")
    path = folder / f"{name}.fits"
    path.write_bytes(other[name].build())
    with fits.open(path, mode="update") as hdus:
        for key in ("HIERARCH ESO DET WIN NX", "HIERARCH ESO DET WIN NY"):
            hdus[0].header[key] = 128
    ended = bridge("run", "--root", tmp_path, "--json")
    dark = ended.step("hawki_dark_combine")
    assert dark["outcome"] == "failed"
    assert "crashed" in dark["error"]
    assert path.name in dark["error"], "the frame that differs is not named"
