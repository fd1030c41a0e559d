"""What is looked at of a file while it comes, and what when its connection is free."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.archive import verify_stream
from esorex_bridge.archive.verify_stream import Arriving, PageError, verified_file
from esorex_bridge.errors import DataError
from tests.tiny_fits import fits_of

DAMAGED = fits_of({"INSTRUME": "NACO"}) + b"no extension" * 240


def test_a_small_file_is_looked_at_when_it_is_closed(tmp_path: Path) -> None:
    arriving = Arriving("a")
    arriving.feed(DAMAGED)  # The connection goes on to the next file meanwhile.
    with pytest.raises(DataError, match="no extension"):
        arriving.close(tmp_path / "a.fits", fits=True)


def test_damage_of_a_large_file_shows_before_its_end() -> None:
    arriving = Arriving("a")
    with pytest.raises(DataError, match="no extension"):
        for _ in range(verify_stream._WAITING_BYTES // len(DAMAGED) + 1):
            arriving.feed(DAMAGED)


def test_a_web_page_shows_at_once() -> None:
    with pytest.raises(PageError):
        Arriving("a").feed(b"<!DOCTYPE html><html><head><title>Login</title></head></html>")


@pytest.mark.parametrize("content", [fits_of({"INSTRUME": "NACO"}), b"a night log\n" * 100])
def test_bytes_count_the_same_in_whatever_pieces_they_come(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    arriving = Arriving("a")
    for byte in content:
        arriving.feed(bytes((byte,)))
    assert arriving.close(path, fits=False) == verified_file(path)
