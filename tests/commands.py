"""Commands as tests run them: started as a user does, or forked from a process that has loaded all they need.

Most commands of a test load longer than they work, so the quick tests fork them: each still has a process, an
environment, a umask and streams of its own, and goes the whole road from its words to its exit status. With
`--start-commands`, and where coverage is measured, each is started anew.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))
START = "BRIDGE_TESTS_START_COMMANDS"
"""Environment variable; where it is set, every command is started anew."""
PATIENCE_S = 100.0
"""How long tests wait for what takes a moment: much more than a loaded machine needs, and less than a test may take."""
_READ_BY_PYTHON = ("PYTHON", "COVERAGE", "LANG", "LC_", "LD_", "MALLOC", "OMP_", "OPENBLAS")
"""Variables that count when a process starts, or a library is loaded."""
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.loaded_commands"])


def run_command(
    *words: object, env: Mapping[str, str] | None = None, seconds: float = 200, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `esorex-bridge` to its end, in another folder where one is given."""
    texts, here = tuple(map(str, words)), folder or Path.cwd()
    variables = {**os.environ, **(env or {})}
    if START in variables or any(name.startswith(_READ_BY_PYTHON) for name in env or {}) or _is_measured(variables):
        return subprocess.run(
            (COMMAND, *texts), cwd=here, capture_output=True, text=True, env=variables, timeout=seconds, check=False
        )
    return _fork(texts, variables, seconds, here)


def _is_measured(variables: Mapping[str, str]) -> bool:
    return any(name.startswith("COVERAGE_PROCESS") for name in variables)


def _fork(
    words: tuple[str, ...], variables: dict[str, str], seconds: float, here: Path
) -> subprocess.CompletedProcess[str]:
    with TemporaryDirectory(prefix="streams") as folder:
        out, err = (Path(folder) / name for name in ("out", "err"))
        place = (str(here), str(out), str(err))
        process = _forks.Process(target=_go, args=(words, variables, _read_umask(), *place))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, seconds, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess((COMMAND, *words), process.exitcode, out.read_text(), err.read_text())


def _read_umask() -> int:
    """Return the umask, and never change it: other threads may be writing."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))


def _go(words: tuple[str, ...], variables: dict[str, str], umask: int, here: str, out: str, err: str) -> None:
    """Be the command: with its words, environment, umask, folder and streams."""
    from esorex_bridge.cli import main

    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(here)
    os.umask(umask)
    writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (out, writing), (err, writing))):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    sys.argv = [COMMAND, *words]
    sys.exit(main())
