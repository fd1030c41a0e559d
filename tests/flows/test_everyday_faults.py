"""Everyday faults end in a sentence that says what to do, with exit code 1, and never as an internal error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

Bridge = Callable[..., Ended]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Path:
    root = tmp_path_factory.mktemp("night") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    return root


@pytest.fixture
def root(night: Path, tmp_path: Path) -> Path:
    shutil.copytree(night, tmp_path / "root")
    return tmp_path / "root"


def refused(ended: Ended, *words: str) -> None:
    assert ended.code == 1, ended.err
    assert "bug" not in ended.err and "Traceback" not in ended.err
    for word in words:
        assert word in ended.err


@pytest.mark.usefixtures("esorex")
def test_end_products_that_cannot_be_written(root: Path, bridge: Bridge) -> None:
    (root / "reflex_end_products").write_text("x")
    refused(bridge("run", "--root", root, *SMALL), "cannot be written", "make room")


@pytest.mark.usefixtures("esorex")
@pytest.mark.parametrize("kind", ["folder", "junk"])
def test_a_database_that_is_none(root: Path, bridge: Bridge, kind: str) -> None:
    database = root / "reflex_book_keeping" / "esorex_bridge.db"
    if kind == "folder":
        database.mkdir(parents=True)
    else:
        database.parent.mkdir()
        database.write_bytes(b"junk" * 5000)
    for verb in (("run", *SMALL), ("status",)):
        refused(bridge(*verb, "--root", root), str(database), "status --rebuild")


@pytest.mark.usefixtures("esorex")
def test_a_root_with_a_very_long_path(night: Path, tmp_path: Path, bridge: Bridge) -> None:
    root = tmp_path / ("l" * 200) / ("m" * 200) / ("n" * 200)
    root.parent.mkdir(parents=True)
    shutil.copytree(night, root)
    refused(bridge("run", "--root", root, *SMALL), "too long a path", "shorter")


@pytest.mark.usefixtures("esorex")
def test_a_root_whose_name_is_not_utf_8(night: Path, tmp_path: Path, bridge: Bridge) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat\xe9"))
    shutil.copytree(night, root)
    for verb in (("run", *SMALL), ("status",), ("sof",)):
        refused(bridge(*verb, "--root", root), "UTF-8", "rename it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("naco_img_dark: !foo {nsamples: 50}\n", "the tag !foo is not allowed"),
        ("naco_img_dark: {nsamples: !!python/object/apply:os.system ['ls']}\n", "is not allowed"),
        ("[" * 5000, "YAML"),
        ("".join("  " * depth + "a:\n" for depth in range(500)), "must be"),
        ("{a: " * 3000 + "1" + "}" * 3000, "deep.yaml"),
    ],
    ids=["tag", "python", "open", "deep", "nested"],
)
def test_parameters_that_are_odd_yaml(root: Path, tmp_path: Path, bridge: Bridge, text: str, said: str) -> None:
    file = tmp_path / "deep.yaml"
    file.write_text(text)
    refused(bridge("run", "--root", root, "--parameters", file), str(file), said)
    refused(bridge("batch", file, "--root", root), str(file))


def test_sof_files_below_a_file(root: Path, tmp_path: Path, bridge: Bridge) -> None:
    (tmp_path / "file").write_text("x")
    refused(bridge("sof", "--root", root, "--into", tmp_path / "file" / "x"), "Not a directory")


@pytest.mark.parametrize("words", [("status",), ("clean",), ("plan",), ("run",), ("sof",), ("why", "x")])
def test_a_root_that_is_not_there_is_not_made(tmp_path: Path, bridge: Bridge, words: tuple[str, ...]) -> None:
    place = tmp_path / "typo"
    refused(bridge(*words, "--root", place))
    assert not place.exists()
