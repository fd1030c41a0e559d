"""Organising what lies on disk: files, trees, rules and the user's choices become datasets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.errors import DataError, UserError
from esorex_bridge.log import logger
from esorex_bridge.organise.organised_data import OrganisedData
from esorex_bridge.organise.places import DATA_FOLDERS, data_places

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.datasets.association import AssociationTree, Mode
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.definitions.oca.evaluate import Keywords
    from esorex_bridge.definitions.oca.rules import Rules
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.edps.plan import DataFolder
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.organise.breakpoints import Breakpoint
    from esorex_bridge.organise.organised_data import By, Request
    from esorex_bridge.organise.organiser import Organised

_SUFFIXES = frozenset({"raw2raw", "raw2master"})
"""Ends of the names under which calSelector gives trees."""

CACHE_FILE = "headers.jsonl"
EDPS_CACHE_FILE = "headers_edps.jsonl"
BREAKPOINTS_FILE = "breakpoints.json"
_PROBES = 50
_MEND = "'esorex-bridge fetch' brings a sound one, or remove it"


def load(request: Request, places: Iterable[Path], more_keywords: tuple[str, ...] = ()) -> OrganisedData:
    """Read and organise what lies in places.

    Raises
    ------
    UserError
        If a rule file, workflow definition or choice is wrong.
    DataError
        If the breakpoints cannot be read.
    """
    from esorex_bridge.fits.cache import HeaderCache
    from esorex_bridge.fits.copies import find_copies
    from esorex_bridge.fits.scan import scan
    from esorex_bridge.organise.alternatives import SETTINGS
    from esorex_bridge.organise.breakpoints import with_breakpoint_messages
    from esorex_bridge.organise.choices_file import read_choices_file
    from esorex_bridge.organise.frames import ALWAYS_READ, wanted_keywords
    from esorex_bridge.organise.rule_sources import find_rules
    from esorex_bridge.organise.tree_datasets import files_named, tree_datasets
    from esorex_bridge.workspace.scan import by_archive_name

    folders = tuple(places) or data_places(request.root, request.mode)
    if (request.workflow or "").startswith(PREFIX):
        return _load_by_package(request, folders)
    choices = read_choices_file(request.root)
    workflows, unreadable = _workflows(request)
    # Choices may name what rules alone offer, also where datasets are made by trees alone.
    ruled = request.by != "calselector" or choices
    rules, without = find_rules(request.oca, _instruments(folders), workflows) if ruled else ({}, ())
    keys = (*ALWAYS_READ, *SETTINGS, *more_keywords)
    for known in rules.values():
        keys += wanted_keywords(known)
    wanted = tuple(sorted(set(keys)))
    cache = HeaderCache(request.root.absolute() / "reflex_book_keeping" / CACHE_FILE, wanted)
    found = scan(folders, wanted, cache)
    headers = found.headers
    copies = find_copies(headers)
    for path in {path for copy in copies for path in copy.others}:
        del headers[path]
    breakpoints = known_breakpoints(request)
    organised = tuple(_organise(headers, rules, breakpoints))
    sources, trees, odd = ((), (), ()) if request.by == "oca" else _trees(found.others, request.mode)
    found_by_trees = tree_datasets(trees, by_archive_name(headers), headers.__getitem__, request.requested, sources)
    described = tuple(
        with_breakpoint_messages(_describe(dataset, headers), headers, breakpoints) for dataset in found_by_trees
    )
    told = (*unreadable, *without, *map(str, copies), *odd, *(text for known in organised for text in known.warnings))
    datasets = _join(described, files_named(trees), organised, request.by)
    return _with_choices(OrganisedData(datasets, organised, headers, found.faults, told, workflows, choices, {}))


def _load_by_package(request: Request, folders: tuple[Path, ...]) -> OrganisedData:
    """Organise files by an EDPS workflow package: a dataset for each job that is a target."""
    from esorex_bridge.organise.choices_file import read_choices_file

    package, data = open_package(request, folders)
    choices = read_choices_file(request.root, package.sources.module)
    before = {dataset.name: dataset for dataset, _ in package.plans(data)}
    plans = package.with_choices(choices).plans(data)
    headers = {Path(name): header for name, header in data(("MJD-OBS",)).items()}
    # What was chosen is told as a message of its dataset.
    of_datasets = {text for dataset, _ in plans for text in dataset.action.messages}
    messages = dict.fromkeys(text for _, plan in plans for text in plan.messages if text not in of_datasets)
    told = (*map(str, data.copies), *messages)
    datasets = tuple(dataset for dataset, _ in plans)
    return OrganisedData(datasets, (), headers, data.faults, told, (package.workflow,), choices, before)


def open_package(request: Request, folders: tuple[Path, ...]) -> tuple[EdpsWorkflow, DataFolder]:
    """Return the workflow package that is named, without choices, and the files that it works on."""
    from esorex_bridge.edps.plan import DataFolder
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.organise.breakpoints import as_events

    data = DataFolder(folders, request.root.absolute() / "reflex_book_keeping" / EDPS_CACHE_FILE)
    return EdpsWorkflow(str(request.workflow), request.edps, as_events(known_breakpoints(request))), data


def datasets_on_disk(request: Request, places: tuple[Path, ...]) -> Mapping[str, Dataset]:
    """Return the datasets of places by name, with the user's choices applied: those of `load`, as fast as may be.

    Raises
    ------
    UserError
        If a rule file, workflow definition or choice is wrong.
    DataError
        If a document is not an association tree.
    """
    found = _datasets_of_trees(request, places)
    if found is not None:
        return found
    data = load(request, places)
    for fault in data.faults:
        logger(__name__).warning("%s; %s", fault.reason, _MEND)
    return {dataset.name: dataset for dataset in data.datasets}


def load_quickly(request: Request, places: tuple[Path, ...]) -> OrganisedData:
    """Return what `load` does; where trees name every file and nothing was chosen, their datasets alone."""
    found = _datasets_of_trees(request, places)
    if found is None:
        return load(request, places)
    return OrganisedData(tuple(found.values()), (), {}, (), (), (), {}, {})


def _datasets_of_trees(request: Request, places: tuple[Path, ...]) -> Mapping[str, Dataset] | None:
    """Return the datasets of trees, each made when it is asked for; None where these name not all, or some was chosen.

    No rules and no headers but those of science files are read.
    """
    from esorex_bridge.organise.changes import Changes
    from esorex_bridge.organise.choices_file import CHOICES_FILE
    from esorex_bridge.organise.tree_datasets import TreeDatasets, TreeFiles
    from esorex_bridge.workspace.scan import scan

    if request.by in ("auto", "calselector") and not (request.root / CHOICES_FILE).exists():
        found = scan(*places)
        sources = [path for path in found.trees if _is_of_mode(Path(path), request.mode)]
        trees = TreeFiles(sources)
        changes = Changes(request.breakpoints or request.root / BREAKPOINTS_FILE)
        datasets = TreeDatasets(trees, found.files, _read_first, request.requested, changes.describe, sources)
        if request.by == "calselector" or (trees and datasets.name_all_files):
            return datasets
    return None


def _read_first(path: Path) -> Keywords:
    """Return the keywords of a science file by which datasets are told apart."""
    from esorex_bridge.fits.header import read_header
    from esorex_bridge.organise.tree_datasets import KEYWORDS

    try:
        return read_header(path).select(KEYWORDS)
    except DataError as error:
        raise DataError(f"{error}; {_MEND}") from None


def _is_of_mode(path: Path, mode: Mode | None) -> bool:
    """Tell whether a tree was asked for in a mode, as far as its folder, its file's name and what was noted tell."""
    if (
        mode is None
        or path.parent.name == DATA_FOLDERS[mode]
        or path.stem.lower().rpartition("_")[2] not in _SUFFIXES - {mode.lower()}
    ):
        return True
    from esorex_bridge.archive.trees import trees_asked_for

    return path in trees_asked_for(path.parent, mode)


def _workflows(request: Request) -> tuple[tuple[Workflow, ...], tuple[str, ...]]:
    """Return the workflow definitions, and what is wrong with those that cannot be read and were not asked for."""
    from esorex_bridge.definitions.folders import own_definitions
    from esorex_bridge.definitions.workflow import RULES_ALONE

    definitions = own_definitions()
    if request.workflow == RULES_ALONE:
        return (), ()
    if request.workflow is not None:
        return (definitions.look_up(Path(request.workflow)),), ()
    found, unreadable = [], []
    for path in definitions.paths.values():
        try:
            found.append(definitions.read(path))
        except UserError as error:
            unreadable.append(f"Not used: {error}")
    return tuple(found), tuple(unreadable)


def _instruments(folders: Iterable[Path]) -> tuple[str, ...]:
    """Return the instruments whose files lie in folders: of one file for each beginning of a name."""
    from esorex_bridge.definitions.spelling import canonical_instrument
    from esorex_bridge.fits.scan import probe

    headers = probe(folders, ("INSTRUME",), _PROBES, lambda name: re.split(r"[.\d]", name.removeprefix("M."))[0])
    names = (header.get("INSTRUME") for header in headers)
    return tuple(dict.fromkeys(canonical_instrument(str(name)) for name in names if name))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _organise(
    headers: Mapping[Path, Keywords], rules: Mapping[str, Rules], breakpoints: tuple[Breakpoint, ...]
) -> Iterator[Organised]:
    """Organise each instrument's files; files without INSTRUME, such as statics, are offered to all."""
    from esorex_bridge.definitions.spelling import canonical_instrument
    from esorex_bridge.organise.organiser import organise

    for instrument, known in rules.items():
        own = {
            path: header
            for path, header in headers.items()
            if canonical_instrument(str(header.get("INSTRUME") or instrument)) == instrument
        }
        yield organise(own, known, breakpoints)


def known_breakpoints(request: Request) -> tuple[Breakpoint, ...]:
    """Return the breakpoints of the file that is named, or of that in the data root; none where there is none."""
    from esorex_bridge.organise.breakpoints import read_breakpoints

    path: Path = request.breakpoints or request.root / BREAKPOINTS_FILE
    if request.breakpoints is None and not path.exists():
        return ()
    return read_breakpoints(_text(path), str(path))


def _trees(
    others: Iterable[Path], mode: Mode | None
) -> tuple[tuple[str, ...], tuple[AssociationTree, ...], tuple[str, ...]]:
    """Return the files of association trees among others, the trees, and what is wrong with those not to be used."""
    from esorex_bridge.workspace.tree_files import read_tree_file

    sources, trees, odd = [], [], []
    for path in others:
        if path.suffix != ".xml" or not _is_of_mode(path, mode):
            continue
        try:
            tree = read_tree_file(path)
        except DataError as error:
            odd.append(f"Not used: {error}")
            continue
        if tree.root.files:
            sources.append(str(path))
            trees.append(tree)
        else:
            odd.append(f"Not used: {path}: the association tree names no science file")
    return tuple(sources), tuple(trees), tuple(odd)


def _describe(dataset: Dataset, headers: Mapping[Path, Keywords]) -> Dataset:
    """Give a dataset of a tree the keywords displayed, from the first science file that is here."""
    from esorex_bridge.definitions.oca.evaluate import render_value
    from esorex_bridge.organise.organiser import DESCRIPTORS
    from esorex_bridge.organise.selection import science_header

    header = science_header(dataset, headers)
    descriptors = tuple(
        (key, "UNDEFINED" if header.get(key) is None else render_value(header[key])) for key in DESCRIPTORS
    )
    return replace(dataset, descriptors=descriptors)


def _join(
    trees: tuple[Dataset, ...], named: Collection[str], organised: tuple[Organised, ...], by: By
) -> tuple[Dataset, ...]:
    """Return the datasets of trees and rules, as `by` says; `named` are the files that trees name."""
    from esorex_bridge.organise.combine import combine_datasets, side_by_side

    if by == "calselector":
        return trees
    if not trees:
        return tuple(dataset for known in organised for dataset in known.datasets)
    return combine_datasets(trees, organised) if by == "both" else side_by_side(trees, named, organised)


def _with_choices(data: OrganisedData) -> OrganisedData:
    from esorex_bridge.organise.offers import with_choices

    before = {dataset.name: dataset for dataset in data.datasets}
    chosen = tuple(with_choices(data, dataset, data.choices.get(dataset.name)) for dataset in data.datasets)
    return replace(data, datasets=chosen, before=before)


def fill_gaps(
    request: Request, data: OrganisedData, datasets: tuple[Dataset, ...], days: float, client: ArchiveClient
) -> tuple[Dataset, ...]:
    """Return datasets whose gaps are filled by what the archive has, not on this machine yet.

    Raises
    ------
    ArchiveError
        If the archive does not answer.
    """
    from esorex_bridge.archive.tap import rows
    from esorex_bridge.organise.gaps import fill_from_archive, gaps_of

    def ask(query: str) -> tuple[dict[str, Any], ...]:
        return rows(client.ask(query))

    found = []
    for dataset in datasets:
        known = data.of(dataset.name)
        gaps = gaps_of(dataset, known, days) if known and not dataset.complete else ()
        found.append(fill_from_archive(dataset, gaps, ask, known_breakpoints(request)))
    return tuple(found)
