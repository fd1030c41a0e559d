"""The stamp of a file: what it shows, and when it is not to be trusted."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from esorex_bridge.disk.digest import UnsteadyError, digest_of_bytes, read_digest
from esorex_bridge.disk.stamp import (
    settled_stamp,
    size_in,
    stamp_of,
    stamp_without_ctime,
    steady_stamp,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "frame.fits"
    path.write_bytes(b"x" * 5760)
    return path


def edit(path: Path, at: int, byte: int) -> None:
    """Change one byte in place, and put the times back."""
    state = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(bytes([byte]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_stamp_holds_no_device_and_begins_with_the_size(file: Path) -> None:
    state = file.stat()
    assert stamp_of(file) == f"5760:{state.st_mtime_ns}:{state.st_ino}:{state.st_ctime_ns}"
    assert size_in(stamp_of(file)) == 5760
    assert stamp_of(file.with_name("none")) == "" and size_in("") == -1


def test_rights_change_ctime_alone_and_an_edit_without_trust_in_it_does_not_show(file: Path) -> None:
    before, without = settled_stamp(file), stamp_without_ctime(file)
    file.chmod(0o600)
    assert stamp_of(file) != before and stamp_without_ctime(file) == without
    edit(file, 7, 1)
    assert stamp_without_ctime(file) == without
    file.write_bytes(b"longer" * 1000)
    assert stamp_without_ctime(file) != without


def test_a_stamp_is_given_for_what_was_the_same_before_and_after(file: Path) -> None:
    before = settled_stamp(file)
    assert steady_stamp(file, before) == before
    edit(file, 7, 1)
    assert steady_stamp(file, before) == ""


def test_what_is_written_whenever_it_is_read_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esorex_bridge.disk import digest

    def disturbed(stream: object) -> str:
        edit(file, 7, random.randrange(256))
        return "sha256:0"

    monkeypatch.setattr(digest, "digest_of_stream", disturbed)
    with pytest.raises(UnsteadyError, match="changes while it is read"):
        read_digest(file)


def survive_edits(path: Path, edits: int) -> int:
    """Edit a file at random places with its times put back, and return how often a remembered digest was stale."""
    chance = random.Random(1)
    remembered: dict[str, str] = {}
    stale = 0
    for _ in range(edits):
        if chance.random() < 0.8:
            edit(path, chance.randrange(5760), chance.randrange(256))
        stamp = stamp_of(path)
        if stamp not in remembered:
            reading = read_digest(path)
            if reading.stamp:
                remembered[reading.stamp] = reading.digest
        elif remembered[stamp] != digest_of_bytes(path.read_bytes()):
            stale += 1
    return stale


def test_of_some_edits_in_place_none_gives_a_stale_digest(file: Path) -> None:
    assert survive_edits(file, 300) == 0


@pytest.mark.slow
def test_of_ten_thousand_edits_in_place_none_gives_a_stale_digest(file: Path) -> None:
    assert survive_edits(file, 10_000) == 0
