"""What is recorded, what it holds, and what may go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.workspace.locks import locked
from tests.flows.conftest import SMALL, Ended
from tests.flows.test_run_again import change_a_pixel

pytestmark = pytest.mark.usefixtures("esorex")


def products(root: Path) -> set[Path]:
    return set((root / "reflex_tmp_products").rglob("*.fits"))


def test_status_counts_runs_and_hits_and_finds_damage(root: Path, bridge: Callable[..., Ended]) -> None:
    for _ in range(2):
        bridge("run", "--root", root, *SMALL)
    status = bridge("status", "--root", root, "--json", "--verify").json
    assert [(run["executed"], run["reused"]) for run in status["runs"]] == [(3, 0), (0, 3)]
    assert {entry["recipe"]: entry["steps"] for entry in status["recipes"]} == {
        "naco_img_dark": 1, "naco_img_twflat": 1, "naco_img_jitter": 1,
    }  # fmt: skip
    assert (status["verified"], status["damaged"]) == (3, [])
    raws = sum(path.name.endswith(".fits") for path in (root / "reflex_input").rglob("*"))
    assert 3 < status["verified_files"] <= raws + len(list((root / "reflex_end_products").rglob("*.fits")))
    assert status["disk_bytes"]["reflex_tmp_products"] == sum(path.stat().st_size for path in products(root))
    change_a_pixel(next(iter(products(root))))
    ended = bridge("status", "--root", root, "--json", "--verify")
    assert ended.code == 1
    assert "sha256 differs" in ended.json["damaged"][0]


def test_clean_removes_what_no_dataset_needs_and_only_when_told(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    needed = products(root)
    bridge("run", "--root", root, *SMALL, "--set", "naco_img_dark.nsamples=50")
    bridge("run", "--root", root)  # fails on frames of 128 pixels, and leaves its folders
    raws, ends = set((root / "reflex_input").rglob("*")), set((root / "reflex_end_products").rglob("*"))
    told = bridge("clean", "--root", root, *SMALL, "--json")
    assert not told.json["removed"]
    assert len(products(root)) > len(needed)
    reasons = {entry["reason"] for entry in told.json["folders"]}
    assert reasons == {"no dataset needs it", "left by a run that failed or was killed"}
    done = bridge("clean", "--root", root, *SMALL, "--json", "--yes")
    assert [entry["path"] for entry in done.json["folders"]] == [entry["path"] for entry in told.json["folders"]]
    assert products(root) == needed
    assert set((root / "reflex_input").rglob("*")) == raws
    assert set((root / "reflex_end_products").rglob("*")) == ends
    assert bridge("run", "--root", root, *SMALL, "--json").json["executed"] == 0
    assert bridge("clean", "--root", root, *SMALL, "--json").json["folders"] == []


def test_clean_leaves_a_run_that_goes_on_alone(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    going = root / "reflex_book_keeping" / "naco" / "naco_img_dark_1" / "2026-01-01T00:00:00.000"
    with locked(going / ".running"):
        assert bridge("clean", "--root", root, *SMALL, "--json").json["folders"] == []
    assert len(bridge("clean", "--root", root, *SMALL, "--json").json["folders"]) == 1


def test_clean_refuses_where_it_cannot_tell_what_is_needed(
    root: Path, bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    bridge("run", "--root", root, *SMALL)
    refused = bridge("clean", "--root", root, "--yes", env={"PATH": str(tmp_path)})
    assert refused.code == 1
    assert "cannot be told without EsoRex" in refused.err


def test_the_script_of_a_run_repeats_it(root: Path, bridge: Callable[..., Ended]) -> None:
    import subprocess

    ended = bridge("run", "--root", root, "--json", *SMALL)
    folder = Path(ended.step("naco_img_jitter")["sof"]).parent
    subprocess.run(["sh", str(folder / "cmdline.sh")], check=True, capture_output=True)
    assert (folder / "naco_img_jitter.fits").is_file()
