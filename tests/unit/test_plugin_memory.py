"""EsoRex is asked about a recipe once for a user, and again when the plugin, a library or EsoRex itself changed."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from msgspec import Struct

from esorex_bridge.esorex import plugin_memory
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.esorex.runner import EsoRex

DARK = "naco_img_dark"


class Asked(Struct):
    """A copy of a plugin, an EsoRex that counts its starts, and where answers are remembered."""

    plugin: Path
    command: Path
    count: Path
    memory: Path

    def recipe(self) -> Recipe:
        found = EsoRex(self.command, {DARK: self.plugin}).recipes((DARK,))[DARK]
        assert isinstance(found, Recipe)
        return found

    @property
    def times(self) -> int:
        return len(self.count.read_text().splitlines()) if self.count.exists() else 0


@pytest.fixture
def asked(tmp_path: Path, esorex: str, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(plugin_memory, "_TICK_NS", 0)  # or nothing so young would be remembered
    (installed,) = Path("/usr/lib").glob(f"*/cpl/plugins/naco-*/{DARK}.so")
    plugin = tmp_path / "naco-1.0" / installed.name
    plugin.parent.mkdir()
    shutil.copyfile(installed, plugin)
    command = tmp_path / "esorex"
    command.write_text(f'#!/bin/sh\necho >> {tmp_path}/count\nexec {esorex} "$@"\n')
    command.chmod(0o755)
    time.sleep(0.1)  # for the stamps of both to settle
    return Asked(plugin, command, tmp_path / "count", tmp_path / "cache" / "esorex-bridge" / "plugins")


def test_what_a_plugin_says_is_remembered_as_it_was_told(asked: Asked) -> None:
    first = asked.recipe()
    assert first.parameters and first.libraries
    assert asked.recipe() == first
    assert asked.times == 1


def test_a_plugin_or_esorex_that_changed_is_asked_anew(asked: Asked) -> None:
    first = asked.recipe()
    asked.plugin.write_bytes(asked.plugin.read_bytes() + b"\0")
    time.sleep(0.1)
    assert asked.recipe().plugin != first.plugin
    os.utime(asked.command)
    asked.recipe()
    asked.recipe()
    assert asked.times == 3


def test_a_library_path_has_an_answer_of_its_own(asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked.recipe()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "nowhere"))
    asked.recipe()
    monkeypatch.delenv("LD_LIBRARY_PATH")
    asked.recipe()
    assert asked.times == 2


def test_what_changed_since_it_was_asked_is_not_remembered(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_memory, "_TICK_NS", 3_600 * 10**9)
    asked.recipe()
    asked.recipe()
    assert asked.times == 2


@pytest.mark.parametrize("damage", ["", "{", "[" * 5000, '{"question": 1}'])
def test_a_damaged_memory_is_made_again(asked: Asked, damage: str) -> None:
    first = asked.recipe()
    (kept,) = asked.memory.iterdir()
    kept.write_text(damage)
    assert asked.recipe() == first
    assert asked.times == 2


def test_without_a_place_to_remember_each_time_is_the_first(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(asked.plugin))
    assert asked.recipe() == asked.recipe()
    assert asked.times == 2
