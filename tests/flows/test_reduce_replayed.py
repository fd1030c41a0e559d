"""A reduction whose archive is gone: played again from a trace, with the same files and the same products."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.lazy_calls import _CHANGING_CARDS

CARD = 80


def stable(path: Path) -> bytes:
    """Return a product without the cards that say when it was made."""
    content = path.read_bytes()
    cards = (content[at : at + CARD] for at in range(0, len(content), CARD))
    return b"".join(card for card in cards if not card.startswith(_CHANGING_CARDS))


def test_a_recorded_reduction_makes_the_same_products_without_the_archive(
    esorex: str, frames_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, trace = tmp_path / "first", tmp_path / "again", tmp_path / "trace"
    with EmbeddedArchive([naco_night()], frames_folder) as archive:
        words = ["reduce", "--program", "60.A-9999(A)", "--archive", archive.url, "--root"]
        assert main([*words, str(first), "--trace-http", str(trace)]) == 0
    data = first / "reflex_input" / "data_with_raw_calibs"
    monkeypatch.setenv("ESOREX_BRIDGE_REPLAY_HTTP", f"{trace}:{data}")
    assert main([*words, str(again)]) == 0
    products = {path.name: path for path in (first / "reflex_end_products").rglob("*.fits")}
    others = {path.name: path for path in (again / "reflex_end_products").rglob("*.fits")}
    assert products and set(products) == set(others)
    for name, path in products.items():
        assert stable(path) == stable(others[name])
