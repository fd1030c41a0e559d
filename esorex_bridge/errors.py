"""What can go wrong, by who must act: the user, the archive, the data, a recipe, or us."""

from __future__ import annotations

from collections.abc import Iterable

_MOST_NAMED = 20
"""So many known names are listed in a message."""


class BridgeError(Exception):
    """Root of all errors that the bridge raises on purpose.

    The message says what happened, where, and what to do next; facts are attributes of the subclasses.
    The CLI prints the message alone and exits with 1.
    """


class UserError(BridgeError):
    """The request, a workflow definition or a setting is wrong: the user must change it."""


class UnknownNameError(UserError):
    """Something is called by a name that nothing has; the nearest one is proposed.

    Parameters
    ----------
    kind : str
        What was looked for: `dataset`, `recipe`, `step` …
    name : str
        As given.
    known : iterable of str
        The names there are.
    where : str
        Where it was looked for, to begin the message with.
    lister : str
        The command that lists them.

    Attributes
    ----------
    nearest : str or None
        The known name that is most like it.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "", lister: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        self.nearest = nearest_name(name, self.known)
        said = f"{where} has no {kind} '{name}'" if where else f"there is no {kind} '{name}'"
        if self.nearest:
            said += f", did you mean '{self.nearest}'?"
        told = ", ".join(self.known[:_MOST_NAMED])
        more = f" and {len(self.known) - _MOST_NAMED} more" if len(self.known) > _MOST_NAMED else ""
        said += f"; there {'is' if len(self.known) == 1 else 'are'}: {told}{more}" if self.known else "; there are none"
        super().__init__(f"{said}; '{lister}' lists them" if lister else said)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like a name; None where none is near.

    >>> nearest_name("naco_img_drak", ["naco_img_dark", "naco_img_jitter"])
    'naco_img_dark'
    """
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


class ArchiveError(BridgeError):
    """An archive service refused, failed, or answered what cannot be read."""


class DataError(BridgeError):
    """A file is missing, damaged, or not what it is said to be."""


class RecipeError(BridgeError):
    """EsoRex or a recipe failed, or made something that is no product."""
