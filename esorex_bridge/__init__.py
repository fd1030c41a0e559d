"""From the ESO archive to reduced data: calSelector, ESO Reflex and EsoRex in one road.

Examples
--------
>>> from pathlib import Path
>>> from esorex_bridge import Session, Settings
>>> with Session(Settings(Path("night"))) as session:           # doctest: +SKIP
...     planned = session.plans(session.datasets())
...     reports = session.run(planned, SilentReporter(), datetime.now())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from esorex_bridge.version import __version__

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.query import Constraints
    from esorex_bridge.archive.services import Services
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.errors import BridgeError
    from esorex_bridge.reuse.decide import Policy
    from esorex_bridge.run.reporter import SilentReporter
    from esorex_bridge.session import Session, Settings

__all__ = [
    "ArchiveClient",
    "BridgeError",
    "Constraints",
    "Dataset",
    "Policy",
    "Services",
    "Session",
    "Settings",
    "SilentReporter",
    "__version__",
]

_HOMES = {
    "ArchiveClient": "archive.client",
    "BridgeError": "errors",
    "Constraints": "archive.query",
    "Dataset": "datasets.dataset",
    "Policy": "reuse.decide",
    "Services": "archive.services",
    "Session": "session",
    "Settings": "session",
    "SilentReporter": "run.reporter",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that the package itself costs nothing to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
