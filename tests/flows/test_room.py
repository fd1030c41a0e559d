"""What the disk has no room for is refused before it begins, with how much is needed, where, and what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.commands import run_command
from tests.flows.conftest import SMALL, Ended, put_on_disk

COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Path:
    root = tmp_path_factory.mktemp("night") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    return root / "reflex_input"


@pytest.fixture(scope="module")
def archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as served:
        yield served


def on_disk(size: str, place: Path, script: str, *words: object) -> Ended:
    """Run a command while a file system of a size is mounted at a place, which only that command sees."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    place.mkdir(exist_ok=True)
    lines = f'mount -t tmpfs -o size={size} none "{place}"\n{script}\n"$@"\ncode=$?\nls -R "{place}" >&2\nexit $code'
    command = ["unshare", "-rm", "sh", "-c", lines, "sh", COMMAND, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    return Ended(done.returncode, done.stdout, done.stderr)


def data_in(place: Path, frames: Path) -> str:
    return f'cp -r "{frames}" "{place}"'


@pytest.mark.usefixtures("esorex")
@pytest.mark.parametrize("verb", ["run", "batch"])
def test_products_that_do_not_fit_are_not_begun(verb: str, frames: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    used = sum(path.stat().st_size for path in frames.rglob("*") if path.is_file())
    size = f"{used // 1024 + 400}k"
    words = [verb, "--root", place, *SMALL, *(("--data", place / "reflex_input") if verb == "batch" else ())]
    refused = on_disk(size, place, data_in(place, frames), *words)
    assert refused.code == 1, refused.err
    assert f"are needed on the disk of {place}" in refused.err and "of products), which has" in refused.err
    assert "make room" in refused.err and "--room ignore" in refused.err
    assert "data.sof" not in refused.err, "a recipe was started"
    told = on_disk(size, place, data_in(place, frames), *words, "--dry-run", "--json")
    (disk,) = json.loads(told.out)["disk"]
    assert told.code == 1 and disk["enough"] is False and disk["needed_bytes"] > disk["free_bytes"]
    assert disk["needed_bytes"] == disk["made_bytes"] and disk["fetched_bytes"] == 0
    said = on_disk(size, place, data_in(place, frames), *words, "--dry-run")
    assert said.code == 1 and "not enough" in " ".join(said.out.split())
    begun = on_disk(size, place, data_in(place, frames), *words, "--room", "ignore")
    assert "are needed on the disk" not in begun.err and "data.sof" in begun.err


@pytest.mark.usefixtures("esorex")
def test_a_grid_needs_room_for_all_its_variants(frames: Path, tmp_path: Path) -> None:
    def needed(*words: object) -> int:
        told = run_command("run", "--root", tmp_path / "large", "--data", frames, *SMALL, *words, "--dry-run", "--json")
        (disk,) = json.loads(told.stdout)["disk"]
        assert disk["enough"] is True and told.returncode == 0
        return int(disk["needed_bytes"])

    grid = ("--grid", "naco_img_jitter.rej=1 1,0 0,2 2,3 3,4 4,5 5,6 6,7 7")
    one, all_of_them = needed(), needed(*grid)
    assert one < all_of_them < 8 * one, "what the variants share is counted once"
    place = tmp_path / "small"
    used = sum(path.stat().st_size for path in frames.rglob("*") if path.is_file())
    words = ["run", "--root", place, *SMALL, *grid]
    refused = on_disk(f"{(used + (one + all_of_them) // 2) // 1024}k", place, data_in(place, frames), *words)
    assert refused.code == 1 and f"are needed on the disk of {place}" in refused.err
    assert "data.sof" not in refused.err, "a recipe was started"


@pytest.mark.usefixtures("esorex")
@pytest.mark.parametrize("verb", ["reduce", "batch"])
def test_what_is_fetched_counts_with_what_is_made_of_it(verb: str, archive: EmbeddedArchive, tmp_path: Path) -> None:
    """The raws fit; with their products they do not."""
    place = tmp_path / "small"
    words = [verb, "--program", "60.A-9999(A)", "--root", place, "--archive", archive.url, *SMALL]
    told = on_disk("500m", place, "", *words, "--dry-run", "--json")
    (disk,) = json.loads(told.out)["disk"]
    assert told.code == 0 and disk["enough"] is True and 0 < disk["fetched_bytes"] == disk["made_bytes"]
    size = f"{disk['fetched_bytes'] // 1024 + 300}k"
    refused = on_disk(size, place, "", *words)
    said = " ".join((refused.out + refused.err).split())
    assert refused.code == 1, said
    assert "to be fetched" in said and "of products), which has" in said and "--room ignore" in said
    assert "data.sof" not in refused.err
    setting = f"mkdir -p {place}; echo 'room: ignore' > {place}/settings.yaml"
    begun = on_disk(size, place, setting, *words)
    assert "are needed on the disk" not in begun.out + begun.err


@pytest.mark.usefixtures("esorex")
def test_what_recipes_made_before_says_what_they_will_make(frames: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(frames, root / "reflex_input")

    def run(*words: str) -> dict[str, list[dict[str, int]]]:
        command = [COMMAND, "run", "--root", str(root), "--json", *SMALL, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr
        document: dict[str, list[dict[str, int]]] = json.loads(done.stdout)
        return document

    (guessed,) = run()["disk"]
    made = sum(path.stat().st_size for path in (root / "reflex_tmp_products").rglob("*.fits"))
    made += sum(path.stat().st_size for path in (root / "reflex_end_products").rglob("*.fits"))
    assert run()["disk"] == []
    (known,) = run("--lazy", "off", "--dry-run")["disk"]
    assert abs(known["made_bytes"] - made) < 0.1 * made
    assert guessed["made_bytes"] != known["made_bytes"]
