"""Generated workflow files run without Kepler on the nights that `esorex-bridge run` has reduced."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from astropy.io import fits
from msgspec.structs import replace

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.demo.nights.catalogue import NIGHTS
from reflex_actors.moml.reduction import reduction
from reflex_actors.moml.text import write
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction

DATA = "reflex_input/data_with_raw_calibs"
Contents = list[tuple[str, tuple[str, ...]]]
VARYING = {
    "PIXTABLE_REDUCED",
    "PIXTABLE_COMBINED",
    "DATACUBE_FINAL",
    "IMAGE_FOV",
    "IMG_OBJ_COMBINED",
    "IMG_PHOT_COMBINED",
}
"""Categories whose pixels differ from one run to the next on the same files: of muse_scipost and visir_img_reduce."""


def contents(products: Iterable[tuple[str, str]]) -> Contents:
    """Return categories with the DATASUMs of all extensions, sorted."""
    found = []
    for path, category in products:
        with fits.open(path) as hdus:
            sums = tuple(str(hdu.header.get("DATASUM")) for hdu in hdus)
            found.append((category, () if category in VARYING else sums))
    return sorted(found)


def assert_same_by_reflex(
    night: Reduction, workflow: str, bridge: Callable[..., Ended], root: Path, seconds: float = 1000
) -> None:
    """Run the workflow file of a definition on a night, and hold its products against those of `run`."""
    assert_outcomes(_run_file(night, workflow, bridge, root, night.root / DATA, seconds), night, {"ran"})


def assert_found_by_reflex(
    night: Reduction, workflow: str, bridge: Callable[..., Ended], root: Path, seconds: float = 1000
) -> None:
    """Run the workflow file of a definition where `run` has made all: each recipe finds that, so it gets the same.

    The products of the two are the same where files, tags, their order and parameters are.
    """
    copy = root / "night"
    shutil.copytree(night.root, copy, copy_function=_link, symlinks=True)
    assert_outcomes(_run_file(night, workflow, bridge, copy, copy / DATA, seconds), night, {"reused"})


def _run_file(
    night: Reduction, workflow: str, bridge: Callable[..., Ended], root: Path, data: Path, seconds: float
) -> Any:
    file = root / f"{workflow}.xml"
    file.write_text(write(reduction(_with_settings(workflow, NIGHTS[night.name].settings))))
    folders = ("-ROOT_DATA_DIR", root, "-RAW_DATA_DIR", data, "-CALIB_MODE", "none")
    ended = bridge("reflex", "run", file, "--json", *folders, seconds=seconds)
    assert ended.code == 0, ended.out + ended.err
    return ended.json


def assert_outcomes(report: Any, night: Reduction, outcomes: set[str]) -> None:
    """Hold what a workflow file came to against what `run` made: products of recipes and end products."""
    made = [each for each in report["firings"] if each.get("recipe") and each.get("products")]
    assert {each.get("outcome", "ran") for each in made} == outcomes
    wanted = [(product["path"], product["category"]) for step in night.steps for product in step["products"]]
    assert contents(pair for firing in made for pair in firing["products"]) == contents(wanted)
    delivered = [pair for products in report["end_products"].values() for pair in products]
    ends = [product for dataset in night.runs[0]["datasets"] for product in dataset["end_products"]]
    assert contents(delivered) == contents((each["path"], each["category"]) for each in ends)


def _link(source: str, target: str) -> None:
    """Link a FITS file, which nobody changes, and copy what may be written to."""
    if source.endswith(".fits"):
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def _with_settings(workflow: str, settings: Iterable[str]) -> Workflow:
    """Return a definition with the parameters that small frames need."""
    definition = read_workflow(workflow_folder() / f"{workflow}.yaml")
    return replace(definition, steps=tuple(_with(step, tuple(settings)) for step in definition.steps))


def _with(step: StepDefinition, settings: Iterable[str]) -> StepDefinition:
    own = [text.removeprefix(f"{step.recipe}.") for text in settings if text.startswith(f"{step.recipe}.")]
    return replace(step, parameters=tuple({**dict(step.parameters), **dict(_pair(text) for text in own)}.items()))


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value
