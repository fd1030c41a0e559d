"""What plugins say of themselves, and which libraries they run with, remembered for a user.

An answer holds for one plugin and one set of libraries, in all data roots. It counts while EsoRex, the plugin, the
libraries and the folders that these were found in look as they did when it was given; otherwise all is asked anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.digest import digest_of_bytes
from esorex_bridge.disk.remembered import memory_folder, recall, remember
from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.esorex.libraries import Libraries, question_of, read_libraries
from esorex_bridge.files import Digest

_TICK_NS = 2_000_000_000
"""By how much the clock of a file server may differ from ours."""


class RememberedPlugin(Struct, frozen=True):
    """What is remembered of a plugin.

    Parameters
    ----------
    question : str
        What it answers; the name of its file is but a digest of that.
    stamp, digest : str
        Of the plugin file.
    parameters : str
        What `--create-config` wrote (JSON).
    libraries : str
        What the dynamic linker said (`libraries.Linker`).
    """

    question: str
    stamp: str
    digest: Digest
    parameters: str
    libraries: str


def question_about(esorex: Path, plugin: Path, variables: Mapping[str, str]) -> str:
    """Return what the answer about a plugin depends on, beside files."""
    return question_of(str(esorex), str(plugin), variables)


def recall_plugin(question: str, plugin: Path) -> tuple[RememberedPlugin, Libraries] | None:
    """Return what is remembered of a plugin; None where nothing is, or something changed since."""
    answer = recall(_place(question), RememberedPlugin)
    if answer is None or answer.question != question or not answer.stamp or stamp_of(plugin) != answer.stamp:
        return None
    libraries = read_libraries(answer.libraries)
    return None if libraries is None else (answer, libraries)


def remember_plugin(answer: RememberedPlugin, asked_ns: int) -> None:
    """Remember an answer, unless something that it depends on changed since EsoRex was asked (ns since 1970)."""
    libraries = read_libraries(answer.libraries)
    if answer.stamp and libraries is not None and libraries.changed_ns < asked_ns - _TICK_NS:
        remember(_place(answer.question), answer)


def _place(question: str) -> Path:
    return memory_folder("plugins") / digest_of_bytes(question.encode()).partition(":")[2][:32]
