"""Static calibrations of a pipeline's kit, put where a step takes their category and the dataset has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, walk_actions
from esorex_bridge.definitions.steps import Calibration, StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.plan.matching import mismatches
from esorex_bridge.plan.plan import Keywords

Preference = Literal["archive", "kit"]
"""Whose static calibration is taken where both the archive and a kit have one."""


class Static(Struct, frozen=True):
    """A file of a kit.

    Parameters
    ----------
    file : DatasetFile
        Its category is its `PRO CATG`.
    instrument : str
        `INSTRUME`; empty where the file does not say, as catalogues do not.
    """

    file: DatasetFile
    instrument: str = ""


class StaticLibrary(Struct, frozen=True):
    """The static calibrations at hand, and whose come first."""

    statics: tuple[Static, ...] = ()
    first: Preference = "archive"


def with_statics(
    dataset: Dataset, workflow: Workflow, shelf: StaticLibrary, header: Callable[[Path], Keywords]
) -> Dataset:
    """Return a dataset in which statics of kits fill what its own files and steps leave open.

    What a step makes from raws of the dataset is never replaced. A processed calibration of the archive is replaced
    only where the kit comes first, has the category with all keywords that must agree, and no step makes it: else it
    would be a calibration of the night, and not a static one.

    Parameters
    ----------
    dataset : Dataset
        As the archive or the rules made it.
    workflow : Workflow
        Tells which categories the steps take, and in which keywords they must agree.
    shelf : StaticLibrary
        What there is.
    header : callable
        Returns the keywords of a file on this machine.
    """
    names = {dataset.instrument.upper(), *(name.upper() for name in workflow.instruments)}
    fitting = tuple(each.file for each in shelf.statics if not each.instrument or each.instrument.upper() in names)
    if not fitting:
        return dataset
    return replace(dataset, action=_Filler(workflow, fitting, shelf.first, header).fill(dataset.action))


class _Filler(Struct, frozen=True):
    """Fills actions from the leaves up; equal ones once."""

    workflow: Workflow
    files: tuple[DatasetFile, ...]
    first: Preference
    header: Callable[[Path], Keywords]
    _done: dict[Action, Action] = field(default_factory=dict)

    def fill(self, action: Action) -> Action:
        if action not in self._done:
            children = tuple(map(self.fill, action.actions))
            self._done[action] = replace(action, actions=children, statics=self._statics(action))
        return self._done[action]

    def _statics(self, action: Action) -> tuple[DatasetFile, ...]:
        found = dict.fromkeys(action.statics)
        steps = () if action.auxiliary else self.workflow.steps_for(file.category for file in action.files)
        for step in steps:
            for calibration in step.calibrations:
                kit = self._kit(step, calibration, action)
                if not kit:
                    continue
                if self._offers(step, calibration, action):
                    if self.first == "archive" or self._makes(calibration):
                        continue
                    found = {file: None for file in found if file.category not in calibration.accepted}
                found.update(dict.fromkeys(kit))
        return tuple(found)

    def _kit(self, step: StepDefinition, calibration: Calibration, action: Action) -> list[DatasetFile]:
        """Return the files of the kit under a tag that agree with the action's first main file."""
        main = next((file.path for file in action.files if file.path and file.category in step.main), None)
        wanted = self.header(main) if main else {}
        named = (file for file in self.files if file.path and file.category in calibration.accepted)
        return [file for file in named if file.path and self._agree(file.path, wanted, calibration)]

    def _agree(self, path: Path, wanted: Keywords, calibration: Calibration) -> bool:
        if not calibration.match:
            return True
        return not any(mismatches(self.header(path), wanted, calibration.match))

    def _offers(self, step: StepDefinition, calibration: Calibration, action: Action) -> bool:
        """Tell whether a dataset has something for a tag: a file, or raws that a step makes it from."""
        if _has(calibration.accepted, action.statics):
            return True
        makers = [
            other for other in self.workflow.steps if other != step and set(other.products) & set(calibration.accepted)
        ]
        for each, _ in walk_actions(action):
            if each.auxiliary:
                continue
            if each != action and _has(calibration.accepted, each.files):
                return True
            if any(_has(other.main, each.files) for other in makers):
                return True
        return False

    def _makes(self, calibration: Calibration) -> bool:
        return any(set(step.products) & set(calibration.accepted) for step in self.workflow.steps)


def _has(categories: Iterable[str], files: Iterable[DatasetFile]) -> bool:
    return bool(set(categories) & set(_categories(files)))


def _categories(files: Iterable[DatasetFile]) -> Iterator[str]:
    return (file.category for file in files)
