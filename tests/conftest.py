"""What all tests share: an empty home, real material where it is present, and the road to the real EsoRex."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give all tests an empty home directory, so that nothing of the developer's own settings counts."""
    home = tmp_path_factory.mktemp("home")
    saved = dict(os.environ)
    os.environ["HOME"] = str(home)
    for name in [name for name in os.environ if name.startswith(("ESOREX_", "XDG_", "CPL_"))]:
        del os.environ[name]
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    yield home
    os.environ.clear()
    os.environ.update(saved)


@pytest.fixture(scope="session")
def real() -> Path:
    """Return the folder of real replies and workflows, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("the folder of real replies is not present beside this checkout")
    return folder


@pytest.fixture(scope="session")
def esorex() -> str:
    """Return the path of the real EsoRex, or skip."""
    found = shutil.which("esorex")
    if found is None:
        pytest.skip("esorex is not installed")
    return found
