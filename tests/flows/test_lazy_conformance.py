"""`esorex-lazy` beside `esorex`: the same calls leave the same files, words and exit codes, run or reused."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.amber import amber_night
from tests.flows.conftest import Ended, put_on_disk
from tests.flows.lazy_calls import LAZY, Desk, R, assert_same, darks, desk, night_folder, run_call

__all__ = ["darks", "desk", "night_folder"]

REUSED = {
    "plain": ("naco_img_dark", R, "data.sof"),
    "folders": (
        "--output-dir=out", "--log-dir=log", "--log-file=my.log", "--products-sof=p.json", "naco_img_dark", R,
        "data.sof",
    ),
    "folder with a slash": ("--output-dir=out/", "--products-sof=p.sof", "naco_img_dark", R, "data.sof"),
    "folder with a dot": ("--output-dir=./out", "--products-sof=p.json", "naco_img_dark", R, "data.sof"),
    "prefix": (
        "--suppress-prefix=FALSE", "--output-prefix=zz", "--products-sof=p.sof", "naco_img_dark", R, "data.sof",
    ),
    "quiet": ("--msg-level=warning", "--log-level=off", "naco_img_dark", R, "data.sof"),
    "warnings in the log": ("--log-level=warning", "--time=FALSE", "naco_img_dark", R, "data.sof"),
    "recipe settings file": ("--recipe-config=own.rc", "naco_img_dark", "data.sof"),
    "esorex settings file": ("--config=esorex.rc", "naco_img_dark", R, "data.sof"),
    "two sets of files": ("naco_img_dark", R, "first.sof", "second.sof"),
    "as Reflex calls it": (
        "--suppress-prefix=TRUE", "--output-dir={here}/out", "--log-dir={here}/log", "--recipe-config={here}/own.rc",
        "--products-sof=products_sof.json", "naco_img_dark", "{here}/data.sof",
    ),
}  # fmt: skip
PASSED_ON = {
    "no arguments": (),
    "version": ("--version",),
    "help": ("--help",),
    "help on a recipe": ("--help", "naco_img_dark"),
    "params": ("--params", "naco_img_dark"),
    "manual page": ("--man-page", "naco_img_dark"),
    "json config": ("--create-config=c.json", "naco_img_dark", R),
    "rc config": ("--create-config=c.rc", "naco_img_dark"),
    "abbreviation": ("--suppress-p=FALSE", "naco_img_dark", R, "data.sof"),
    "read-only products": ("--output-readonly=TRUE", "naco_img_dark", R, "data.sof"),
    "value behind a blank": ("--msg-level", "warning", "naco_img_dark", "data.sof"),
    "unknown recipe": ("naco_img_nothing", "data.sof"),
    "unknown option": ("--nothing=1", "naco_img_dark", "data.sof"),
    "unknown parameter": ("naco_img_dark", "--nothing=1", "data.sof"),
    "parameter of a wrong type": ("naco_img_dark", "--nsamples=many", "data.sof"),
    "no set of files": ("naco_img_dark", "missing.sof"),
    "a file is missing": ("naco_img_dark", "broken.sof"),
    "a dollar": ("naco_img_dark", R, "dollar.sof"),
    "no output folder": ("--output-dir=nowhere", "naco_img_dark", R, "data.sof"),
    "python bool": ("--suppress-prefix=True", "naco_img_dark", R, "data.sof"),
    "wrong tag": ("naco_img_dark", R, "wrong.sof"),
}


def naco_alone() -> dict[str, str]:
    """Return what keeps EsoRex from loading the plugins of all pipelines, which takes ten times as long."""
    (plugins,) = Path("/usr/lib").glob("*/cpl/plugins/naco-*")
    return {"ESOREX_PLUGIN_DIR": str(plugins)}


@pytest.mark.parametrize("words", REUSED.values(), ids=REUSED.keys())
def test_a_run_and_its_reuse_leave_what_esorex_leaves(desk: Desk, esorex: str, words: tuple[str, ...]) -> None:
    env = {} if words == REUSED["plain"] else naco_alone()
    real = run_call(esorex, desk.place("real"), words, env)
    assert real.code == 0
    first = desk.lazy("first", words, **env)
    assert desk.runs == 1
    second = desk.lazy("second", words, **env)
    assert desk.runs == 1, "the second call ran a recipe"
    assert_same(first, real)
    assert_same(second, real)


@pytest.mark.parametrize("words", PASSED_ON.values(), ids=PASSED_ON.keys())
def test_what_is_no_plain_run_is_left_to_esorex(desk: Desk, esorex: str, words: tuple[str, ...]) -> None:
    env = naco_alone()
    real = run_call(esorex, desk.place("real"), words, env)
    for name in ("first", "second"):
        assert_same(desk.lazy(name, words, **env), real)


def test_variables_of_esorex_count(desk: Desk, esorex: str) -> None:
    words = ("naco_img_dark", R, "data.sof")
    env = {"ESOREX_OUTPUT_DIR": "out", "ESOREX_MSG_LEVEL": "warning", "ESOREX_RECIPE_CONFIG": "own.rc"}
    real = run_call(esorex, desk.place("real"), words, env)
    assert_same(desk.lazy("first", words, **env), real)
    assert_same(desk.lazy("second", words, **env), real)
    assert desk.runs == 1


def test_settings_files_of_the_home_folder_count(desk: Desk, esorex: str) -> None:
    home = desk.folder / "home"
    (home / ".esorex").mkdir(parents=True)
    (home / ".esorex" / "esorex.rc").write_text(
        "esorex.caller.recipe-dir=/usr/lib/x86_64-linux-gnu/cpl/plugins\nesorex.caller.output-prefix=mine\n"
    )
    (home / ".esorex" / "naco_img_dark.rc").write_text('naco.naco_img_dark.rej_bord="8 8 8 8"\n')
    words = ("naco_img_dark", "data.sof")
    real = run_call(esorex, desk.place("real"), words, {"HOME": str(home)})
    assert "mine_0000.fits" in real.files
    assert_same(desk.lazy("first", words, HOME=str(home)), real)
    assert_same(desk.lazy("second", words, HOME=str(home)), real)
    assert desk.runs == 1


def test_moved_renamed_and_touched_frames_are_known(desk: Desk) -> None:
    desk.lazy("first", ("naco_img_dark", R, "data.sof"))
    place = desk.place("second")
    lines = []
    for number, dark in enumerate(desk.darks):
        (place / f"moved{number}.fits").write_bytes(dark.read_bytes())
        os.utime(place / f"moved{number}.fits", (1, 1))
        lines.append(f"{place}/moved{number}.fits CAL_DARK\n")
    (place / "moved.sof").write_text("".join(lines))
    assert desk.lazy("second", ("naco_img_dark", R, "moved.sof")).code == 0
    assert desk.runs == 1


@pytest.mark.parametrize("change", ["parameter", "pixel", "order", "tag", "signing"])
def test_what_changes_products_runs_again(desk: Desk, change: str) -> None:
    words: tuple[str, ...] = ("naco_img_dark", R, "data.sof")
    desk.lazy("first", words)
    place = desk.place("second")
    lines = (place / "data.sof").read_text().splitlines()[1:]
    match change:
        case "parameter":
            words = ("naco_img_dark", R, "--nsamples=90", "data.sof")
        case "pixel":
            data = bytearray(desk.darks[0].read_bytes())
            data[-5000] ^= 1
            (place / "dark0.fits").unlink()
            (place / "dark0.fits").write_bytes(data)
        case "order":
            (place / "data.sof").write_text("\n".join(reversed(lines)))
        case "tag":
            (place / "data.sof").write_text("\n".join(f"{line} RAW" for line in lines))
        case "signing":
            words = ("--no-datamd5=TRUE", *words)
    assert desk.lazy("second", words).code == 0
    assert desk.runs == 2


def test_a_damaged_product_in_the_store_is_made_again(desk: Desk) -> None:
    words = ("naco_img_dark", R, "data.sof")
    first = desk.lazy("first", words)
    (kept,) = (desk.folder / "store").glob("steps/*/*/product-0")
    data = bytearray(kept.read_bytes())
    data[-3000] ^= 1
    kept.write_bytes(data)
    second = desk.lazy("second", words)
    assert desk.runs == 2
    assert_same(second, first)


def test_what_a_recipe_leaves_besides_its_products_is_left_again(desk: Desk, esorex: str) -> None:
    desk.counting.write_text(desk.counting.read_text().replace("exec", "echo quality > qc0000.paf; exec"))
    words = ("--output-dir=out", "naco_img_dark", R, "data.sof")
    first = desk.lazy("first", words)
    place = desk.place("second")
    (place / "mine.txt").write_text("")
    second = desk.lazy("second", words)
    assert desk.runs == 1
    assert first.files["qc0000.paf"] == b"quality"
    assert second.files == first.files
    (desk.place("third") / "qc0000.paf").write_text("what was here before stays")
    assert "qc0000.paf" not in desk.lazy("third", words).files
    assert desk.runs == 1


@pytest.mark.parametrize("option", ["--recipe-config=own.rc", "--recipe-config=~/own.rc"])
def test_a_settings_file_counts_by_its_content(desk: Desk, option: str) -> None:
    place = desk.place("first")
    for number, value in enumerate((90, 80)):
        text = f'naco.naco_img_dark.rej_bord="8 8 8 8"\nnaco.naco_img_dark.nsamples="{value}"\n'
        (place / "own.rc").write_text(text)
        assert desk.lazy("first", (option, "naco_img_dark", "data.sof"), HOME=str(place)).code == 0
        assert desk.runs == number + 1


def test_a_failed_run_is_not_kept(desk: Desk) -> None:
    for name in ("first", "second"):
        assert desk.lazy(name, ("naco_img_dark", "--r=90 90 90 90", "data.sof")).code != 0
    assert desk.runs == 2


def test_a_link_called_esorex_finds_the_real_one(desk: Desk, esorex: str) -> None:
    folder = desk.folder / "bin"
    folder.mkdir()
    (folder / "esorex").symlink_to(LAZY)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "ESOREX_LAZY_STORE": str(desk.folder / "store")}
    words = ("naco_img_dark", R, "data.sof")
    assert_same(run_call(str(folder / "esorex"), desk.place("first"), words, env), desk.lazy("second", words))
    assert desk.runs == 0, "the second call was not answered from the first one's store"


@pytest.mark.parametrize("start", ["exec ", ""])
def test_a_script_called_esorex_that_leads_back_is_passed_over(desk: Desk, start: str) -> None:
    folder = desk.folder / "bin"
    folder.mkdir()
    (folder / "esorex").write_text(f'#!/bin/sh\n{start}{shlex.quote(LAZY)} "$@"\n')
    (folder / "esorex").chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "ESOREX_LAZY_STORE": str(desk.folder / "store")}
    words = ("naco_img_dark", R, "data.sof")
    first = run_call("esorex", desk.place("first"), words, env)
    assert first.code == 0
    assert_same(desk.lazy("second", words), first)
    assert desk.runs == 0, "the second call was not answered from the first one's store"


def test_off_turns_it_off(desk: Desk) -> None:
    for name in ("first", "second"):
        desk.lazy(name, ("naco_img_dark", R, "data.sof"), ESOREX_LAZY="off")
    assert desk.runs == 2
    assert not (desk.folder / "store").exists()


def test_a_store_that_cannot_be_written_is_no_obstacle(desk: Desk, esorex: str) -> None:
    words = ("naco_img_dark", R, "data.sof")
    real = run_call(esorex, desk.place("real"), words)
    assert_same(desk.lazy("first", words, ESOREX_LAZY_STORE="/proc/nowhere"), real)


def test_products_of_measurements_alone_or_of_another_category_than_listed_are_kept(
    desk: Desk, frames_folder: Path, bridge: Callable[..., Ended], esorex: str
) -> None:
    root = desk.folder / "root"
    put_on_disk(amber_night(), frames_folder, root)
    made = bridge("run", "--root", root, "--json").json["datasets"][0]["steps"]
    wanted = {"amber_p2vm", "amber_spectral_calibration", "amber_trf"}
    steps = {step["recipe"]: Path(step["sof"]) for step in made if step["sof"] and step["recipe"] in wanted}
    assert steps.keys() == wanted
    for number, (recipe, sof) in enumerate(steps.items(), start=1):
        words = ("--suppress-prefix=TRUE", f"--recipe-config={sof.with_name(recipe)}.rc", recipe, str(sof))
        real = run_call(esorex, desk.place(f"{recipe}_real"), words)
        assert real.code == 0
        assert_same(desk.lazy(f"{recipe}_first", words), real)
        assert_same(desk.lazy(f"{recipe}_second", words), real)
        assert desk.runs == number
