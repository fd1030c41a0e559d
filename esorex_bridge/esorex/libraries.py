"""The shared libraries that a recipe's plugin runs with: a pipeline's code lies in them, not in the thin plugin.

Which files they are follows from `LD_LIBRARY_PATH`, `ld.so.cache` and the folders that the plugin names, so the dynamic
linker is asked, once, and its answer is kept with all that it depends on. Libraries of pipelines and of CPL count by
their digest; general ones (CFITSIO, WCSLIB, GSL, FFTW) by the name of their file, which holds the version; the system's
own do not count, nor what CFITSIO needs for the network.

Nothing here takes time to load: `esorex-lazy` needs it too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from esorex_bridge.disk.digest import read_digest
from esorex_bridge.disk.stamp import stamp_of

_VERSION = 3
_BY_NAME = r"lib(cfitsio|wcs|gsl|gslcblas|fftw3[fl]?(_\w+)?)\.so"
_SYSTEM = r"(ld-|linux-|lib(c|m|dl|pthread|rt|util|resolv|gomp|gcc_s|stdc\+\+|ltdl|z|bz2)\.so)"
_LINKERS = ("/lib64", "/lib", "/libx32", "/lib32")
_CACHE = "/etc/ld.so.cache"
_COUNTING = ("LD_LIBRARY_PATH", "LD_PRELOAD")
_CPL = "libcpldfs.so"
"""The library of CPL that writes into each product which CPL it was made with, as it stands in the library."""

_LISTED = r"\s*(\S+) => (/.*) \(0x"
_PRELOADED = "preloaded "
_LISTED_BY_PATH = r"\s*(/.*/(?!ld-linux)(\S+)) \(0x"
"""The linker itself, and what LD_PRELOAD names by a path: that counts whatever it is called."""


class Libraries(NamedTuple):
    """The libraries of a plugin.

    Parameters
    ----------
    stated : tuple of (str, str)
        Name, and digest or name of the file, by name; what a statement holds.
    changed_ns : int
        When the last of them, or the plugin, was changed or put there (ctime in ns); 0 where it is not known.
    cpl : str
        CPL among them, as products name it (`cpl-7.2.3`); empty where it is not known.
    """

    stated: tuple[tuple[str, str], ...] = ()
    changed_ns: int = 0
    cpl: str = ""


def question_of(esorex: str, plugin: str, variables: Mapping[str, str]) -> str:
    """Return what the choice of libraries depends on, as text: the same text, the same answer."""
    counting = {name: variables.get(name, "") for name in _COUNTING}
    return json.dumps([_VERSION, esorex, plugin, counting], sort_keys=True)


class Linker:
    """Asks the dynamic linker, each question once: for a moment in which nothing is taken to change.

    Parameters
    ----------
    variables : mapping
        The environment in which recipes run.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._lists: dict[str, dict[str, str]] = {}
        self._states: dict[str, tuple[str, str]] = {}

    def find(self, esorex: str, plugin: str) -> str:
        """Return the libraries of a plugin, as a document to be kept.

        Parameters
        ----------
        esorex, plugin : str
            Paths of both: what EsoRex itself has loaded is not loaded again for the plugin.

        Raises
        ------
        OSError
            If a library cannot be read.
        """
        found = {**self._list(plugin), **self._list(esorex)}
        general = {name: path for name, path in found.items() if re.match(_BY_NAME, name)}
        beneath = {name for path in general.values() for name in self._list(path)}
        counting = {
            name: path
            for name, path in found.items()
            if name in general or name.startswith(_PRELOADED) or not (re.match(_SYSTEM, name) or name in beneath)
        }
        files = [(name, path, *self._state(path, name in general)) for name, path in sorted(counting.items())]
        given = self._variables.get("LD_LIBRARY_PATH", "").split(":")
        folders = {*given, *(os.path.dirname(path) for path in counting.values())}
        looked_at = [_CACHE, esorex, plugin, *sorted(filter(None, folders))]
        dfs = [path for name, path in counting.items() if name.startswith(_CPL)]
        cpl = _cpl_in(dfs[0]) if dfs else ""
        return json.dumps({"looked_at": [[path, stamp_of(path)] for path in looked_at], "files": files, "cpl": cpl})

    def _list(self, program: str) -> dict[str, str]:
        if program not in self._lists:
            self._lists[program] = _list_libraries(program, self._variables)
        return self._lists[program]

    def _state(self, path: str, by_name: bool) -> tuple[str, str]:
        """Return the stamp of a library, and what is stated of it."""
        if by_name:
            return stamp_of(path), os.path.basename(os.path.realpath(path))
        if path not in self._states:
            reading = read_digest(path)
            self._states[path] = reading.stamp, reading.digest
        return self._states[path]


def read_libraries(document: str) -> Libraries | None:
    """Return what a kept answer says; None where anything that it depends on has changed since."""
    try:
        found: dict[str, Any] = json.loads(document)
        for path, stamp in found["looked_at"]:
            if stamp_of(path) != stamp:
                return None
        for _, path, stamp, _ in found["files"]:
            if not stamp or stamp_of(path) != stamp:
                return None
        return _libraries_of(found, [stamp for _, _, stamp, _ in found["files"]])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def libraries_in(document: str) -> Libraries:
    """Return what an answer says that was given a moment ago."""
    found = json.loads(document)
    return _libraries_of(found, [stamp_of(path) for _, path, _, _ in found["files"]])


def _libraries_of(found: Mapping[str, Any], stamps: list[str]) -> Libraries:
    plugin = found["looked_at"][2][1]
    changed_ns = max(int(stamp.rpartition(":")[2] or 0) for stamp in (plugin, *stamps))
    return Libraries(tuple((name, content) for name, _, _, content in found["files"]), changed_ns, str(found["cpl"]))


def other_cpl(libraries_cpl: str, product_cpl: str) -> str:
    """Return what to say of a product that another CPL made than the libraries that were stated; nothing if none did.

    Parameters
    ----------
    libraries_cpl : str
        `Libraries.cpl`.
    product_cpl : str
        `PRO RECn DRS ID` of the product; recipes may write what they like there, or nothing.
    """
    made, stated = (re.sub(r"^cpl-", "", said.strip()) for said in (product_cpl, libraries_cpl))
    if not stated or made == stated or not re.fullmatch(r"\d+(\.\w+)+", made):
        return ""
    return (
        f"it was made with CPL {made}, and the libraries that count are those of CPL {stated}: EsoRex must be "
        "started with these, so set LD_LIBRARY_PATH outside, and not in a script around EsoRex"
    )


def _cpl_in(library: str) -> str:
    """Return how a library of CPL names itself in products."""
    with open(library, "rb") as stream:
        found = re.search(rb"\0(cpl-\d[\w.]*)\0", stream.read())
    return found[1].decode() if found else ""


def _list_libraries(program: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the libraries that a program or plugin is loaded with, by name; none where there is no such linker."""
    linker = _linker()
    if linker is None or not _is_elf(program):
        return {}
    import subprocess

    kept = {name: variables[name] for name in _COUNTING if name in variables}
    try:
        done = subprocess.run([linker, "--list", program], env=kept, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    preloaded = {_PRELOADED + match[2]: match[1] for line in lines if (match := re.match(_LISTED_BY_PATH, line))}
    return {match[1]: match[2] for line in lines if (match := re.match(_LISTED, line))} | preloaded


def _linker() -> str | None:
    for folder in _LINKERS:
        if os.path.isdir(folder):
            names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"ld-linux.*\.so\.\d+", name))
            if names:
                return f"{folder}/{names[0]}"
    return None


def _is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False
