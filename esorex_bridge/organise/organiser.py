"""The DataOrganiser: files on disk become datasets by the OCA rules of their pipeline.

The meaning of the rules is that of ESO Reflex as far as it is known (docs/reference/oca.md tells what is not):
classify, group, associate. What calibrates a group may be a file, or a product that another group's action will make;
then that action joins the tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.oca.classify import Classifier
from esorex_bridge.definitions.oca.evaluate import Keywords, render_value
from esorex_bridge.definitions.oca.rules import Rules, categories_made
from esorex_bridge.organise.association import Associator
from esorex_bridge.organise.breakpoints import Breakpoint, concerning
from esorex_bridge.organise.frames import Frame, frames_of
from esorex_bridge.organise.grouping import Candidate, FrameGroup, Pool, groups_of, products_of

DESCRIPTORS = ("OBS.TARG.NAME", "OBS.ID", "OBS.NAME", "INS.MODE")
"""Keywords displayed of every dataset, before those by which its rule groups."""


class Organised(Struct, frozen=True):
    """What rules make of files.

    Parameters
    ----------
    datasets : tuple of Dataset
        In the order of time.
    frames : tuple of Frame
        All files, classified or not, in the order of time.
    groups : tuple of FrameGroup
        All groups, those that no dataset uses included.
    targets : tuple of FrameGroup
        The group of each dataset's science files, in the order of `datasets`.
    rules : Rules
        By which it was done.
    pool : Pool
        What associations could choose from.
    breakpoints : tuple of Breakpoint
        Dates that were not crossed.
    warnings : tuple of str
        What is odd or missing, in words.
    """

    datasets: tuple[Dataset, ...]
    frames: tuple[Frame, ...]
    groups: tuple[FrameGroup, ...]
    targets: tuple[FrameGroup, ...]
    rules: Rules
    pool: Pool
    breakpoints: tuple[Breakpoint, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def associator(self) -> Associator:
        """What builds the action of any of the groups."""
        return Associator(self.pool, self.breakpoints, categories_made(self.rules))

    def target(self, dataset: str) -> FrameGroup | None:
        """Return the group of a dataset's science files, by the dataset's name."""
        found = (group for known, group in zip(self.datasets, self.targets, strict=True) if known.name == dataset)
        return next(found, None)

    @property
    def unclassified(self) -> tuple[Frame, ...]:
        """The files that no rule gives a category."""
        return tuple(frame for frame in self.frames if not frame.category)


def organise(headers: Mapping[Path, Keywords], rules: Rules, breakpoints: tuple[Breakpoint, ...] = ()) -> Organised:
    """Organise the files of one instrument.

    Parameters
    ----------
    headers : mapping of Path to keywords
        Of every file, with the keywords of `frames.wanted_keywords(rules)` as far as the file has them.
    rules : Rules
        Of the instrument's pipeline.
    breakpoints : tuple of Breakpoint
        Dates that calibrations must not cross.
    """
    frames = frames_of(headers, rules)
    groups = groups_of(frames, rules)
    classify = Classifier(rules)
    products = [product for group in groups for product in products_of(group, classify)]
    pool = Pool([*(Candidate(frame) for frame in frames), *products])
    targets = _targets(groups, rules)
    breakpoints = concerning(breakpoints, frames)
    associator = Associator(pool, breakpoints, categories_made(rules))
    datasets = tuple(_dataset(group, associator, rules) for group in targets)
    warnings = (*rules.remarks, *_general_warnings(frames, groups, targets, rules), *associator.warnings)
    return Organised(_distinctly_named(datasets), frames, groups, targets, rules, pool, breakpoints, warnings)


def _targets(groups: Iterable[FrameGroup], rules: Rules) -> tuple[FrameGroup, ...]:
    """Return the groups that become datasets: those marked by the rules, or the science where rules mark nothing."""
    if rules.assigns("REFLEX.TARGET"):
        found = [group for group in groups if group.is_target]
    else:
        found = _of_science(groups, rules)
    return tuple(sorted(found, key=lambda group: (group.trigger.time, group.trigger.name, group.execution.action)))


def _of_science(groups: Iterable[FrameGroup], rules: Rules) -> list[FrameGroup]:
    """Return the groups of science files, of two that are the same files the later.

    Rules of the on-line system reduce an exposure when it arrives, and again with its template. What recipes take
    beside others, such as darks of the science, makes no dataset.
    """
    found: dict[frozenset[int], FrameGroup] = {}
    for group in groups:
        if any(frame.is_science and frame.category not in rules.companions for frame in group.frames):
            found[frozenset(map(id, group.frames))] = group
    return list(found.values())


def _dataset(group: FrameGroup, associator: Associator, rules: Rules) -> Dataset:
    science = group.trigger
    keys = dict.fromkeys((*DESCRIPTORS, *group.execution.keys))
    return Dataset(
        name=dataset_name(group),
        instrument=science.instrument or science.name.split(".")[0],
        action=associator.target(group, rules.beside),
        descriptors=tuple((key, _descriptor(science, key)) for key in keys),
        final=rules.is_final,
    )


def dataset_name(group: FrameGroup) -> str:
    """Return a dataset's name as Reflex gives it: the first science file, with the suffix of the rule's alias.

    Rules of the on-line system have no aliases; several files of one template get `_tpl`, as from an association tree.
    """
    seeds = [frame for frame in group.frames if frame.is_target or frame.is_science] or list(group.frames)
    alias = group.execution.alias or ("", "tpl" if len(group.frames) > 1 else "")
    return f"{seeds[0].name}_{alias[1]}".rstrip("_")


def _descriptor(frame: Frame, key: str) -> str:
    value = frame.keywords.get(key)
    return "UNDEFINED" if value is None else render_value(value)


def _distinctly_named(datasets: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
    """Add the action's name where two rules start from the same first file: a dataset's name is its identity."""
    used = Counter(dataset.name for dataset in datasets)
    return tuple(
        replace(dataset, name=f"{dataset.name}_{dataset.action.name}") if used[dataset.name] > 1 else dataset
        for dataset in datasets
    )


def _general_warnings(
    frames: tuple[Frame, ...], groups: tuple[FrameGroup, ...], targets: tuple[FrameGroup, ...], rules: Rules
) -> Iterable[str]:
    if not frames:
        yield "No FITS files: nothing to organise."
        return
    if not any(frame.category for frame in frames):
        yield f"The rules ({rules.name}) classify none of {len(frames)} files: are they of this instrument?"
    elif not targets:
        yield "No datasets have been created: " + (
            "no file is marked as a target (REFLEX.TARGET) by the rules."
            if rules.assigns("REFLEX.TARGET")
            else "there is no group with a science file (DPR.CATG = SCIENCE)."
        )
    used = {id(frame) for group in groups for frame in group.frames}
    for frame in frames:
        if (frame.is_target or frame.is_science) and id(frame) not in used:
            yield f"{frame.name} is science ({frame.category or 'no category'}), but no rule executes an action on it."
