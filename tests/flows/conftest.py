"""A NACO night on disk, and the command as a user starts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight, FrameFolder
from reflex_actors.install import install
from tests.commands import run_command

SMALL_FRAMES = {
    "naco_img_dark.r": "8 8 8 8",
    "naco_img_twflat.r": "8 8 8 8",
    "naco_img_jitter.xcorr": "12 12 20 20",
}
"""What the recipes need to run on frames of 128 pixels, and to look for offsets no farther than the stars moved."""
SMALL = tuple(f"--set={name}={value}" for name, value in SMALL_FRAMES.items())


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    def step(self, recipe: str) -> dict[str, Any]:
        """The report of the first step of a recipe, in the only dataset."""
        (dataset,) = self.json["datasets"]
        return next(step for step in dataset["steps"] if step["recipe"] == recipe)

    @property
    def decisions(self) -> dict[str, str]:
        """The decision on every recipe that ran or could have."""
        (dataset,) = self.json["datasets"]
        return {step["recipe"]: step["decision"] for step in dataset["steps"] if step["recipe"]}


@pytest.fixture(scope="session")
def bridge() -> Callable[..., Ended]:
    """Return a function that runs `esorex-bridge` to its end."""

    def run(*words: object, env: dict[str, str] | None = None, seconds: float = 200) -> Ended:
        done = run_command(*words, env=env, seconds=seconds)
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def actors_folder(tmp_path_factory: pytest.TempPathFactory, empty_home: Path) -> Path:
    """Return the folder of installed actors, for all who change nothing there; to write the workflows takes long."""
    return install(tmp_path_factory.mktemp("installed") / "actors").folder


@pytest.fixture
def small_night() -> DemoNight:
    """Return a NACO night of 128 pixels."""
    return naco_night(npix=128)


@pytest.fixture
def root(tmp_path: Path, frames_folder: Path, small_night: DemoNight) -> Path:
    """Return a data root into which the small night was fetched."""
    put_on_disk(small_night, frames_folder, tmp_path / "root")
    return tmp_path / "root"


def put_on_disk(night: DemoNight, frames: Path, root: Path) -> Path:
    """Put a night's files and trees where a fetch puts them, unpacked, and return the folder."""
    folder = root / "reflex_input" / "data_with_raw_calibs"
    folder.mkdir(parents=True)
    for file in night.files:
        (folder / f"{file.dp_id}.fits").write_bytes(FrameFolder(frames).fits(night, file).read_bytes())
    for tree in night.trees:
        if tree.mode != "Raw2Raw":
            continue
        (folder / f"{tree.root.files[0].name}_{tree.mode.lower()}.xml").write_text(tree_document(tree))
    return folder
