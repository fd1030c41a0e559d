"""What is to be noted for Reflex of a run that ended. What notes it is loaded beside the next recipe."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from esorex_bridge.definitions.parameters import Parameter
from esorex_bridge.plan.sof import Sof
from esorex_bridge.reuse.record import Product
from esorex_bridge.workspace.folders import RunFolders


class FinishedRun(Struct, frozen=True):
    """A run of a recipe that ended, well or not.

    Parameters
    ----------
    actor : str
        The step's name in the workflow.
    recipe : str
        EsoRex's name of the recipe.
    purpose : str
        The path of actions that the step serves, its own first.
    parameters : tuple of Parameter
        Every parameter with its value.
    sof : Sof
        What it was run on.
    folders : RunFolders
        Where it ran: `<bookkeeping>/<workflow>/<actor>/<time>`.
    products : tuple of Product
        What it made, in place; empty where it failed.
    exit_code : int
        EsoRex's; as a shell tells it where a signal ended the recipe (128 and the signal's number).
    log : Path or None
        What EsoRex logged of a run that made products.
    """

    actor: str
    recipe: str
    purpose: str
    parameters: tuple[Parameter, ...]
    sof: Sof
    folders: RunFolders
    products: tuple[Product, ...] = ()
    exit_code: int = 0
    log: Path | None = None
