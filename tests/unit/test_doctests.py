"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(
    ".".join(path.relative_to(HERE).with_suffix("").parts).removesuffix(".__init__")
    for package in ("esorex_bridge", "reflex_actors")
    for path in (HERE / package).rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_examples_are_found() -> None:
    assert "esorex_bridge.files" in EXAMPLES
