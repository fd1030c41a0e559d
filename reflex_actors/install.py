"""Installing: a launcher for each actor, the modules that own actors need, and the workflows with their places.

Reflex rebuilds the environment of its scripts, so no virtual environment survives: a launcher names the interpreter
that has the bridge, and becomes it. Arguments, status and signals pass, because it is the same process.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from esorex_bridge.disk.atomic import make_executable, write_whole
from esorex_bridge.errors import UserError
from esorex_bridge.version import __version__
from reflex_actors.actors import NAMES
from reflex_actors.rc_file import rc_in_force, wanted_settings

DEFAULT_FOLDER = ".esoreflex/esorex_bridge"
"""Below the home directory."""

MODULES = ("protocol", "ports", "sof_json", "dataset_json", "purposes")
"""What own actors import; they run in Reflex's own interpreter."""

_LAUNCHER = '''#!/usr/bin/env python3
"""{actor} of esorex-bridge {version}, for ESO Reflex; written by 'esorex-bridge reflex install'."""
# Any Python runs this file, old ones too: it becomes the interpreter that has the bridge.
import os
import sys

INTERPRETER = {interpreter!r}
ACTOR = {actor!r}


def start():
    if not os.access(INTERPRETER, os.X_OK):
        sys.stderr.write(
            "%s: the Python interpreter of esorex-bridge is gone: %s. Install the bridge again, then run "
            "'esorex-bridge reflex install'.\\n" % (ACTOR, INTERPRETER)
        )
        return 1
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(INTERPRETER, [INTERPRETER, "-E", "-P", "-m", "reflex_actors", ACTOR] + sys.argv[1:])


sys.exit(start())
'''

_PACKAGE = '''"""Modules of esorex-bridge {version} for own actors; written by 'esorex-bridge reflex install'."""

import sys

if sys.version_info < (3, 8):
    sys.exit(
        "esorex-bridge: this actor needs Python 3.8 or later, and Reflex starts it with Python %d.%d (%s). "
        "Set esoreflex.python-command in ~/.esoreflex/esoreflex.rc to a newer one."
        % (sys.version_info[:2] + (sys.executable,))
    )
'''


@dataclass(frozen=True, slots=True)
class Installed:
    """What was written.

    Parameters
    ----------
    folder : Path
        Where.
    launchers, workflows : tuple of Path
        The files.
    """

    folder: Path
    launchers: tuple[Path, ...]
    workflows: tuple[Path, ...]


def install(folder: Path, interpreter: str = sys.executable) -> Installed:
    """Write launchers, modules and workflows into a folder.

    Raises
    ------
    UserError
        If the folder cannot be written, or its path cannot pass through Reflex.
    """
    from reflex_actors.sof_json import EncodingError, refuse_separators

    try:
        refuse_separators(str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        launchers = tuple(_launcher(folder, actor, interpreter) for actor in NAMES)
        _modules(folder / "reflex_actors")
        workflows = tuple(_workflows(folder))
    except EncodingError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}; choose another with --into") from None
    return Installed(folder, launchers, workflows)


def settings(folder: Path, home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that `esoreflex.rc` lacks, by name; the actors themselves need none."""
    return wanted_settings(rc_in_force(home, environment), folder, shutil.which("esorex"))


def launcher_text(actor: str, interpreter: str) -> str:
    """Return the script that Reflex starts for an actor."""
    return _LAUNCHER.format(actor=actor, version=__version__, interpreter=interpreter)


def _launcher(folder: Path, actor: str, interpreter: str) -> Path:
    path = folder / f"{actor}.py"
    write_whole(path, launcher_text(actor, interpreter))
    make_executable(path)
    return path


def _modules(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_whole(folder / "__init__.py", _PACKAGE.format(version=__version__))
    for name in MODULES:
        write_whole(folder / f"{name}.py", Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))


def _workflows(folder: Path) -> Iterator[Path]:
    from reflex_actors.definitions import definitions
    from reflex_actors.moml.reduction import reduction
    from reflex_actors.moml.steps import UnsupportedError
    from reflex_actors.moml.text import write

    place = folder / "workflows"
    place.mkdir(exist_ok=True)
    for definition in definitions():
        try:
            document = reduction(definition, str(folder))
        except UnsupportedError:
            continue
        target = place / f"{definition.name}.xml"
        write_whole(target, write(document))
        yield target
