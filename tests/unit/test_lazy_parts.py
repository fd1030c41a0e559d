"""The parts of `esorex-lazy`: what it understands, what it keys on, how it rewrites messages."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec.structs import replace

from esorex_bridge.esorex.libraries import Libraries
from esorex_bridge.esorex.runner import pipeline_of
from esorex_bridge.files import Digest
from esorex_bridge.lazy import guard, runs_recipe
from esorex_bridge.lazy.command import DoubtError, take_apart
from esorex_bridge.lazy.content import FrameContent, frames_of
from esorex_bridge.lazy.effective import Plugin
from esorex_bridge.lazy.lazy_store import LazyStore
from esorex_bridge.lazy.messages import at_least, fill_messages, with_gaps
from esorex_bridge.lazy.real import find_real
from esorex_bridge.lazy.statement import FILE_WORD, STATEMENT_VERSION, key_of, older_keys_of, statement_of
from esorex_bridge.reuse import key as run_key
from esorex_bridge.reuse.key import InputStatement, Statement

LIBRARIES = (("libcplcore.so.26", "sha256:4"), ("libwcs.so.7", "libwcs.so.7.12"))
PLUGIN = Plugin("/plugins/naco-4.4.11/naco_img_dark.so", "sha256:1", "/narrow", Libraries(LIBRARIES, 1))


def test_the_key_is_the_one_that_the_bridge_takes_for_the_same_run() -> None:
    parameters = (("naco.b", "TRUE"), ("naco.a", "5"))
    inputs = (("CAL_DARK", "sha256:2", "b.fits"), ("CAL_DARK", "sha256:1", "a – copy.fits"))
    statement = Statement(
        "naco_img_dark", "naco/4.4.11", Digest("sha256:1"), parameters,
        tuple(InputStatement(*each) for each in inputs), LIBRARIES,
    )  # fmt: skip
    mine = statement_of("naco_img_dark", PLUGIN, parameters, [FrameContent(*each) for each in inputs])
    assert key_of(mine) == statement.key()
    assert run_key.STATEMENT_VERSION == STATEMENT_VERSION
    assert run_key.FILE_WORD == FILE_WORD
    assert older_keys_of(mine, parameters) == (key_of(mine), replace(statement, libraries=()).key())


def test_the_pipeline_is_named_as_the_bridge_names_it(tmp_path: Path) -> None:
    for folder in ("naco-4.4.11", "muse-2.8.7-1", "plain"):
        plugin = tmp_path / folder / "recipe.so"
        assert Plugin(str(plugin), "", "").pipeline == pipeline_of(plugin)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["naco_img_dark", "data.sof"], True),
        (["--msg-level=info", "naco_img_dark", "--r=1 2", "data.sof"], True),
        (["--version"], False),
        (["--params", "naco_img_dark", "data.sof"], False),
        (["--create-config=x.json", "naco_img_dark", "data.sof"], False),
        (["naco_img_dark", "--nsamples=5"], False),
        ([], False),
    ],
)
def test_only_runs_of_recipes_are_looked_at(words: list[str], expected: bool) -> None:
    assert runs_recipe(words) is expected


@pytest.mark.parametrize(
    "words",
    [
        ["-x", "naco_img_dark", "data.sof"],
        ["naco_img_dark", "--", "data.sof"],
        ["naco_img_dark", "data.sof", "--nsamples=5"],
        ["naco_img_dark", ""],
    ],
)
def test_odd_command_lines_are_doubts(words: list[str]) -> None:
    with pytest.raises(DoubtError):
        take_apart(words)


def test_the_last_of_equal_options_counts() -> None:
    call = take_apart(["--log-dir=a", "--log-dir=b", "--time", "naco_img_dark", "--r=1 2", "one.sof", "two.sof"])
    assert (call.option("log-dir"), call.option("time"), call.option("config")) == ("b", "", None)
    assert (call.recipe, call.parameters, call.sofs) == ("naco_img_dark", ("--r=1 2",), ("one.sof", "two.sof"))


@pytest.mark.parametrize(
    "text",
    ["", "# none\n", "$HOME/a.fits T\n", "a.fits T\r\n", "\ufeffa.fits T\n", f"{'a' * 1100} T\n", "SIMPLE  =     T"],
)
def test_a_set_of_files_that_esorex_reads_in_its_own_way_is_a_doubt(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.sof").write_text(text, newline="")
    with pytest.raises(DoubtError):
        frames_of([str(tmp_path / "data.sof")])


def test_the_group_of_a_frame_belongs_to_its_tag(tmp_path: Path) -> None:
    (tmp_path / "data.sof").write_text(" a.fits\tT RAW\n\n#b.fits T\nc.fits\n")
    assert frames_of([str(tmp_path / "data.sof")]) == [("a.fits", "T RAW"), ("c.fits", "")]


def test_messages_are_kept_with_gaps_and_filled_for_another_run() -> None:
    said = (
        "Invocation command line was: esorex dark a.sof\n[ INFO  ] esorex: Created product out/x.fits\n"
        "[WARNING] esorex: Product final output path file already exists and will be overwritten (out/x.fits)\n"
    )
    kept = with_gaps(said, ["out/x.fits"], "esorex dark a.sof")
    assert "x.fits" not in kept
    assert "overwritten" not in kept
    assert fill_messages(kept, ["x.fits (in place)"], "esorex dark b.sof") == (
        "Invocation command line was: esorex dark b.sof\n[ INFO  ] esorex: Created product x.fits (in place)\n"
    )


def test_messages_below_a_level_are_left_out_with_their_further_lines() -> None:
    text = "banner\n[ INFO  ] a: one\n  more of one\n[WARNING] a: two\n  more of two\n[ INFO  ] a: three\n"
    assert at_least(text, "warning") == "banner\n[WARNING] a: two\n  more of two\n"
    assert at_least(text, "info") == text
    assert at_least("10:00:00 [ ERROR ] f: x\n10:00:00 [ INFO  ] f: y\n", "error") == "10:00:00 [ ERROR ] f: x\n"


def test_the_real_esorex_is_the_first_on_the_path_that_is_not_this(tmp_path: Path) -> None:
    for folder in ("first", "second", "third"):
        (tmp_path / folder).mkdir()
    own = tmp_path / "esorex-lazy"
    for path in (own, tmp_path / "third" / "esorex"):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (tmp_path / "first" / "esorex").symlink_to(own)
    (tmp_path / "second" / "esorex").write_text("not executable")
    path = ":".join(str(tmp_path / folder) for folder in ("first", "second", "third"))
    assert find_real({"PATH": path}, str(own)) == str(tmp_path / "third" / "esorex")
    assert find_real({"PATH": path, "ESOREX_LAZY_ESOREX": "/opt/esorex"}, str(own)) == "/opt/esorex"
    assert find_real({"PATH": str(tmp_path / "first")}, str(own)) is None


def test_no_program_begins_of_which_a_guard_that_was_killed_has_told_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, held, own = tmp_path / "begun", os.pipe(), os.getpid()

    def begin() -> NoReturn:
        begun.touch()
        os._exit(0)

    monkeypatch.setattr(guard.signal, "signal", lambda *_: os.getpid() != own and os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(OSError, match="no process could be started"):
        guard.Guarded(begin, ())
    os.close(held[1])
    assert os.read(held[0], 1) == b"", "whoever was begun has ended"
    os.close(held[0])
    assert not begun.exists()


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"one")
    first = LazyStore(str(tmp_path / "store")).digest_of(str(path))
    path.write_bytes(b"two")
    assert LazyStore(str(tmp_path / "store")).digest_of(str(path)) != first


def test_the_digest_of_an_old_file_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"one")
    import time

    time.sleep(0.06)
    first = LazyStore(str(tmp_path / "store")).digest_of(str(path))
    (remembered,) = (tmp_path / "store" / "digests").iterdir()
    remembered.write_text(remembered.read_text().replace(first, "sha256:" + "0" * 64) + "half a line")
    assert LazyStore(str(tmp_path / "store")).digest_of(str(path)) == "sha256:" + "0" * 64
    os.utime(path, (5, 5))
    assert LazyStore(str(tmp_path / "store")).digest_of(str(path)) == first
