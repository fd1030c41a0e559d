"""What goes wrong is said in words, stops only what depends on it, and loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from tests.flows.conftest import SMALL, Ended
from tests.flows.test_run_again import frame

pytestmark = pytest.mark.usefixtures("esorex")


def test_a_recipe_that_fails_blocks_what_needs_it_and_the_cause_is_told(
    root: Path, bridge: Callable[..., Ended]
) -> None:
    # With its default borders naco_img_dark cannot work on frames of 128 pixels.
    ended = bridge("run", "--root", root, "--json", "--set=naco_img_twflat.r=8 8 8 8")
    assert ended.code == 1
    dark, flat, science = map(ended.step, ("naco_img_dark", "naco_img_twflat", "naco_img_jitter"))
    assert (dark["outcome"], flat["outcome"], science["outcome"]) == ("failed", "done", "blocked")
    assert "exit code" in dark["error"]
    assert "cmdline.sh" in dark["error"]
    assert science["error"] == "naco_img_dark_1 was not made"
    again = bridge("run", "--root", root, "--json", *SMALL)
    assert again.code == 0
    assert again.decisions["naco_img_twflat"] == "reuse"


def test_a_raw_that_is_cut_off_holds_up_its_dataset_and_is_named(root: Path, bridge: Callable[..., Ended]) -> None:
    path = frame(root, "FLAT,SKY")
    path.write_bytes(path.read_bytes()[:-5760])
    ended = bridge("run", "--root", root, "--json", *SMALL)
    assert ended.code == 1
    assert {step["outcome"] for step in ended.json["datasets"][0]["steps"] if step["recipe"]} == {"blocked"}
    assert path.name in ended.step("naco_img_jitter")["error"]


def test_a_raw_that_is_not_there_blocks_just_the_steps_that_need_it(root: Path, bridge: Callable[..., Ended]) -> None:
    path = frame(root, "FLAT,SKY")
    path.unlink()
    ended = bridge("run", "--root", root, "--json", *SMALL)
    assert ended.step("naco_img_dark")["outcome"] == "done"
    assert (
        f"{path.name.removesuffix('.fits')} (CAL_FLAT_TW) is not on this machine"
        in ended.step("naco_img_twflat")["error"]
    )


def test_a_wrong_parameter_stops_everything_before_anything_runs(root: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("run", "--root", root, "--json", *SMALL, "--set", "naco_img_dark.nsamples=many")
    assert ended.code == 1
    assert "must be a whole number" in ended.json["error"]["message"]
    assert not list((root / "reflex_tmp_products").rglob("*.fits"))


def test_a_root_with_blanks_and_dollars_in_its_name_works(root: Path, bridge: Callable[..., Ended]) -> None:
    odd = root.with_name("my $(touch harm) night's data")
    root.rename(odd)
    ended = bridge("run", "--root", odd, "--json", *SMALL)
    assert ended.code == 0, ended.err
    assert not list(odd.rglob("harm"))
    assert bridge("run", "--root", odd, "--json", *SMALL).json["executed"] == 0


def test_the_users_own_esorex_settings_do_not_count(root: Path, bridge: Callable[..., Ended], tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".esorex"
    settings.mkdir(parents=True)
    (settings / "esorex.rc").write_text("esorex.caller.suppress-prefix=FALSE\nesorex.caller.recipe-dir=.\n")
    (settings / "naco_img_dark.rc").write_text("naco.naco_img_dark.nsamples=3\n")
    odd = {"HOME": str(settings.parent), "ESOREX_MSG_LEVEL": "nonsense", "ESOREX_OUTPUT_DIR": "/nowhere"}
    ended = bridge("run", "--root", root, "--json", *SMALL, env=odd)
    assert ended.code == 0, ended.err
    assert bridge("run", "--root", root, "--json", *SMALL).json["executed"] == 0


def test_without_esorex_the_sofs_are_written_and_it_is_said_plainly(
    root: Path, bridge: Callable[..., Ended], tmp_path: Path, small_archive: EmbeddedArchive
) -> None:
    bare = {"PATH": str(tmp_path)}
    ended = bridge("reduce", "--program", "60.A-9999(A)", "--root", root, "--archive", small_archive.url, env=bare)
    assert "EsoRex is not installed, so no recipe ran" in ended.out
    sofs = sorted(path.name for path in (root / "sof").rglob("*.sof"))
    assert sofs == ["naco_img_dark_1.sof", "naco_img_jitter_1.sof", "naco_img_twflat_1.sof"]
    text = next((root / "sof").rglob("naco_img_jitter_1.sof")).read_text()
    assert "# MASTER_IMG_FLAT of naco_img_twflat_1 is not made yet" in text


def test_plan_check_tells_what_is_wrong_in_a_definition(bridge: Callable[..., Ended], tmp_path: Path) -> None:
    assert bridge("plan", "--check").code == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "workflow: wrong\ninstruments: [X]\npipeline: x\nstate: from documentation\nsteps:\n"
        "  - {recipe: naco_img_dark, main: [CAL_DARK], products: [A], parameters: {nsamples: many}}\n"
        "  - {recipe: no_such_recipe, main: [B], products: [C]}\n"
    )
    ended = bridge("plan", "--check", "--workflow", wrong)
    assert ended.code == 1
    assert f"{wrong}:6: parameter nsamples of naco_img_dark is 'many'; it must be a whole number" in ended.err
    assert f"{wrong}:7: recipe no_such_recipe is not installed" in ended.err


def test_eight_runs_at_once_make_each_step_once(root: Path, bridge: Callable[..., Ended]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(bridge, "run", "--root", root, "--json", *SMALL) for _ in range(8)]
        ended = [run.result() for run in runs]
    assert [run.code for run in ended] == [0] * 8, [run.err for run in ended]
    made = [step for run in ended for step in run.json["datasets"][0]["steps"] if step["decision"] == "execute"]
    assert sorted(step["recipe"] for step in made) == ["naco_img_dark", "naco_img_jitter", "naco_img_twflat"]


def test_nothing_is_written_beside_the_root(root: Path, bridge: Callable[..., Ended]) -> None:
    here = Path.cwd()
    before = set(here.iterdir())
    bridge("run", "--root", root, "--json", *SMALL)
    assert set(here.iterdir()) == before


def test_a_raw_with_a_flipped_bit_is_caught_by_its_own_checksum(root: Path, bridge: Callable[..., Ended]) -> None:
    path = frame(root, "FLAT,SKY")
    content = bytearray(path.read_bytes())
    content[-4000] ^= 1
    path.write_bytes(content)
    ended = bridge("run", "--root", root, "--json", *SMALL)
    assert ended.step("naco_img_twflat")["outcome"] == "failed"
    assert "DATASUM" in ended.step("naco_img_twflat")["error"]
    assert path.name in ended.step("naco_img_twflat")["error"]
    assert ended.step("naco_img_dark")["outcome"] == "done"


def test_a_raw_with_garbage_in_its_header_is_told_by_its_own_checksum(root: Path, bridge: Callable[..., Ended]) -> None:
    path = frame(root, "FLAT,SKY")
    content = path.read_bytes()
    at = content.index(b"TPL NAME")
    path.write_bytes(content[: at + 15] + b"#%" + content[at + 17 :])
    ended = bridge("run", "--root", root, "--json", *SMALL)
    assert ended.step("naco_img_twflat")["outcome"] == "done"
    said = f"the header of {path.name} (HDU 0) was changed after the file was signed: it differs from its CHECKSUM"
    assert said in ended.step("naco_img_twflat")["warnings"]
    others = (*ended.step("naco_img_dark")["warnings"], *ended.step("naco_img_jitter")["warnings"])
    assert not any("CHECKSUM" in warning for warning in others)


def test_failure_mode_stop_makes_nothing_more(root: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge(
        "run", "--root", root, "--json", "--jobs", "1", "--recipe-failure-mode", "Stop",
        "--set=naco_img_twflat.r=300 300 300 300", "--set=naco_img_dark.r=8 8 8 8",
    )  # fmt: skip
    assert ended.step("naco_img_twflat")["outcome"] == "failed"
    assert ended.step("naco_img_jitter")["outcome"] == "blocked"
    assert "stopped, because naco_img_twflat_1 failed" in ended.step("naco_img_jitter")["error"]


def test_esorexs_own_messages_are_passed_on_where_asked(root: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("run", "--root", root, "-v", *SMALL)
    assert ended.code == 0
    assert "[ INFO  ] naco_img_dark" in ended.err
