"""Definitions and packages held against each other, association by association."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from tests.edps.packages import TOY, write_package

OURS = """
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
steps:
  - recipe: toy_bias
    main: [BIAS]
    group_by: [TPL.START]
    products: [MASTER_BIAS]
  - recipe: toy_star
    main: [STAR]
    minimum: 2
    calibrations:
      MASTER_BIAS: {required: true, match: [DET.READ], validity: [{days: [-1, 1]}, {days: [-9, 9], level: 1}]}
      MASTER_MAP: {}
    products: [STAR_IMAGE]
"""


def compare(capsys: pytest.CaptureFixture[str], *names: str) -> dict[tuple[str, str, str], tuple[str, str]]:
    assert main(["workflows", "compare", *names, "--json"]) == 0, capsys.readouterr()
    found = json.loads(capsys.readouterr().out)
    rows = {(row["recipe"], row["category"], row["field"]): (row["left"], row["right"])
            for row in found["compared"] if not row["same"]}  # fmt: skip
    assert found["differ"] == len(rows)
    return rows


def test_where_a_definition_and_a_package_differ_is_told_association_by_association(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(tmp_path, TOY)
    ours = tmp_path / "ours.yaml"
    ours.write_text(OURS)
    assert compare(capsys, str(ours), f"edps:{tmp_path}/toy") == {
        ("toy_star", "", "group_by"): ("-", "TPL.START"),
        ("toy_star", "", "minimum"): ("2", "1"),
        ("toy_star", "MASTER_BIAS", "days"): (
            "-1 … 1 (level 0); -9 … 9 (level 1)",
            "-1 … 1 (level 0); -7 … 7 (level 1)",
        ),
        ("toy_star", "MASTER_MAP", "calibration"): ("there", "-"),
        ("toy_star", "MASTER_LAMP", "calibration"): ("-", "there"),
        ("toy_lamp", "", "step"): ("-", "there"),
    }


def test_a_package_agrees_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(tmp_path, TOY)
    assert compare(capsys, f"edps:{tmp_path}/toy", f"edps:{tmp_path}/toy/toy_wkf.py") == {}


def test_a_function_is_named_where_it_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(tmp_path / "one", TOY)
    by_function = TOY.replace('.with_match_keywords(["det.read"], time_range=ONE_DAY', ".with_match_function(alike")
    write_package(tmp_path / "other", "\n    def alike(ref, f): return True\n" + by_function)
    rows = compare(capsys, f"edps:{tmp_path}/one/toy", f"edps:{tmp_path}/other/toy")
    assert rows["toy_star", "MASTER_BIAS", "match"] == ("DET.READ", "function alike (toy_wkf.py:2)")


def test_compare_takes_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflows", "compare", "naco"]) == 1
    assert "compare takes two definitions" in capsys.readouterr().err
