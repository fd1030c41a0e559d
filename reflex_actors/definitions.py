"""The workflow definitions that actors and workflow files follow: those of the bridge, and the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.definitions.workflow import Workflow


def definitions() -> tuple[Workflow, ...]:
    """Return all definitions, the user's own first; errors as `Definitions.read`."""
    from esorex_bridge.definitions.folders import own_definitions

    return own_definitions().all()


def definition_named(name: str) -> Workflow:
    """Return a definition by its name, or from a file.

    Raises
    ------
    UserError
        There is none.
    """
    from esorex_bridge.definitions.folders import own_definitions

    known = own_definitions()
    if name in known.paths:
        return known.named(name)
    if not Path(name).is_file():
        raise UserError(f"there is no workflow '{name}'; there are: {', '.join(known.paths)}, or name a file")
    return known.read(Path(name))
