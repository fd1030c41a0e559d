"""What all tests share: an empty home, real material where it is present, and the road to the real EsoRex."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.commands import START

if TYPE_CHECKING:
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive


# Started by nohup or in the background of a script, we and all that we start would not hear these.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

collect_ignore = ["crate_validator.py", "loaded_commands.py"]
"""A program for another Python than that of the tests, and what loads all that commands load."""

WORKER = "PYTEST_XDIST_WORKER"
"""Environment variable of those who share the tests among them; their folders lie in one."""

_COMPILING = pytest.StashKey[int]()

# A deadline measures the machine's load, not the code.
hypothesis.settings.register_profile("bridge", deadline=None)
hypothesis.settings.load_profile("bridge")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that write golden files instead of comparing with them, and that start every command."""
    parser.addoption("--update-goldens", action="store_true", help="write the golden files anew")
    parser.addoption("--start-commands", action="store_true", help="start every command as a user does; none is forked")


def pytest_configure(config: pytest.Config) -> None:
    """Take the word on commands to those who run them; let the first worker compile the tests and the others wait.

    Those that begin at once would compile the same files side by side, which takes longer than all else they load.
    """
    if config.getoption("--start-commands"):
        os.environ[START] = "1"
    if WORKER in os.environ:
        config.stash[_COMPILING] = compiling = os.open(__file__, os.O_RDONLY)
        fcntl.flock(compiling, fcntl.LOCK_EX if os.environ[WORKER] == "gw0" else fcntl.LOCK_SH)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the other workers begin."""
    if WORKER in os.environ:
        os.close(session.config.stash[_COMPILING])


@pytest.fixture(scope="session")
def update_goldens(pytestconfig: pytest.Config) -> bool:
    """Tell whether golden files are to be written."""
    return bool(pytestconfig.getoption("--update-goldens"))


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


@pytest.fixture(scope="session")
def frames_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the synthetic frames of all embedded archives are made, once each for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if WORKER in os.environ else base) / "frames"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def naco_archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve a NACO night whose frames the recipes take with their default parameters."""
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive
    from esorex_bridge.demo.nights.naco import naco_night

    with EmbeddedArchive([naco_night()], frames_folder) as archive:
        yield archive


@pytest.fixture
def small_archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve a NACO night of 128 pixels, for all that does not run a recipe with its default parameters."""
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive
    from esorex_bridge.demo.nights.naco import naco_night

    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        yield archive


@pytest.fixture
def hawki_archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve a HAWK-I night of four detectors of 128 pixels."""
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive
    from esorex_bridge.demo.nights.hawki import hawki_night

    with EmbeddedArchive([hawki_night(npix=128)], frames_folder) as archive:
        yield archive
