"""What can go wrong, by who must act: the user, the archive, the data, a recipe, or us."""

from __future__ import annotations


class BridgeError(Exception):
    """Root of all errors that the bridge raises on purpose.

    The message says what happened, where, and what to do next; facts are attributes of the subclasses.
    The CLI prints the message alone and exits with 1.
    """


class UserError(BridgeError):
    """The request, a workflow definition or a setting is wrong: the user must change it."""


class ArchiveError(BridgeError):
    """An archive service refused, failed, or answered what cannot be read."""


class DataError(BridgeError):
    """A file is missing, damaged, or not what it is said to be."""


class RecipeError(BridgeError):
    """EsoRex or a recipe failed, or made something that is no product."""
