"""What is asked for when what lies on disk is organised, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from esorex_bridge.definitions.edps.options import EdpsOptions

if TYPE_CHECKING:
    from esorex_bridge.datasets.association import Mode
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.definitions.oca.evaluate import Keywords
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.fits.scan import FileFault
    from esorex_bridge.organise.organiser import Organised

By = Literal["auto", "both", "calselector", "oca"]
WAYS: tuple[By, ...] = ("auto", "both", "calselector", "oca")
"""By trees, and by rules for frames that no tree names; the same with the gaps of trees filled by rules; by trees
alone; or by rules alone."""


class OrganisedData(Struct, frozen=True):
    """What lies on disk, and what was made of it.

    Parameters
    ----------
    datasets : tuple of Dataset
        With the user's choices applied.
    organised : tuple of Organised
        By rules, one per instrument; empty where trees alone were asked for.
    headers : mapping of Path to keywords
        Of all files.
    faults : tuple of FileFault
        Files that cannot be read.
    warnings : tuple of str
        What is odd.
    workflows : tuple of Workflow
        Used to complete the rules.
    choices : mapping of str to Choices
        By dataset, as read.
    before : mapping of str to Dataset
        The datasets before choices were applied.
    """

    datasets: tuple[Dataset, ...]
    organised: tuple[Organised, ...]
    headers: Mapping[Path, Keywords]
    faults: tuple[FileFault, ...]
    warnings: tuple[str, ...]
    workflows: tuple[Workflow, ...]
    choices: Mapping[str, Choices]
    before: Mapping[str, Dataset]

    def dataset(self, name: str) -> Dataset | None:
        """Return a dataset by name."""
        return next((dataset for dataset in self.datasets if dataset.name == name), None)

    def of(self, dataset: str) -> Organised | None:
        """Return what rules made of the instrument of a dataset."""
        return next((known for known in self.organised if known.target(dataset) is not None), None)


class Request(Struct, frozen=True):
    """What to organise by.

    Parameters
    ----------
    root : Path
        The data root: its choices, breakpoints and header cache count.
    by : {'auto', 'both', 'calselector', 'oca'}
        Trees, and rules for frames that no tree names; the same with the gaps of trees filled by rules; trees alone;
        or rules alone.
    oca : Path or None
        A rule file to use instead of the pipeline's own.
    workflow : str or None
        Name or file of the workflow definition that tells what recipes take and make; `none` for the rules alone; None
        for the one for the instrument.
    breakpoints : Path or None
        calSelector's breakpoints; by default those in the data root, if they are there.
    edps : EdpsOptions
        Targets and parameters, where the workflow is a package of EDPS.
    mode : {'Raw2Raw', 'Raw2Master'} or None
        The mode whose data count: those of the other one are left out. None for all there are.
    requested : {'Raw2Raw', 'Raw2Master'} or None
        The mode that was asked for, where one was.
    """

    root: Path
    by: By = "auto"
    oca: Path | None = None
    workflow: str | None = None
    breakpoints: Path | None = None
    edps: EdpsOptions = EdpsOptions()
    mode: Mode | None = None
    requested: Mode | None = None
