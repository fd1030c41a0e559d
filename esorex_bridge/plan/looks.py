"""What the headers of an action's files say, before anything is planned of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from esorex_bridge.datasets.dataset import Action
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.plan.copies import suspects
from esorex_bridge.plan.plan import Keywords
from esorex_bridge.plan.strangers import find_strangers


class Look(Struct, frozen=True):
    """What is seen of an action's files.

    Parameters
    ----------
    headers : mapping of Path to keywords
        Of those that are on this machine.
    suspects : tuple of Path
        Those that may be copies of others.
    strangers : mapping of Path to str
        Those that are other frames than their names say, and which.
    """

    headers: dict[Path, Keywords]
    suspects: tuple[Path, ...]
    strangers: dict[Path, str]


def look_at(action: Action, header: Callable[[Path], Keywords], shared: Shared) -> Look:
    """Return what the headers of an action's own files say; statics may be those of other actions too."""
    headers = {file.path: header(file.path) for file in action.files if file.path is not None}
    statics = [file.path for file in action.statics if file.path is not None]
    headers |= {path: shared.once(("header", path), partial(header, path)) for path in statics}
    return Look(headers, suspects(action, headers), find_strangers(action, headers))
