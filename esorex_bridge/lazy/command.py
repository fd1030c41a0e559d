"""A command line of `esorex` that runs a recipe, taken apart as EsoRex does; what is unusual in it is a doubt.

`esorex [--option=value …] recipe [--parameter=value …] sof …`: values follow `=` alone, and behind the first set of
files everything is a set of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class DoubtError(Exception):
    """This call is left to the real EsoRex; the text says why, for who asks by `ESOREX_LAZY_VERBOSE`."""


class Call(NamedTuple):
    """A run of a recipe.

    Parameters
    ----------
    words : tuple of str
        All arguments, as they came.
    options : tuple of (str, str or None)
        EsoRex's own options, without dashes; None for an option without a value.
    recipe : str
        Name of the recipe.
    parameters : tuple of str
        The recipe's options, as they came.
    sofs : tuple of str
        Paths of the sets of files.
    """

    words: tuple[str, ...]
    options: tuple[tuple[str, str | None], ...]
    recipe: str
    parameters: tuple[str, ...]
    sofs: tuple[str, ...]

    def option(self, name: str) -> str | None:
        """Return the value of one of EsoRex's own options; None where it is not given. The last one counts."""
        return next((value or "" for given, value in reversed(self.options) if given == name), None)


def take_apart(words: Sequence[str]) -> Call:
    """Return what a command line asks for.

    Raises
    ------
    DoubtError
        If it has an option of one dash, an option behind the sets of files, or no set of files.
    """
    at = next((index for index, word in enumerate(words) if not word.startswith("-")), len(words))
    recipe, rest = words[at : at + 1], words[at + 1 :]
    first = next((index for index, word in enumerate(rest) if not word.startswith("-")), len(rest))
    parameters, sofs = rest[:first], rest[first:]
    if not recipe or not sofs:
        raise DoubtError("no recipe or no set of files")
    if any(not word.startswith("--") or word == "--" for word in (*words[:at], *parameters)):
        raise DoubtError("an option of one dash")
    if any(word.startswith("-") or not word for word in sofs):
        raise DoubtError("an option behind the sets of files")
    return Call(tuple(words), tuple(map(_option, words[:at])), recipe[0], tuple(parameters), tuple(sofs))


def _option(word: str) -> tuple[str, str | None]:
    name, equals, value = word[2:].partition("=")
    return name, value if equals else None
