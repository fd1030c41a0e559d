"""What datasets are planned by: definitions, or a workflow package. Nobody who asks for a plan asks which it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.fits.header import Header
from esorex_bridge.plan.plan import Keywords, Plan, UnusedFile

ReadHeader: TypeAlias = Callable[[Path], Keywords]
ReadWhole: TypeAlias = Callable[[Path], Header]
"""Returns the whole header of a file, in which keywords are searched that are asked for."""


class PlanSource(Protocol):
    """Makes datasets of what lies in a data root, and their plans."""

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """All workflows that there are, or the one that was named."""

    def workflow_for(self, dataset: Dataset, header: ReadWhole) -> Workflow:
        """Return the workflow that a dataset is reduced by.

        Raises
        ------
        UserError
            If none is for its instrument, or the one that was named is not.
        """

    def organise(self) -> Mapping[str, Dataset]:
        """Return all datasets that there are, by name, with the user's choices applied."""

    def tell_why_none(self) -> str:
        """Return why there is no dataset, in words."""

    def datasets_of(self, found: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
        """Return the datasets in which science files are reduced that trees name: those `found` by the trees alone."""

    def plans(self, datasets: Iterable[Dataset]) -> tuple[tuple[Dataset, Plan], ...]:
        """Return each dataset with its plan; errors as `plan`.

        Raises
        ------
        UserError
            If a `--set` names a recipe that none of their workflows has.
        """

    def plan(
        self, asked: Dataset, workflow: Workflow, header: ReadHeader, more: Sequence[ParameterSetting], shared: Shared
    ) -> tuple[Dataset, Plan]:
        """Return a dataset, with what belongs to it besides what was organised, and its plan.

        Parameters
        ----------
        asked : Dataset
            As organised.
        workflow : Workflow
            The one for it.
        header : callable
            Returns the keywords of a file.
        more : sequence of ParameterSetting
            Added to those of the settings; a later one wins.
        shared : Shared
            What was worked out for other datasets by the same workflow and headers.

        Raises
        ------
        DataError
            If a file on disk is not FITS.
        UserError
            If a folder of static calibrations is missing.
        """

    def find_left_over(self) -> tuple[UnusedFile, ...]:
        """Return the files that stand in no plan, as far as plans do not say it themselves."""
