"""What is loaded for `--help`, for an up-to-date run and for a first one: kept lists, because it takes time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.cli import VERBS, Verb
from esorex_bridge.definitions.folders import workflow_folder
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from tests.flows.conftest import SMALL, Ended

LIST = Path(__file__).with_name("loaded_modules.txt")
HEAVY = ("astropy", "numpy", "pyvo", "requests", "rich", "lark", "jinja2", "PIL", "asyncio", "keyring")
SLOW = (*HEAVY, "typing_extensions", "yaml", "lxml", "inspect", "multiprocessing", "urllib.request", "ssl", "logging")
"""What no run of raws on disk needs, in a new root either."""
DEAR = {
    "concurrent.futures",
    "email",
    "hashlib",
    "inspect",
    "json",
    "locale",
    "logging",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
}
"""Modules of Python that take milliseconds to load, and that no help needs."""
OWN = {"esorex_bridge", "reflex_actors"}
OF_THE_INSTALLATION = {"_distutils_hack", "sitecustomize"}
"""What this Python loads for every program."""

PROGRAM = """
import contextlib, io, sys
from esorex_bridge.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(*sorted(sys.modules))
"""


PROGRAM_OF_MANY = """
import os, sys
from esorex_bridge.cli import main
for line in sys.stdin:
    sys.stdout.flush()
    if not os.fork():
        words, out = line.split(), os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            main([*words, "--help"])
        except SystemExit:
            os.write(out, f"{' '.join(words)}: {' '.join(sys.modules)}\\n".encode())
        os._exit(0)
    os.wait()
"""
"""Prints what the help of each verb on stdin loads; forks, because a start takes longer than the help."""


def loaded(*words: object) -> set[str]:
    """Return the modules that a command loads."""
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in OWN}


def kept(name: str) -> set[str]:
    """Return the modules that the list allows for a command."""
    blocks = LIST.read_text(encoding="utf-8").split("\n\n")
    return next(set(block.split()[1:]) for block in blocks if block.split()[0] == f"{name}:")


def test_help_loads_what_is_listed() -> None:
    modules = loaded("--help")
    assert ours(modules) == kept("help")
    assert not modules & set(HEAVY)


def test_help_of_every_verb_loads_words_and_nothing_else() -> None:
    modules = {**VERBS, **{f"{name} {sub}": each for name, verb in VERBS.items() for sub, each in verb.sub.items()}}
    command = [sys.executable, "-c", PROGRAM_OF_MANY]
    done = subprocess.run(command, input="\n".join(modules), capture_output=True, text=True, check=True)
    told = dict(line.split(": ") for line in done.stdout.splitlines())
    assert told.keys() == modules.keys()
    for name, names in told.items():
        found = set(names.split())
        own = {module_of(modules[name]), module_of(modules[name.split()[0]])}
        assert ours(found) - own <= kept("help_of_verbs"), name
        others = {each.partition(".")[0] for each in found} - sys.stdlib_module_names - {"__main__"}
        assert not others - OWN - OF_THE_INSTALLATION, name
        assert not found & DEAR, name


def module_of(verb: Verb) -> str:
    return verb.module if "." in verb.module else f"esorex_bridge.cli.{verb.module}"


@pytest.mark.usefixtures("esorex")
def test_an_up_to_date_run_loads_what_is_listed(
    small_archive: EmbeddedArchive, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    words = ("--program", "60.A-9999(A)", "--archive", small_archive.url)
    assert bridge("reduce", *words, "--root", tmp_path, *SMALL).code == 0
    modules = loaded("run", "--root", tmp_path, *SMALL)
    # What is loaded while EsoRex is asked depends on how long that takes; the list has all of it.
    assert ours(modules) <= kept("run")
    assert not modules & set(HEAVY)


@pytest.mark.usefixtures("esorex")
def test_a_first_run_loads_nothing_that_is_slow(
    small_archive: EmbeddedArchive, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    words = ("--program", "60.A-9999(A)", "--archive", small_archive.url)
    assert bridge("reduce", *words, "--root", tmp_path / "used", *SMALL).code == 0
    shutil.copytree(tmp_path / "used" / "reflex_input", tmp_path / "new" / "reflex_input")
    modules = loaded("run", "--root", tmp_path / "new", *SMALL)
    assert list((tmp_path / "new" / "reflex_end_products").glob("*/*/*.fits"))
    assert not modules & set(SLOW), modules & set(SLOW)
    assert ours(modules) - kept("run") == kept("first_run")

    root = tmp_path / "by_file"
    shutil.copytree(tmp_path / "used" / "reflex_input", root / "reflex_input")
    folders = ("-ROOT_DATA_DIR", root, "-RAW_DATA_DIR", root / "reflex_input/data_with_raw_calibs")
    by_file = loaded("reflex", "run", workflow_folder() / "naco.xml", "--dry-run", *folders, "-CALIB_MODE", "none")
    assert "reflex_actors.actors.organise_datasets" in by_file
    assert not by_file & {*HEAVY, "yaml", "lxml", "email.message"}
