"""Association trees become datasets: whole templates together, with the instrument that their headers name.

Loaded by every run, so it loads little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.datasets.association import AssociationTree, Mode, distinct_files
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.files import DpId
from esorex_bridge.fits.identity import other_frame
from esorex_bridge.organise.places import DATA_FOLDERS
from esorex_bridge.organise.regroup import merge_templates

if TYPE_CHECKING:
    from esorex_bridge.plan.plan import Keywords

_KEYWORDS = ("INSTRUME", "TPL.START", "TPL.ID")


def tree_datasets(
    trees: Iterable[AssociationTree],
    paths: Mapping[DpId, Path],
    header: Callable[[Path], Keywords],
    requested: Mode | None = None,
) -> tuple[Dataset, ...]:
    """Return the datasets that association trees mean, one a name.

    Parameters
    ----------
    trees : iterable of AssociationTree
        Of several of one dataset the first counts.
    paths : mapping of str to Path
        Where the files lie, by dp_id.
    header : callable
        Returns the keywords of a file.
    requested : {'Raw2Raw', 'Raw2Master'}, optional
        The mode that was asked for.
    """
    datasets: dict[str, Dataset] = {}
    headers: dict[Path, Keywords] = {}
    masters, shared = cache(_frames_for_masters), Shared()
    for tree in trees:
        dataset = dataset_from_tree(tree, paths, requested=requested, shared=shared)
        if dataset.name in datasets:
            continue
        read = cache(header)
        for path in {path for path in _first_files(dataset) if path is not None}:
            headers[path] = {key: read(path).get(key) for key in _KEYWORDS}
        datasets[dataset.name] = _with_request(_with_instrument(dataset, read), masters)
    return merge_templates(datasets.values(), headers)


def files_named(trees: Iterable[AssociationTree]) -> frozenset[str]:
    """Return the names of all files that trees name, in whatever role."""
    return frozenset(file.name for tree in trees for file in distinct_files(tree.root))


def _first_files(dataset: Dataset) -> tuple[Path | None, Path | None]:
    """Return the science file by which templates are told apart, and the first one that is here."""
    files = dataset.action.files
    return min(files, key=lambda file: file.name).path, next((file.path for file in files if file.path), None)


def _with_request(dataset: Dataset, masters: Callable[[Path], frozenset[str]]) -> Dataset:
    """Return a dataset with the mode that was asked for.

    A downgraded dataset lies with the raw calibrations, and what was asked for is noted there; earlier versions left it
    in the folder of what was asked for.
    """
    path = _first_files(dataset)[1]
    if dataset.requested is not None or path is None:
        return dataset
    folder = path.parent
    names = (file.name for file in dataset.action.files)
    if folder.name == DATA_FOLDERS["Raw2Master"] or not masters(folder).isdisjoint(names):
        return replace(dataset, requested="Raw2Master")
    return dataset


def _frames_for_masters(folder: Path) -> frozenset[str]:
    """Return the frames in a folder for which masters were asked for."""
    from esorex_bridge.archive.trees import requests_in

    return frozenset(request.dp_id for request in requests_in(folder, "Raw2Master"))


def first_header(dataset: Dataset, header: Callable[[Path], Keywords]) -> Keywords:
    """Return the keywords of a dataset's first science file that is here and is the frame that it is called."""
    for file in dataset.action.files:
        if file.path is not None and not other_frame(file.name, found := header(file.path)):
            return found
    return {}


def _with_instrument(dataset: Dataset, header: Callable[[Path], Keywords]) -> Dataset:
    """Return a dataset with INSTRUME of its first file: the dp_id's prefix is not always unique."""
    name = first_header(dataset, header).get("INSTRUME")
    return replace(dataset, instrument=str(name).strip()) if name else dataset
