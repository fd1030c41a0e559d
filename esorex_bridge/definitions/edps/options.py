"""What a user may say about an EDPS workflow package."""

from __future__ import annotations

from msgspec import Struct

from esorex_bridge.definitions.edps.words import PREFERENCES


class EdpsOptions(Struct, frozen=True):
    """What a user wants of a package.

    Parameters
    ----------
    targets, meta_targets : tuple of str
        Tasks by name, and labels of tasks; neither: `science`.
    parameter_set : str or None
        The set of parameters; None for the default one.
    workflow_parameters : tuple of (str, str)
        Win over those of the set.
    preference : str
        One of `PREFERENCES`.
    trusted : bool
        Execute the package without a fence where the kernel has none.
    """

    targets: tuple[str, ...] = ()
    meta_targets: tuple[str, ...] = ()
    parameter_set: str | None = None
    workflow_parameters: tuple[tuple[str, str], ...] = ()
    preference: str = PREFERENCES[0]
    trusted: bool = False
