"""Files that stand where they do not belong: those of another instrument, and raws that are called as a product is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.spelling import canonical_instrument
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.fits.identity import is_raw
from esorex_bridge.plan.accounting import Fate
from esorex_bridge.plan.plan import HeadersByPath, Keywords

Fates = Mapping[tuple[str, str], Fate]
"""Reasons with their particulars, by name and category of the file."""


def find_foreign(dataset: Dataset, workflow: Workflow, headers: HeadersByPath, shared: Shared) -> Fates:
    """Return the files of a dataset that another instrument took, and why they are not used.

    These are raws, and what recipes take as main files or make. A table that no recipe makes, such as a catalogue of
    stars, may serve several instruments and carry the name of one; a file without a name is one of any. What is
    auxiliary goes into no step anyway.
    """
    own = frozenset(map(canonical_instrument, (*workflow.instruments, dataset.instrument)))
    bound = frozenset(category for step in workflow.steps for category in (*step.main, *step.products))

    def name_other(file: DatasetFile) -> str:
        header = {} if file.path is None else headers.get(file.path, {})
        other = canonical_instrument(str(header.get("INSTRUME") or ""))
        return other if other not in own and (file.category in bound or is_raw(file.name, header)) else ""

    def look(action: Action) -> Fates:
        files = () if action.auxiliary else (*action.files, *action.statics)
        return {
            (file.name, file.category): ("another instrument", f"INSTRUME {other}, not {dataset.instrument}")
            for file in files
            if (other := name_other(file))
        }

    looks = shared.of_actions(dataset.action, f"foreign to {sorted(own)}", look)
    return {key: fate for each in looks for key, fate in each.items()}


def leave_out_foreign(dataset: Dataset, foreign: Fates) -> Dataset:
    """Return a dataset without the files that another instrument took, and without groups of such alone."""
    return replace(dataset, action=_without(dataset.action, foreign)) if foreign else dataset


def _without(action: Action, foreign: Fates) -> Action:
    children = (_without(child, foreign) for child in action.actions if not _is_left_out(child, foreign))
    return replace(
        action,
        files=tuple(file for file in action.files if (file.name, file.category) not in foreign),
        statics=tuple(file for file in action.statics if (file.name, file.category) not in foreign),
        actions=tuple(children),
    )


def _is_left_out(action: Action, foreign: Fates) -> bool:
    return bool(action.files) and all((file.name, file.category) in foreign for file in action.files)


def object_to_raw(file: DatasetFile, header: Keywords, makers: Mapping[str, str]) -> Fate | None:
    """Return why a file is no product, where a recipe makes those of its category and it is a raw frame.

    Parameters
    ----------
    file : DatasetFile
        What offers itself as a product.
    header : mapping
        Its keywords.
    makers : mapping of str to str
        The recipe that makes each category.
    """
    recipe = makers.get(file.category)
    if recipe is None or not is_raw(file.name, header):
        return None
    return "not a product", f"a raw frame, where the product of {recipe} is wanted"


def makers_of(steps: Iterable[StepDefinition]) -> dict[str, str]:
    """Return the recipe that makes each category, of several the first."""
    found: dict[str, str] = {}
    for step in steps:
        for category in step.products:
            found.setdefault(category, step.recipe)
    return found
