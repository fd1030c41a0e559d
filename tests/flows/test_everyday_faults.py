"""Everyday faults end in a sentence that says what to do, with exit code 1, and never as an internal error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

Bridge = Callable[..., Ended]
COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))


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


# ----- what only another file system or other rights bring about


@pytest.fixture(scope="module")
def made(night: Path, tmp_path_factory: pytest.TempPathFactory, bridge: Bridge, esorex: str) -> Path:
    """Return a root in which all is made."""
    root = tmp_path_factory.mktemp("made") / "root"
    shutil.copytree(night, root)
    assert bridge("run", "--root", root, *SMALL).code == 0
    return root


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "own", symlinks=True)
    return tmp_path / "own"


def apart(script: str, *words: object) -> Ended:
    """Run a command where a script has mounted something, which only that command sees; skip where none may."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    return ended_of("unshare", "-rm", "sh", "-ec", f'{script}\nexec "$@"', "sh", COMMAND, *words)


def without_rights(*words: object) -> Ended:
    """Run a command as the owner of the files, with none of the rights of root."""
    if subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode:
        pytest.skip("root cannot be without its rights here")
    return ended_of("unshare", "-U", COMMAND, *words)


def ended_of(*words: object) -> Ended:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=100)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_read_only_root_in_which_all_is_made(own: Path) -> None:
    script = f"mount --bind {own} {own}; mount -o remount,ro,bind {own}"
    ended = apart(script, "run", "--root", own, "--json", *SMALL)
    assert ended.code == 0, ended.err
    assert set(ended.decisions.values()) == {"reuse"}
    refused(apart(script, "run", "--root", own, "--lazy", "off", *SMALL), "mounted read-only", "another root")


def test_a_disk_that_is_full_while_end_products_are_delivered(own: Path) -> None:
    products = own / "reflex_end_products"
    shutil.rmtree(products)
    products.mkdir()
    full = apart(f"mount -t tmpfs -o size=8k none {products}", "run", "--root", own, *SMALL)
    refused(full, "No space left on device", "make room")


def test_a_database_that_cannot_be_read(own: Path) -> None:
    (own / "reflex_book_keeping" / "esorex_bridge.db").chmod(0)
    for verb in (("run", *SMALL), ("status",)):
        refused(without_rights(*verb, "--root", own), "cannot be opened", "get the right")


def test_a_data_folder_that_cannot_be_read(own: Path) -> None:
    data = own / "reflex_input" / "data_with_raw_calibs"
    for folder in (data.parent, data):
        folder.chmod(0)
        try:
            for verb in (("run", *SMALL), ("plan",), ("status", "--verify")):
                refused(without_rights(*verb, "--root", own), folder.name, "get the right")
        finally:
            folder.chmod(0o755)


def test_a_folder_below_that_cannot_be_read_is_nobody_s_business(own: Path) -> None:
    (own / "reflex_input" / "data_with_raw_calibs" / "lost+found").mkdir(mode=0)
    assert without_rights("plan", "--root", own).code == 0


LOCKLESS = """
import errno, fcntl, sys
def refuse(*words):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from esorex_bridge.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.usefixtures("esorex")
def test_a_file_system_without_locks(root: Path) -> None:
    refused(
        ended_of(sys.executable, "-c", LOCKLESS, "run", "--root", root, *SMALL),
        "cannot be locked",
        "put the data root on",
    )


def test_what_is_whole_is_verified_without_a_word_of_what_is_not_there(own: Path, bridge: Bridge) -> None:
    ended = bridge("status", "--verify", "--root", own)
    assert ended.code == 0
    assert "cannot be read" not in ended.err
