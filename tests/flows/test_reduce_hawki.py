"""The HAWK-I road: raw darks, and processed calibrations that the archive delivers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flows.conftest import Ended


@pytest.mark.usefixtures("esorex")
def test_the_demonstration_reduces_hawki_and_then_reuses_all(bridge: Callable[..., Ended], tmp_path: object) -> None:
    ended = bridge("demo", "--instrument", "hawki", "--root", tmp_path, "--json")
    assert ended.code == 0, ended.err
    first, second = ended.json["runs"]
    (dataset,) = first["datasets"]
    assert [step["recipe"] for step in dataset["steps"]] == [
        "hawki_dark_combine",
        "hawki_science_process",
        "hawki_science_postprocess",
    ]
    assert first["executed"] == 3
    assert second["executed"] == 0
    assert "JITTERED_IMAGE_SCI" in {product["category"] for product in dataset["end_products"]}
    statics = [file["name"] for file in first["files"] if file["name"].startswith("M.HAWKI")]
    assert len(statics) >= 7
