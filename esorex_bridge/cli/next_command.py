"""The command to type next, quoted for a shell: on the data, the archive and the workflow of the one that was typed."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable

OF_DATASETS = ("by", "oca", "workflow", "breakpoints", "data")
OF_PLANS = (*OF_DATASETS, "mode", "quality", "set", "parameters")
"""The options of a command line that the command to type next takes over: those by which it finds the same datasets,
and those by which it makes the same plans."""

_OF_PACKAGES = (
    "target_tasks",
    "meta_target",
    "parameter_set",
    "workflow_parameter",
    "association_preference",
    "trust_package",
)
_SPELT = {"target_tasks": "--target-task"}
_DEFAULTS = ("auto", "raw", "raw_per_quality_level")


def follow(args: argparse.Namespace, verb: str, *words: object, over: Iterable[str] = ()) -> str:
    """Return the command to type next, quoted for a shell: with the data root, and the archive if one was named.

    Parameters
    ----------
    args : argparse.Namespace
        The command line.
    verb : str
        Of the next command; with one of its own, both.
    words : object
        What stands behind the verb.
    over : iterable of str
        More options that it takes over, by where their values are kept: `OF_DATASETS`, `OF_PLANS`.
    """
    from esorex_bridge.definitions.edps.words import PREFIX

    taken = [*over]
    if "workflow" in taken and str(getattr(args, "workflow", None) or "").startswith(PREFIX):
        taken += _OF_PACKAGES
    said = ["esorex-bridge", *verb.split(), *map(str, words), "--root", str(args.root)]
    for name in ("given_archive", *taken):
        given = getattr(args, name, None) or (getattr(args, "places", None) if name == "data" else None)
        if given is None or given is False or given in _DEFAULTS:
            continue
        option = _SPELT.get(name, f"--{name.removeprefix('given_').replace('_', '-')}")
        said += [word for each in (given if isinstance(given, list) else [given]) for word in _spell(option, each)]
    return shlex.join(said)


def type_again(args: argparse.Namespace, *without: str) -> str:
    """Return the command that was typed, without some of its words, quoted for a shell."""
    return shlex.join(["esorex-bridge", *(word for word in args.typed if word not in without)])


def _spell(option: str, value: object) -> tuple[str, ...]:
    """Return an option with its value as it is typed; a value that begins as options do hangs on it."""
    if value is True:
        return (option,)
    return (f"{option}={value}",) if str(value).startswith("-") else (option, str(value))
