"""Pipelines whose recipes want detectors of full size: minutes, with `make test-all`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.hawki_full import NPIX
from esorex_bridge.demo.hawki_mosaic import CHIPS, GAIN_E_PER_COUNT, Detectors, chip_pixels, chip_stars
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import assert_told, reduce_twice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_hawki_goes_all_the_way_from_raws(bridge: Callable[..., Ended], tmp_path: Path, esorex: str) -> None:
    night = reduce_twice("hawki_full", tmp_path, bridge, seconds=1000)
    assert night.code == 0, night.runs
    assert sorted(night.recipes) == [
        "hawki_dark_combine", "hawki_dark_combine", "hawki_detector_noise", "hawki_science_process",
        "hawki_twilight_flat_combine",
    ]  # fmt: skip
    assert night.decisions(1) == {"reuse"}
    assert night.runs[1]["executed"] == 0
    assert_told([night])
    detectors = Detectors(NPIX, 42)
    with fits.open(night.product("MASTER_TWILIGHT_FLAT")) as flat:
        for chip in CHIPS:
            sensitivity, hot = chip_pixels(detectors, chip)
            good = ~hot & (sensitivity > 0.5)
            ratio = flat[f"CHIP{chip}.INT1"].data[good] / sensitivity[good]
            assert np.std(ratio / np.median(ratio)) < 0.01
    noise = fits.getdata(night.product("MASTER_READGAIN"), 1)
    assert noise["GAIN"] == pytest.approx([GAIN_E_PER_COUNT] * len(CHIPS), rel=0.1)
    assert noise["READNOISE"] == pytest.approx([5.0] * len(CHIPS), rel=0.1)
    with fits.open(night.product("OBJECT_CATALOGUE_JITTERED")) as catalogue:
        found = [len(extension.data) for extension in catalogue[1:]]
    assert found == pytest.approx([len(chip_stars(detectors, chip)) for chip in CHIPS], rel=0.1)
