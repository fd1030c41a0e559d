"""Groups: the main files of one run of a recipe, split so that settings are never mixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from esorex_bridge.datasets.dataset import Action, DatasetFile, Purpose
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.fits.identity import is_raw
from esorex_bridge.plan.matching import setting_of
from esorex_bridge.plan.plan import HeadersByPath, Keywords


class Group(Struct, frozen=True, cache_hash=True):
    """Main files of one action that go into one run.

    Parameters
    ----------
    definition : StepDefinition
        What processes them.
    action : Action
        Where they come from, and what calibrates them.
    purpose : Purpose
        Of that action.
    files : tuple of DatasetFile
        In the order of the SOF. Where `source` is given, the files that its products are made from.
    setup : tuple of (str, str)
        The keywords in which they agree.
    gaps : tuple of str
        Why the run is not possible.
    shortage : str
        `2 < 3` where it has fewer files than the recipe needs; no step is made of it then.
    surplus : tuple of DatasetFile
        Files over the most that the recipe takes.
    source : Group or None
        The run whose products are the main files of this one, where they are not files.
    product : str
        Category of these products.
    """

    definition: StepDefinition
    action: Action
    purpose: Purpose
    files: tuple[DatasetFile, ...]
    setup: tuple[tuple[str, str], ...]
    gaps: tuple[str, ...] = ()
    shortage: str = ""
    surplus: tuple[DatasetFile, ...] = ()
    source: Group | None = None
    product: str = ""

    @property
    def label(self) -> str:
        """What it is, in words."""
        return f"{self.definition.recipe} of {self.action.name}"

    def keywords(self, headers: HeadersByPath) -> Keywords:
        """Return the keywords of the first main file; a product has those of the first file that it is made from."""
        return keywords_of(self.files[0], headers) if self.files else {}

    def comes_from(self, definition: StepDefinition) -> bool:
        """Tell whether a step makes these products, or something that they are made of."""
        if self.definition == definition:
            return True
        return self.source is not None and self.source.comes_from(definition)


def keywords_of(file: DatasetFile, headers: HeadersByPath) -> Keywords:
    """Return the keywords of a file; none where it is not on this machine."""
    return headers.get(file.path, {}) if file.path else {}


def split(definition: StepDefinition, action: Action, purpose: Purpose, headers: HeadersByPath) -> Iterator[Group]:
    """Yield the groups of an action's files that a step processes, each of one setting, in the order of settings.

    Files that the recipe takes beside them, such as exposures of the sky, may be a group of their own below the action:
    they go with those of their setting. Of a category that the step itself makes, raw frames are processed alone.
    """
    main = [file for file in action.files if _is_processed_by(definition, file, headers)]
    if not main:
        return
    missing = absent(main)
    found: dict[tuple[tuple[str, str], ...], list[DatasetFile]] = {}
    for file in main:
        if file.path is not None:
            found.setdefault(setting_of(keywords_of(file, headers), definition.group_by), []).append(file)
    for file in _find_companions(definition, action):
        setup = setting_of(keywords_of(file, headers), definition.group_by)
        if file.path is not None and setup in found:
            found[setup].append(file)
    for setup, files in sorted(found.items()) or [((), [])]:
        ordered = sorted(files, key=lambda file: _place(file, definition, headers))
        taken, surplus = ordered[: definition.maximum], tuple(ordered[len(ordered[: definition.maximum]) :])
        shortage = "" if missing else _shortage(definition, taken)
        for run in [(file,) for file in taken] if definition.each and taken else [tuple(taken)]:
            yield Group(definition, action, purpose, run, setup, missing, shortage, surplus)


def _is_processed_by(definition: StepDefinition, file: DatasetFile, headers: HeadersByPath) -> bool:
    if file.category not in definition.main:
        return False
    return file.category not in definition.products or is_raw(file.name, keywords_of(file, headers))


def _find_companions(definition: StepDefinition, action: Action) -> Iterator[DatasetFile]:
    """Yield the files of groups below an action that the same run takes, other than its first category."""
    beside = definition.main[1:]
    for child in action.actions if beside and not definition.each else ():
        if not child.auxiliary and child.files and all(file.category in beside for file in child.files):
            yield from child.files


def following(group: Group, steps: Iterable[StepDefinition]) -> Iterator[Group]:
    """Yield the groups whose main files are products of a group's run, and of the runs that follow it.

    A step that needs more products than the run has raws gets none: one exposure is not combined with itself.
    """
    listed = tuple(steps)
    for step in listed:
        product = next((category for category in step.main if category in group.definition.products), None)
        if product is not None and len(group.files) >= step.minimum and not group.comes_from(step):
            next_group = Group(
                step,
                group.action,
                group.purpose,
                group.files,
                group.setup,
                shortage=group.shortage,
                source=group,
                product=product,
            )
            yield next_group
            yield from following(next_group, listed)


def absent(files: Iterable[DatasetFile]) -> tuple[str, ...]:
    """Return a sentence for each file that is not on this machine."""
    return tuple(f"{file.name} ({file.category}) is not on this machine" for file in files if file.path is None)


def _place(file: DatasetFile, definition: StepDefinition, headers: HeadersByPath) -> tuple[int, float, str]:
    taken = keywords_of(file, headers).get("MJD-OBS")
    time = float(taken) if isinstance(taken, int | float) else 0.0
    return definition.main.index(file.category), time, file.name


def _shortage(definition: StepDefinition, files: list[DatasetFile]) -> str:
    """Return how many files there are and are needed, `IFU_ARC_SPECTRUM 0 < 1`; empty where there are enough."""
    for category, least in definition.minima:
        there = sum(file.category == category for file in files)
        if there < least:
            return f"{category} {there} < {least}"
    return f"{len(files)} < {definition.minimum}" if len(files) < definition.minimum else ""
