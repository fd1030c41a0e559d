"""From the ESO archive to reduced data: calSelector, ESO Reflex and EsoRex, end to end.

Examples
--------
>>> import esorex_bridge as eb
>>> night = eb.open("night")                                                # doctest: +SKIP
>>> night.fetch(night.query(program="60.A-9999", instrument="naco"))        # doctest: +SKIP
>>> result = night.run(set={"naco_img_dark.nsamples": 50})                  # doctest: +SKIP
>>> result.products["COADDED_IMG"].open()                                   # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from esorex_bridge.version import __version__

if TYPE_CHECKING:
    from esorex_bridge.api.night import Datasets, Night, Plans, open
    from esorex_bridge.api.results import ProductFile, Products, Result
    from esorex_bridge.archive.acquisition import Acquisition
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.query import Constraints
    from esorex_bridge.archive.services import Services
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.errors import (
        ArchiveError,
        BridgeError,
        DataError,
        RecipeError,
        UnknownNameError,
        UserError,
    )
    from esorex_bridge.plan.plan import Plan
    from esorex_bridge.provenance.lineage import Lineage
    from esorex_bridge.reuse.decide import Policy
    from esorex_bridge.run.report import DatasetReport, StepReport
    from esorex_bridge.run.reporter import SilentReporter
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

_HOMES = {
    "Acquisition": "archive.acquisition",
    "ArchiveClient": "archive.client",
    "ArchiveError": "errors",
    "BridgeError": "errors",
    "Constraints": "archive.query",
    "DataError": "errors",
    "Dataset": "datasets.dataset",
    "DatasetReport": "run.report",
    "Datasets": "api.night",
    "Lineage": "provenance.lineage",
    "Night": "api.night",
    "Plan": "plan.plan",
    "Plans": "api.night",
    "Policy": "reuse.decide",
    "ProductFile": "api.results",
    "Products": "api.results",
    "RecipeError": "errors",
    "Result": "api.results",
    "Services": "archive.services",
    "Session": "session",
    "Settings": "settings",
    "SilentReporter": "run.reporter",
    "StepReport": "run.report",
    "UnknownNameError": "errors",
    "UserError": "errors",
    "open": "api.night",
}

__all__ = [
    "Acquisition",
    "ArchiveClient",
    "ArchiveError",
    "BridgeError",
    "Constraints",
    "DataError",
    "Dataset",
    "DatasetReport",
    "Datasets",
    "Lineage",
    "Night",
    "Plan",
    "Plans",
    "Policy",
    "ProductFile",
    "Products",
    "RecipeError",
    "Result",
    "Services",
    "Session",
    "Settings",
    "SilentReporter",
    "StepReport",
    "UnknownNameError",
    "UserError",
    "__version__",
    "open",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that the package itself costs nothing to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
