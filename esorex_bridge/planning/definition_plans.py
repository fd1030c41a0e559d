"""Plans by definitions: association trees and rules make the datasets, a definition says what is made of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.definitions.folders import Definitions
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import RULES_ALONE, Workflow
from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.fits.hdus import read_keywords
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.identity import IDENTIFYING, STATING
from esorex_bridge.organise.organised_data import Request
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.copies import leave_out_copies
from esorex_bridge.plan.looks import look_at
from esorex_bridge.plan.plan import Keywords, Plan, UnusedFile
from esorex_bridge.plan.statics import StaticLibrary, with_statics
from esorex_bridge.plan.strangers import leave_out_strangers
from esorex_bridge.settings import Settings

if TYPE_CHECKING:
    from esorex_bridge.planning.plan_source import ReadHeader, ReadWhole

FindDigests = Callable[[Iterable[str]], Mapping[str, object]]
"""Returns the digests of files by their paths, or the reason where there is none."""

_FEW = 3
"""How many messages of the rules an error tells."""
_FETCH = "fetch data first (esorex-bridge fetch), or "
_NO_TREE = "no association tree (*.xml) in {}"
_BY_ALL = f"{_NO_TREE}, and nothing there makes a dataset by rules; {_FETCH}see 'esorex-bridge organise'"
_NOTHING = {
    "calselector": f"{_NO_TREE}; {_FETCH}organise by rules (--by oca)",
    "oca": "nothing in {} makes a dataset; 'esorex-bridge organise' tells why",
    "auto": _BY_ALL,
    "both": _BY_ALL,
}
"""What is said where there is no dataset, by what datasets are made by."""


class DefinitionPlans:
    """Datasets of trees and rules, and their plans by definitions.

    Parameters
    ----------
    definitions : Definitions
        Those of the user and those that come with the bridge.
    settings : Settings
        What is to be made of the data.
    request : Request
        What to organise by.
    places : tuple of Path
        Where the data lie.
    digests : callable
        Returns the digests of files by their paths, or the reason where there is none.
    """

    def __init__(
        self,
        definitions: Definitions,
        settings: Settings,
        request: Request,
        places: tuple[Path, ...],
        digests: FindDigests,
    ) -> None:
        self._definitions, self._settings, self._request = definitions, settings, request
        self._places, self._digests = places, digests

    @cached_property
    def workflows(self) -> tuple[Workflow, ...]:
        """All workflow definitions, or the one that the settings name by its file or its name."""
        given = named_workflow(self._settings)
        if given is None:
            return self._definitions.all()
        return (self._definitions.look_up(given),)

    def workflow_for(self, dataset: Dataset, header: ReadWhole) -> Workflow:
        """Return the definition for a dataset, as its first science file tells; errors as `PlanSource` has them."""
        from esorex_bridge.organise.tree_datasets import first_header

        if named_workflow(self._settings) is None:
            wanted = (*IDENTIFYING, *STATING, *self._definitions.list_looked_at(dataset.instrument))
            keywords = first_header(dataset, lambda path: header(path).select(wanted))
            return self._definitions.choose(dataset.instrument, keywords)
        keywords = first_header(dataset, header)
        given = self.workflows[0]
        if given.serves(dataset.instrument, keywords):
            return given
        try:
            taking = f"'{self._definitions.choose(dataset.instrument, keywords).name}' takes it"
        except UserError as error:
            taking = str(error)
        raise UserError(
            f"workflow '{given.name}' is for {', '.join(given.instruments)}, not for dataset {dataset.name} of "
            f"{dataset.instrument}: {taking}"
        )

    @cached_property
    def _shelf(self) -> StaticLibrary:
        """Static calibrations in the folders that `statics.yaml` names."""
        from esorex_bridge.organise.static_folders import read_shelf, static_folders

        return read_shelf(static_folders(self._request.root))

    def organise(self) -> Mapping[str, Dataset]:
        """Return the datasets of trees and rules, by name, with the user's choices applied."""
        from esorex_bridge.organise.from_disk import datasets_on_disk

        return datasets_on_disk(self._request, self._places)

    def tell_why_none(self) -> str:
        """Return what is not there, and the first words of the rules about it."""
        return _NOTHING[self._settings.by].format(", ".join(map(str, self._places))) + "".join(self._notes())

    def _notes(self) -> Iterator[str]:
        """Yield what organising by rules says of these places."""
        from esorex_bridge.organise.from_disk import load

        if self._settings.by != "calselector":
            for text in load(self._request, self._places).warnings[:_FEW]:
                yield f"; {text.rstrip('.')}"

    def datasets_of(self, found: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
        """Return what trees mean; where rules or choices count too, the datasets of all that have their science."""
        from esorex_bridge.organise.choices_file import CHOICES_FILE

        chosen = (self._request.root / CHOICES_FILE).exists()
        if self._settings.by in ("auto", "calselector") and not chosen:
            return found
        science = {file.name for dataset in found for file in dataset.action.files}
        return tuple(
            dataset
            for dataset in self.organise().values()
            if any(file.name in science for file in dataset.action.files)
        )

    def plans(self, datasets: Iterable[Dataset]) -> tuple[tuple[Dataset, Plan], ...]:
        """Return each dataset with its plan; errors as `PlanSource` has them."""
        header, shared = cache(read_keywords), defaultdict[str, Shared](Shared)
        listed = tuple((dataset, self.workflow_for(dataset, read_header)) for dataset in datasets)
        refuse_idle_settings(self._settings.parameters, (workflow for _, workflow in listed))
        return tuple(self.plan(dataset, workflow, header, (), shared[workflow.name]) for dataset, workflow in listed)

    def plan(
        self, asked: Dataset, workflow: Workflow, header: ReadHeader, more: Sequence[ParameterSetting], shared: Shared
    ) -> tuple[Dataset, Plan]:
        """Return a dataset, with static calibrations of the user's folders, and its plan; as `PlanSource` has it."""
        dataset = with_statics(asked, workflow, self._shelf, header)
        looks = shared.of_actions(dataset.action, "look", partial(look_at, header=header, shared=shared))
        headers: dict[Path, Keywords] = {}
        for each in looks:
            headers.update(each.headers)  # as a dict, which knows the hashes of its keys
        dataset, copies = self._without_copies(dataset, [path for each in looks for path in each.suspects])
        dataset = leave_out_strangers(dataset, {path: said for each in looks for path, said in each.strangers.items()})
        settings = (*self._settings.parameters, *more)
        plan = make_plan(dataset, workflow, headers, settings, self._settings.quality, shared)
        return dataset, replace(plan, not_used=(*plan.not_used, *copies)) if copies else plan

    def _without_copies(self, dataset: Dataset, files: Iterable[Path]) -> tuple[Dataset, tuple[UnusedFile, ...]]:
        """Return a dataset in whose groups each content is once; only files with equal times are read for that."""
        if not files:
            return dataset, ()
        digests = self._digests(map(str, files))
        contents = {path: digest for path in files if isinstance(digest := digests[str(path)], str)}
        return leave_out_copies(dataset, contents)

    def find_left_over(self) -> tuple[UnusedFile, ...]:
        """Return nothing: plans by definitions say which files they leave out."""
        return ()


def named_workflow(settings: Settings) -> Path | None:
    """Return the workflow that settings name; None for that of the instrument.

    With `none` datasets are made by the rules alone, and reduced by the definition of their instrument.
    """
    given = settings.workflow
    return None if str(given) == RULES_ALONE else given


def refuse_idle_settings(settings: Iterable[ParameterSetting], workflows: Iterable[Workflow]) -> None:
    """Refuse a `--set` for a recipe that no workflow has: it is misspelt.

    Raises
    ------
    UserError
        If there is one; the message names the recipes there are.
    """
    by_name = {workflow.name: workflow for workflow in workflows}
    recipes = dict.fromkeys(step.recipe for workflow in by_name.values() for step in workflow.steps)
    packages = (workflow for workflow in by_name.values() if workflow.source.startswith(PREFIX))
    tasks = {step.name for workflow in packages for step in workflow.steps}
    for setting in settings:
        typed = setting.origin in ("--set", "--grid")
        if typed and by_name and setting.recipe not in recipes and setting.recipe not in tasks:
            where = f"{setting.origin} {setting.recipe}.{setting.name}: workflow {', '.join(by_name)}"
            raise UnknownNameError("recipe", setting.recipe, (*recipes, *sorted(tasks)), where)
