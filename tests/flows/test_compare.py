"""Two reductions side by side: what was done otherwise, and by how much the pixels differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")

DATASET = "NACO.2016-03-02T00:30:00.076_tpl"


@pytest.fixture(scope="module")
def roots(
    tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]
) -> tuple[Path, Path]:
    """Return two roots: a night, and the same reduced once more with another parameter of the last recipe."""
    first = tmp_path_factory.mktemp("compare") / "first"
    put_on_disk(naco_night(npix=128), frames_folder, first)
    assert bridge("run", "--root", first, *SMALL).code == 0
    second = first.with_name("second")
    shutil.copytree(first, second, symlinks=True)
    assert bridge("run", "--root", second, *SMALL, "--set", "naco_img_jitter.oddeven=true").code == 0
    return first, second


def products(root: Path) -> list[Path]:
    return sorted((root / "reflex_end_products").rglob("*.fits"), key=lambda path: path.stat().st_mtime_ns)


def test_a_reduction_compared_with_itself_differs_in_nothing(
    roots: tuple[Path, Path], bridge: Callable[..., Ended]
) -> None:
    told = bridge("compare", DATASET, DATASET, "--root", roots[0], "--json").json
    assert told["same"]
    assert [product["same_data"] for product in told["products"]] == [True]


def test_the_parameter_that_was_changed_is_all_that_is_told(
    roots: tuple[Path, Path], bridge: Callable[..., Ended]
) -> None:
    told = bridge("compare", DATASET, DATASET, "--root", roots[0], "--other-root", roots[1], "--json").json
    changed = {step["recipe"]: step["changes"] for step in told["steps"] if not step["same"]}
    assert changed == {
        "naco_img_jitter": [{"what": "parameter naco.naco_img_jitter.oddeven", "a": "FALSE", "b": "TRUE"}]
    }


def test_the_statistics_are_those_that_numpy_finds(roots: tuple[Path, Path], bridge: Callable[..., Ended]) -> None:
    one, other = products(roots[0])[0], products(roots[1])[-1]
    told = bridge("compare", one, other, "--root", roots[0], "--other-root", roots[1], "--json").json
    (product,) = told["products"]
    delta = fits.getdata(other).astype(float) - fits.getdata(one).astype(float)
    assert product["same_data"] is bool(np.all(delta == 0))
    if not product["same_data"]:
        (hdu,) = product["difference"]
        assert hdu["differing"] == np.count_nonzero(delta)
        assert hdu["largest"] == pytest.approx(np.abs(delta).max())
        assert hdu["std"] == pytest.approx(delta.std())


def test_a_crate_is_compared_with_the_root_that_it_left(
    roots: tuple[Path, Path], tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    words = ("provenance", "export", DATASET, "--root", roots[0], "--crate", tmp_path / "crate", "--with-products")
    assert bridge(*words).code == 0
    told = bridge("compare", tmp_path / "crate", DATASET, "--root", roots[1], "--json").json
    assert [step["recipe"] for step in told["steps"] if not step["same"]] == ["naco_img_jitter"]
    same = bridge("compare", tmp_path / "crate", DATASET, "--root", roots[0]).out
    assert "made by the same steps" in same


def test_another_raw_is_named(
    roots: tuple[Path, Path], tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    folder = put_on_disk(naco_night(npix=128), frames_folder, tmp_path / "root")
    raw = next(path for path in sorted(folder.glob("*.fits")) if "00:31:20" in path.name)
    with fits.open(raw, mode="update") as hdus:
        hdus[0].data = hdus[0].data + 5
    assert bridge("run", "--root", tmp_path / "root", *SMALL).code == 0
    told = bridge("compare", DATASET, DATASET, "--root", roots[0], "--other-root", tmp_path / "root")
    assert "input IM_JITTER_OBJ" in told.out
    assert raw.name.removesuffix(".fits") in told.out
    assert "COADDED_IMG: other data" in told.out


def test_what_is_unknown_is_refused(roots: tuple[Path, Path], tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    assert bridge("compare", DATASET, "nothing", "--root", roots[0]).code == 1
    ended = bridge("compare", DATASET, DATASET, "--root", tmp_path / "nowhere")
    assert (ended.code, "is not a data root" in ended.err) == (1, True)
    assert not (tmp_path / "nowhere").exists()
