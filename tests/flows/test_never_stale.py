"""No stale product is handed out, and nothing that is right is made again: by the commands, with real recipes.

Each way of changing a file is tried with `run` and with `esorex-lazy`, on a frame that both have taken before.
"""

from __future__ import annotations

import gzip
import json
import mmap
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import ncompress
import pytest
from astropy.io import fits

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.amber import amber_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.fits.header import read_header
from tests.batch_runs import JOBS
from tests.flows.conftest import SMALL, Ended, put_on_disk
from tests.flows.lazy_calls import Desk, R, darks, desk, night_folder

__all__ = ["darks", "desk", "night_folder"]

pytestmark = pytest.mark.usefixtures("esorex")
COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))
NOTHING: dict[str, str] = {recipe: "reuse" for recipe in ("naco_img_dark", "naco_img_twflat", "naco_img_jitter")}
FROM_DARK = {**NOTHING, "naco_img_dark": "execute", "naco_img_jitter": "execute"}
FROM_JITTER = {**NOTHING, "naco_img_jitter": "execute"}

_numbers = count(1)


# ----- ways of giving a file another content so that it looks like before


def other_pixels(path: Path) -> bytes:
    """Return the content of a frame with some words moved on by one place, so that its DATASUM stays right."""
    data = path.read_bytes()
    start, end = words_of(data)
    moved = data[start + 4 : end] + data[start : start + 4]
    assert moved != data[start:end]
    return data[:start] + moved + data[end:]


def words_of(data: bytes) -> tuple[int, int]:
    """Return where some words of the first data lie."""
    card = next(at for at in range(0, len(data), 80) if data[at : at + 80].rstrip() == b"END")
    start = -(-(card + 80) // 2880) * 2880
    return start, start + 20_000


def put_times_back(path: Path, state: os.stat_result) -> None:
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def edited_in_place(path: Path) -> None:
    state, data = path.stat(), other_pixels(path)
    with path.open("r+b") as stream:
        stream.write(data)
    put_times_back(path, state)


def edited_through_a_map(path: Path) -> None:
    state, data = path.stat(), other_pixels(path)
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as view:
        start, end = words_of(data)
        view[start:end] = data[start:end]
    put_times_back(path, state)


def copied_over(path: Path) -> None:
    """As `cp -p corrected raw`."""
    corrected = make_corrected(path)
    subprocess.run(["cp", "-p", corrected, path], check=True)


def removed_and_copied(path: Path) -> None:
    """As `rm raw; cp -p corrected raw`, where the number of the removed inode is given away again."""
    corrected = make_corrected(path)
    path.unlink()
    subprocess.run(["cp", "-p", corrected, path], check=True)


def renamed_over(path: Path) -> None:
    """As rsync does."""
    make_corrected(path).replace(path)


def unpacked_from_a_tar(path: Path) -> None:
    corrected = make_corrected(path)
    folder = path.parent.parent / "tarred"
    folder.mkdir(exist_ok=True)
    corrected.rename(folder / path.name)
    tar = folder / "corrected.tar"
    subprocess.run(["tar", "cf", tar, "-C", folder, "--force-local", path.name], check=True)
    subprocess.run(["tar", "xf", tar, "-C", path.parent, "--force-local"], check=True)


def link_switched(path: Path) -> None:
    """As a data link that is switched to another disk: the link leads to an equal file first, to another one then."""
    corrected = make_corrected(path)
    kept = corrected.with_name(f"kept{next(_numbers)}")
    shutil.copy2(path, kept)
    path.unlink()
    path.symlink_to(kept)
    assert path.stat().st_mtime_ns == corrected.stat().st_mtime_ns
    path.unlink()
    path.symlink_to(corrected)


def edited_through_a_hard_link(path: Path) -> None:
    other = make_corrected(path).with_name(f"linked{next(_numbers)}")
    other.hardlink_to(path.resolve())
    edited_in_place(other)


def edited_and_dated_back(path: Path) -> None:
    path.write_bytes(other_pixels(path))
    os.utime(path, ns=(1, 1))


def edited_and_dated_ahead(path: Path) -> None:
    path.write_bytes(other_pixels(path))
    os.utime(path, (4_000_000_000, 4_000_000_000))


def cut_and_written_anew(path: Path) -> None:
    state, data = path.stat(), other_pixels(path)
    os.truncate(path, 0)
    path.write_bytes(data)
    put_times_back(path, state)


def header_corrected(path: Path) -> None:
    """As when the archive corrects a header: one card, no other size."""
    state, data = path.stat(), path.read_bytes()
    at = data.index(b"ORIGIN  =") if b"ORIGIN  =" in data else data.index(b"COMMENT") if b"COMMENT" in data else 0
    assert at, "the frame has no card to change"
    changed = data[: at + 60] + f"{next(_numbers):020d}".encode() + data[at + 80 :]
    with path.open("r+b") as stream:
        stream.write(changed)
    put_times_back(path, state)


def swapped_back_and_forth(path: Path) -> None:
    edited_in_place(path)
    edited_in_place(path)


def make_corrected(path: Path) -> Path:
    """Return another file with other pixels, of the same size and time, outside the data folder."""
    folder = path.parent.parent / "elsewhere"
    folder.mkdir(exist_ok=True)
    corrected = folder / f"corrected{next(_numbers)}"
    corrected.write_bytes(other_pixels(path))
    put_times_back(corrected, path.stat())
    return corrected


OTHER_CONTENT = (
    edited_in_place, edited_through_a_map, copied_over, removed_and_copied, renamed_over, unpacked_from_a_tar,
    link_switched, edited_through_a_hard_link, edited_and_dated_back, edited_and_dated_ahead, cut_and_written_anew,
    header_corrected, swapped_back_and_forth,
)  # fmt: skip


# ----- ways of changing how a file looks, and not what it holds


def touched(path: Path) -> None:
    path.touch()


def dated_ahead(path: Path) -> None:
    os.utime(path, (4_000_000_000, 4_000_000_000))


def given_other_rights(path: Path) -> None:
    path.chmod(0o640)


def backed_up(path: Path) -> None:
    """As a backup that restores atime, which changes ctime."""
    state = path.stat()
    path.read_bytes()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def hard_linked(path: Path) -> None:
    make_corrected(path).with_name(f"linked{next(_numbers)}").hardlink_to(path.resolve())


def written_again(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def copied_and_renamed_back(path: Path) -> None:
    beside = path.with_name("beside")
    shutil.copyfile(path, beside)
    beside.replace(path)


def moved_behind_a_link(path: Path) -> None:
    target = make_corrected(path).with_name(f"moved{next(_numbers)}")
    path.rename(target)
    path.symlink_to(target)


def made_read_only(path: Path) -> None:
    path.chmod(0o400)


SAME_CONTENT = (
    touched, dated_ahead, given_other_rights, backed_up, hard_linked, written_again, copied_and_renamed_back,
    moved_behind_a_link, made_read_only,
)  # fmt: skip


# ----- run


@dataclass
class Root:
    """A data root in which all is made, and what is done with it."""

    path: Path
    bridge: Callable[..., Ended]
    env: dict[str, str] = field(default_factory=dict)
    settled: bool = False

    def run(self, *words: str) -> Ended:
        ended = self.bridge("run", "--root", self.path, "--json", *SMALL, *words, env=self.env)
        assert ended.code == 0, ended.err
        self.settled = True
        return ended

    def settle(self) -> None:
        """See that all is made before a change; a test before that ended well has left it so."""
        if not self.settled:
            self.run()
        self.settled = False

    @property
    def data(self) -> Path:
        return self.path / "reflex_input" / "data_with_raw_calibs"

    def frame(self, kind: str = "DARK") -> Path:
        return next(path for path in sorted(self.data.glob("*.fits")) if read_header(path).get("DPR.TYPE") == kind)

    def product(self, recipe: str) -> Path:
        (found,) = list((self.path / "reflex_tmp_products").rglob(f"{recipe}*/*/{recipe}*.fits"))[:1]
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    root = tmp_path_factory.mktemp("made") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert bridge("run", "--root", root, *SMALL).code == 0
    return root


@pytest.fixture(scope="module")
def shared(made: Path, tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended]) -> Root:
    """Return a root that many tests change and run again, one after another."""
    return copy_of(made, tmp_path_factory.mktemp("shared"), bridge)


@pytest.fixture
def own(made: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> Root:
    return copy_of(made, tmp_path, bridge)


def copy_of(made: Path, folder: Path, bridge: Callable[..., Ended]) -> Root:
    shutil.copytree(made, folder / "root", symlinks=True)
    root = Root(folder / "root", bridge)
    assert root.run().decisions == NOTHING
    return root


def data_of(ended: Ended) -> int:
    """Return the DATASUM of the one end product that a run handed out."""
    (product,) = ended.json["datasets"][0]["end_products"]
    return int(fits.getval(product["path"], "DATASUM"))


@pytest.mark.parametrize("change", OTHER_CONTENT, ids=lambda change: change.__name__)
def test_another_content_is_noticed_by_run(shared: Root, change: Callable[[Path], None]) -> None:
    shared.settle()
    change(shared.frame("OBJECT"))
    assert shared.run().decisions == FROM_JITTER


@pytest.mark.parametrize("change", SAME_CONTENT, ids=lambda change: change.__name__)
def test_the_same_content_is_not_made_again_by_run(shared: Root, change: Callable[[Path], None]) -> None:
    shared.settle()
    change(shared.frame())
    assert shared.run().decisions == NOTHING


def test_a_frame_that_is_packed_or_renamed_is_not_made_again(own: Root) -> None:
    frame = own.frame()
    frame.with_name(f"{frame.name}.gz").write_bytes(gzip.compress(frame.read_bytes()))
    frame.unlink()
    assert own.run().decisions == NOTHING
    other = own.frame()
    other.rename(other.with_name(other.name.replace(":", "_")))
    assert own.run().decisions == NOTHING


def test_how_much_was_read_again_is_said(own: Root) -> None:
    frame = own.frame()
    frame.chmod(0o600)
    assert f"1 file was read again ({frame.stat().st_size / 1e6:.1f} MB, " in own.run().err
    assert "read again" not in own.run().err


def test_how_much_was_read_again_is_said_by_batch(own: Root) -> None:
    jobs = own.path / "jobs.yaml"
    jobs.write_text(JOBS)
    frame = own.frame()
    frame.chmod(0o600)
    said = [own.bridge("batch", jobs, "--root", own.path, "--name", name, "--json") for name in ("a", "b")]
    assert [ended.json["executed"] for ended in said] == [0, 0]
    assert f"1 file was read again ({frame.stat().st_size / 1e6:.1f} MB, " in said[0].err
    assert "read again" not in said[1].err


def test_without_trust_in_ctime_nothing_is_read_after_a_backup(own: Root) -> None:
    (own.path / "settings.yaml").write_text("trust_ctime: false\n")
    own.run()
    backed_up(own.frame())
    ended = own.run()
    assert ended.decisions == NOTHING and "read again" not in ended.err


@pytest.mark.parametrize("change", [edited_in_place, removed_and_copied], ids=lambda change: change.__name__)
def test_a_master_that_was_changed_unseen_is_made_again(own: Root, change: Callable[[Path], None]) -> None:
    change(own.product("naco_img_jitter"))
    ended = own.run()
    assert ended.decisions == FROM_JITTER
    assert "is damaged" in ended.step("naco_img_jitter")["reason"]


# ----- end products


@pytest.mark.parametrize("words", [("--lazy", "off"), ("--from", "naco_img_dark")], ids=["off", "from"])
def test_a_corrected_raw_gives_another_end_product_also_where_reuse_is_off(own: Root, words: tuple[str, ...]) -> None:
    before = data_of(own.run())
    (frame, *_) = [path for path in own.data.glob("*.fits") if read_header(path).get("DPR.CATG") == "SCIENCE"]
    state = frame.stat()
    with fits.open(frame, mode="update") as hdus:
        hdus[0].data[40:80, 40:80] += 200
    put_times_back(frame, state)
    ended = own.run(*words)
    (product,) = ended.json["datasets"][0]["end_products"]
    made = next(step for step in ended.json["datasets"][0]["steps"] if step["recipe"] == "naco_img_jitter")
    assert product["sha256"] in {each["sha256"] for each in made["products"]}
    assert data_of(ended) != before


@pytest.mark.parametrize("change", [edited_in_place, removed_and_copied], ids=lambda change: change.__name__)
def test_an_end_product_that_was_edited_is_not_handed_out(own: Root, change: Callable[[Path], None]) -> None:
    before = own.run()
    (product,) = before.json["datasets"][0]["end_products"]
    change(Path(product["path"]))
    (now,) = own.run().json["datasets"][0]["end_products"]
    assert now["path"] != product["path"]
    assert int(fits.getval(now["path"], "DATASUM")) == data_of(own.run())
    (again,) = own.run().json["datasets"][0]["end_products"]
    assert again["path"] == now["path"]


# ----- what else a step depends on


def test_a_file_that_a_parameter_names_is_looked_at_every_time(own: Root, tmp_path: Path) -> None:
    table = tmp_path / "offsets.txt"
    table.write_text("0 0\n8 5\n-6 9\n4 -10\n-8 -5\n")
    named = ("--set", f"naco_img_jitter.off={table}")
    assert own.run(*named).decisions == FROM_JITTER
    assert own.run(*named).decisions == NOTHING
    state = table.stat()
    table.write_text("0 0\n7 5\n-6 9\n4 -10\n-8 -5\n")
    put_times_back(table, state)
    assert own.run(*named).decisions == FROM_JITTER


def test_a_static_calibration_that_was_changed_unseen_counts(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    night, root = amber_night(), tmp_path / "root"
    folder = put_on_disk(night, frames_folder, root)
    paths = {file.category: folder / f"{file.dp_id}.fits" for file in night.files}

    def run() -> dict[str, str]:
        ended = bridge("run", "--root", root, "--json")
        assert ended.code == 0, ended.err
        return {each["step"]: each["decision"] for each in ended.json["datasets"][0]["steps"]}

    def made_again() -> set[str]:
        return {step for step, decision in run().items() if decision == "execute"}

    every = made_again()
    assert every and not made_again()
    header_corrected(paths["CALIB_DATABASE_K"])
    assert made_again() == {"amber_trf_1", "amber_calibrate_1"}
    edited_in_place(paths["AMBER_BADPIX"])
    assert made_again() == every
    backed_up(paths["AMBER_BADPIX"])
    assert not made_again()


def own_plugins(folder: Path) -> dict[str, str]:
    """Return the environment in which recipes come from a copy of the installed plugins."""
    (installed,) = Path("/usr/lib").glob("*/cpl/plugins/naco-*")
    copied = folder / "plugins" / installed.name
    shutil.copytree(installed, copied)
    return {"ESOREX_PLUGIN_DIR": str(folder / "plugins")}


def test_a_plugin_that_was_replaced_in_place_with_equal_size_and_time_is_noticed(own: Root, tmp_path: Path) -> None:
    own.env = own_plugins(tmp_path)
    assert own.run().decisions == NOTHING
    (plugin,) = (tmp_path / "plugins").rglob("naco_img_dark.so")
    state, data = plugin.stat(), plugin.read_bytes()
    assert b"Identified %d setting(s)" in data
    plugin.write_bytes(data.replace(b"Identified %d setting(s)", b"Identified %d Setting(s)"))
    put_times_back(plugin, state)
    ended = own.run()
    assert ended.decisions == FROM_DARK
    assert "was rebuilt" in ended.step("naco_img_dark")["reason"]


def patched_library(folder: Path) -> dict[str, str]:
    """Return the environment in which NACO's recipes run with a library of their own that was patched."""
    (library,) = Path("/usr/lib").glob("*/naco-*/libnaco.so.0")
    folder.mkdir()
    shutil.copyfile(library, folder / library.name)
    change_a_word(folder / library.name)
    return {"LD_LIBRARY_PATH": str(folder)}


def change_a_word(library: Path) -> None:
    """Change a message in a library, so that it has the same size and time."""
    state, data = library.stat(), library.read_bytes()
    changed, times = re.subn(rb"Inter(nal|\d{3}) error", f"Inter{next(_numbers):03d} error".encode(), data)
    assert times and changed != data
    with library.open("r+b") as stream:
        stream.write(changed)
    put_times_back(library, state)


def test_a_patched_library_of_the_pipeline_neither_takes_nor_gives_what_others_made(own: Root, tmp_path: Path) -> None:
    own.env = patched_library(tmp_path / "patched")
    ended = own.run()
    assert set(ended.decisions.values()) == {"execute"}
    assert "libnaco.so.0: another library" in ended.step("naco_img_dark")["reason"]
    assert own.run().decisions == NOTHING
    change_a_word(tmp_path / "patched" / "libnaco.so.0")
    assert set(own.run("--lazy", "off").decisions.values()) == {"execute"}
    own.env = {}
    assert own.run().decisions == NOTHING


def other_cpl(folder: Path, esorex: str) -> Path:
    """Return a script around EsoRex that takes another CPL by itself, which nobody can see who asks for libraries."""
    (library,) = Path("/usr/lib").glob("*/libcpldfs.so.26")
    folder.mkdir()
    data, (version,) = library.read_bytes(), re.findall(rb"\0cpl-([\d.]+)\0", library.read_bytes())
    (folder / library.name).write_bytes(data.replace(b"cpl-" + version, b"cpl-" + version[:-1] + b"9"))
    script = folder / "esorex"
    script.write_text(f'#!/bin/sh\nexport LD_LIBRARY_PATH={folder}\nexec {esorex} "$@"\n')
    script.chmod(0o755)
    return script


def test_products_of_another_cpl_than_stated_are_not_kept(own: Root, tmp_path: Path, esorex: str) -> None:
    script = other_cpl(tmp_path / "other", esorex)
    env = {"PATH": f"{script.parent}:{os.environ['PATH']}"}
    ended = own.bridge("run", "--root", own.path, "--json", "--lazy", "off", *SMALL, env=env)
    assert ended.code == 1
    assert "was made with CPL" in ended.out and "LD_LIBRARY_PATH" in ended.out
    assert own.run().decisions == NOTHING


def test_products_of_another_cpl_than_stated_are_not_kept_by_esorex_lazy(
    desk: Desk, tmp_path: Path, esorex: str
) -> None:
    script = other_cpl(tmp_path / "other", esorex)
    words = ("naco_img_dark", R, "data.sof")
    left = desk.lazy("first", words, ESOREX_LAZY_ESOREX=str(script), ESOREX_LAZY_VERBOSE="1")
    assert left.code == 0
    assert "not kept" in left.err and "was made with CPL" in left.err
    assert list((tmp_path / "store").glob("steps/*/*")) == []


def test_a_library_that_comes_into_a_folder_of_the_path_is_noticed(own: Root, tmp_path: Path) -> None:
    (tmp_path / "early").mkdir()
    own.env = {"LD_LIBRARY_PATH": str(tmp_path / "early")}
    assert own.run().decisions == NOTHING
    patched_library(tmp_path / "patched")
    (tmp_path / "patched" / "libnaco.so.0").rename(tmp_path / "early" / "libnaco.so.0")
    assert set(own.run().decisions.values()) == {"execute"}


def test_an_input_that_is_replaced_while_the_recipe_runs_is_not_recorded(own: Root, tmp_path: Path) -> None:
    frame = own.frame()
    corrected = make_corrected(frame)
    real = shutil.which("esorex")
    stand_in = tmp_path / "bin" / "esorex"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\ncase "$*" in *data.sof*) cp -p {corrected} "{frame}";; esac\nexec {real} "$@"\n')
    stand_in.chmod(0o755)
    words = ("run", "--root", own.path, "--json", *SMALL, "--set=naco_img_dark.nsamples=77")
    disturbed = own.bridge(*words, env={"PATH": f"{stand_in.parent}:{os.environ['PATH']}"})
    assert disturbed.code == 1
    assert "inputs changed meanwhile" in disturbed.step("naco_img_dark")["error"]
    quiet = own.bridge(*words)
    assert quiet.decisions == FROM_DARK


# ----- several roots


def test_a_copied_root_and_its_original_do_not_disturb_each_other(made: Path, tmp_path: Path, own: Root) -> None:
    other = copy_of(own.path, tmp_path / "other", own.bridge)
    edited_in_place(other.frame())
    assert other.run().decisions == FROM_DARK
    assert own.run().decisions == NOTHING


def test_roots_that_share_raws_by_hard_links_both_notice_an_edit(own: Root, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["cp", "-al", own.path, other], check=True)
    shutil.rmtree(other / "reflex_book_keeping")
    shutil.copytree(own.path / "reflex_book_keeping", other / "reflex_book_keeping", symlinks=True)
    twin = Root(other, own.bridge)
    assert twin.run().decisions == NOTHING
    edited_in_place(own.frame())
    assert own.run().decisions == FROM_DARK
    assert twin.run().decisions == FROM_DARK


# ----- what headers say


def test_a_corrected_header_is_read_by_organise(own: Root) -> None:
    def types() -> str:
        ended = own.bridge("organise", "--root", own.path, "--by", "oca")
        return ended.out

    before = types()
    frame = next(path for path in sorted(own.data.glob("*.fits")) if read_header(path).get("DPR.CATG") == "SCIENCE")
    for path in own.data.glob("*.fits"):
        if read_header(path).get("DPR.CATG") == "SCIENCE":
            state, data = path.stat(), path.read_bytes()
            with path.open("r+b") as stream:
                stream.write(data.replace(b"'OBJECT  '", b"'DARK    '").replace(b"'SCIENCE '", b"'CALIB   '"))
            put_times_back(path, state)
    assert read_header(frame).get("DPR.CATG") != "SCIENCE"
    assert types() != before


# ----- esorex-lazy


@dataclass
class Call:
    """A call of `esorex-lazy` that was made once."""

    desk: Desk
    frame: Path
    settled: bool = False

    def runs_again(self) -> bool:
        before = self.desk.runs
        left = self.desk.lazy("here", ("naco_img_dark", R, "data.sof"))
        assert left.code == 0, left.err
        self.settled = True
        return self.desk.runs > before

    def settle(self) -> None:
        """See that all is made before a change; a test before that ended well has left it so."""
        if not self.settled:
            self.runs_again()
        self.settled = False


def call_at(desk: Desk) -> Call:
    place = desk.place("here")
    for number, dark in enumerate(desk.darks):
        (place / f"dark{number}.fits").unlink()
        shutil.copyfile(dark, place / f"dark{number}.fits")
    called = Call(desk, place / "dark1.fits")
    assert called.runs_again()
    assert not called.runs_again()
    return called


@pytest.fixture
def call(desk: Desk) -> Call:
    return call_at(desk)


@pytest.fixture(scope="module")
def shared_call(tmp_path_factory: pytest.TempPathFactory, esorex: str, darks: list[Path]) -> Call:
    """Return a call that many tests change the frame of and make again, one after another."""
    return call_at(Desk(tmp_path_factory.mktemp("lazy"), esorex, darks))


@pytest.mark.parametrize("change", OTHER_CONTENT, ids=lambda change: change.__name__)
def test_another_content_is_noticed_by_esorex_lazy(shared_call: Call, change: Callable[[Path], None]) -> None:
    shared_call.settle()
    change(shared_call.frame)
    assert shared_call.runs_again()


def test_a_patched_library_is_noticed_by_esorex_lazy(call: Call, tmp_path: Path) -> None:
    call.desk.env |= patched_library(tmp_path / "patched")
    assert call.runs_again()
    assert not call.runs_again()
    change_a_word(tmp_path / "patched" / "libnaco.so.0")
    assert call.runs_again()
    del call.desk.env["LD_LIBRARY_PATH"]
    assert not call.runs_again()


def test_a_library_that_is_loaded_before_all_others_is_noticed_by_esorex_lazy(call: Call, tmp_path: Path) -> None:
    (library,) = Path(patched_library(tmp_path / "patched")["LD_LIBRARY_PATH"]).iterdir()
    call.desk.env["LD_PRELOAD"] = str(library)
    assert call.runs_again()
    assert not call.runs_again()
    change_a_word(library)
    assert call.runs_again()
    del call.desk.env["LD_PRELOAD"]
    assert not call.runs_again()


def test_a_variable_of_the_pipeline_is_noticed_by_esorex_lazy(call: Call) -> None:
    call.desk.env["NACO_TRY_IT"] = "1"
    assert call.runs_again()
    assert not call.runs_again()
    call.desk.env["NACO_TRY_IT"] = "2"
    assert call.runs_again()
    del call.desk.env["NACO_TRY_IT"]
    call.desk.env["OTHER_PIPELINE"] = "1"
    assert not call.runs_again()


@pytest.mark.parametrize("change", SAME_CONTENT, ids=lambda change: change.__name__)
def test_the_same_content_is_not_made_again_by_esorex_lazy(shared_call: Call, change: Callable[[Path], None]) -> None:
    shared_call.settle()
    change(shared_call.frame)
    assert not shared_call.runs_again()


# ----- fetched again


def test_a_frame_that_the_archive_corrected_is_noticed_when_it_is_fetched_again(
    tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    root, frames = tmp_path / "root", tmp_path / "frames"
    frames.mkdir()

    def reduce(archive: EmbeddedArchive) -> Ended:
        words = ("--program", "60.A-9999(A)", "--root", root, "--archive", archive.url, "--json", *SMALL)
        ended = bridge("reduce", *words)
        assert ended.code == 0, ended.err
        return ended

    with EmbeddedArchive([naco_night(npix=128)], frames) as archive:
        reduce(archive)
        shutil.rmtree(root / "reflex_input")
        assert reduce(archive).decisions == NOTHING
        packed = next(path for path in sorted(frames.rglob("*.Z")) if read_header(path).get("DPR.TYPE") == "DARK")
        plain = tmp_path / "plain.fits"
        plain.write_bytes(subprocess.run(["gzip", "-dc", packed], check=True, capture_output=True).stdout)
        packed.write_bytes(ncompress.compress(other_pixels(plain)))
        shutil.rmtree(root / "reflex_input")
    with EmbeddedArchive([naco_night(npix=128)], frames) as archive:
        assert reduce(archive).decisions["naco_img_jitter"] == "execute"


YESTERDAY = """
import sys, time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() - 86400
time.time_ns = lambda: now_ns() - 86400 * 10**9
from esorex_bridge.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_clock_that_was_set_back_hides_no_edit(own: Root) -> None:
    def run() -> Ended:
        words = [sys.executable, "-c", YESTERDAY, "run", "--root", str(own.path), "--json", *SMALL]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    assert run().decisions == NOTHING
    edited_in_place(own.frame("OBJECT"))
    assert run().decisions == FROM_JITTER
    edited_in_place(own.frame("OBJECT"))
    assert run().decisions == FROM_JITTER
    assert own.run().decisions == NOTHING


# ----- other frames


@pytest.mark.parametrize("by", ["calselector", "oca"])
def test_another_frame_under_the_name_of_a_raw_is_not_taken(own: Root, by: str) -> None:
    dark, flat = own.frame("DARK"), own.frame("FLAT,SKY")
    taken = flat.read_bytes()
    state = dark.stat()
    dark.write_bytes(taken)
    os.utime(dark, ns=(state.st_atime_ns, state.st_mtime_ns))
    ended = own.bridge("plan", "--root", own.path, "--by", by, "--json")
    (plan,) = ended.json["datasets"]
    (said,) = [text for text in plan["messages"] if "another frame" in text]
    assert f"{dark} is another frame than its name says (ARCFILE in its header is {flat.stem})" in said
    assert f"fetch {dark.stem} again" in said
    assert all(str(dark) not in json.dumps(step["inputs"]) for step in plan["steps"])


def test_a_raw_that_somebody_renamed_is_taken(own: Root) -> None:
    dark = own.frame("DARK")
    dark.rename(dark.with_name("mydark.fits"))
    (plan,) = own.bridge("plan", "--root", own.path, "--by", "oca", "--json").json["datasets"]
    assert "mydark" in json.dumps(plan["steps"])


# ----- equal frames


def test_equal_content_twice_in_a_group_counts_once_and_is_said(own: Root) -> None:
    kinds = {path: read_header(path).get("DPR.TYPE") for path in sorted(own.data.glob("*.fits"))}
    first, second, *_ = [path for path, kind in kinds.items() if kind == "FLAT,SKY"]
    second.write_bytes(first.read_bytes())
    ended = own.run()
    assert ended.decisions["naco_img_twflat"] == "execute"
    sof = Path(ended.step("naco_img_twflat")["sof"]).read_text()
    assert first.name in sof and second.name not in sof
    (plan,) = own.bridge("plan", "--root", own.path, "--json").json["datasets"]
    (left_out,) = [each for each in plan["not_used"] if each["reason"] == "same content"]
    assert (Path(left_out["file"]).name, left_out["detail"]) == (second.name, f"as {first.stem}")
