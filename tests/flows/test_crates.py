"""Crates: exported, carried elsewhere, verified, held against the public validator."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")

DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
VALIDATOR = Path(sys.prefix) / "validator" / "bin" / "python"
PROFILES = ("process-run-crate-0.5", "workflow-run-crate-0.5", "provenance-run-crate-0.5")


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return the root of a small NACO night that was reduced."""
    root = tmp_path_factory.mktemp("reduced")
    put_on_disk(naco_night(npix=128), frames_folder, root)
    ended = bridge("run", "--root", root, *SMALL)
    assert ended.code == 0, ended.err
    return root


@pytest.fixture
def crate(reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> Path:
    """Return a crate with products and raws, moved away from where it was exported."""
    ended = bridge(
        "provenance",
        "export",
        DATASET,
        "--root",
        reduced,
        "--crate",
        tmp_path / "new",
        "--with-products",
        "--with-raws",
    )
    assert ended.code == 0, ended.err
    return (tmp_path / "new").rename(tmp_path / "carried")


def test_a_crate_that_was_carried_elsewhere_is_whole(crate: Path, bridge: Callable[..., Ended]) -> None:
    report = bridge("provenance", "verify", crate, "--json")
    assert (report.code, report.json["whole"], report.json["signature"]) == (0, True, "none")


def test_sha256sum_agrees_with_the_manifest(crate: Path) -> None:
    lines = [line for line in (crate / "manifest-sha256.txt").read_text().splitlines() if not line.startswith("#")]
    words = ["sha256sum", "--check", "--strict", "--quiet"]
    done = subprocess.run(words, input="\n".join(lines), text=True, cwd=crate, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(lines) > 10


def test_one_changed_byte_in_any_file_is_named(crate: Path, bridge: Callable[..., Ended]) -> None:
    files = sorted(path for path in crate.rglob("*") if path.is_file())
    raws = [path for path in files if path.parent.name == "raws"]
    for path in [file for file in files if file not in raws[1:]]:
        kept = path.read_bytes()
        middle = len(kept) // 2
        path.write_bytes(kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :])
        report = bridge("provenance", "verify", crate, "--json")
        path.write_bytes(kept)
        assert report.code == 1
        assert {finding["file"] for finding in report.json["findings"]} == {str(path.relative_to(crate))}
    assert bridge("provenance", "verify", crate).code == 0


def test_a_missing_and_an_added_file_are_named(crate: Path, bridge: Callable[..., Ended]) -> None:
    (crate / "workflow.json").rename(crate / "other.json")
    told = bridge("provenance", "verify", crate).out
    assert "workflow.json is missing" in told
    assert "other.json is not in the manifest" in told


def test_a_signature_holds_for_its_signer_and_for_nobody_else(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    for name in ("mine", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True)
        public = (tmp_path / f"{name}.pub").read_text()
        (tmp_path / f"{name}.signers").write_text(f'observer namespaces="esorex-bridge" {public}')
    crate = tmp_path / "crate"
    words = ("provenance", "export", DATASET, "--root", reduced, "--crate", crate, "--sign", tmp_path / "mine")
    assert bridge(*words).code == 0
    assert bridge("provenance", "verify", crate, "--json").json["signature"] == "not checked"
    good = bridge("provenance", "verify", crate, "--signers", tmp_path / "mine.signers", "--json")
    assert (good.code, good.json["signature"], good.json["signer"]) == (0, "good", "observer")
    bad = bridge("provenance", "verify", crate, "--signers", tmp_path / "other.signers", "--json")
    assert (bad.code, bad.json["signature"]) == (1, "bad")
    (crate / "manifest-sha256.txt.sig").unlink()
    assert bridge("provenance", "verify", crate, "--signers", tmp_path / "mine.signers").code == 1


def test_a_crate_is_not_written_over_something_else(
    reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    ended = bridge("provenance", "export", DATASET, "--root", reduced, "--crate", tmp_path)
    assert ended.code == 1
    assert "not empty" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_raw_that_changed_since_is_not_exported(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    folder = put_on_disk(naco_night(npix=128), frames_folder, tmp_path / "root")
    assert bridge("run", "--root", tmp_path / "root", *SMALL).code == 0
    raw = next(path for path in sorted(folder.glob("*.fits")) if "00:30:00" in path.name)
    raw.write_bytes(raw.read_bytes().replace(b"SYNTH", b"SYNTX", 1))
    ended = bridge(
        "provenance", "export", DATASET, "--root", tmp_path / "root", "--crate", tmp_path / "crate", "--with-raws"
    )
    assert ended.code == 1
    assert raw.name in ended.err
    assert not (tmp_path / "crate").exists()


def test_a_dry_run_writes_nothing(reduced: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("provenance", "export", DATASET, "--root", reduced, "--crate", tmp_path / "crate", "--dry-run")
    assert (ended.code, list(tmp_path.iterdir())) == (0, [])


@pytest.mark.slow
def test_the_public_validator_finds_nothing_that_is_required(crate: Path) -> None:
    if not VALIDATOR.exists():
        pytest.skip("the validator of RO-Crates is not installed beside the tests (make test-tools)")
    program = Path(__file__).parents[1] / "crate_validator.py"
    words = [str(VALIDATOR), "-I", str(program), str(crate), *PROFILES]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {profile: [] for profile in PROFILES}
