"""What the package offers, and what it costs to import it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import esorex_bridge


@pytest.mark.parametrize("name", [name for name in esorex_bridge.__all__ if not name.startswith("_")])
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(esorex_bridge, name).__name__ == name


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        esorex_bridge.nothing_of_ours  # noqa: B018


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["reduce", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\nfrom esorex_bridge.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('astropy', 'numpy', 'pyvo', 'requests', 'rich', 'lark') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"
