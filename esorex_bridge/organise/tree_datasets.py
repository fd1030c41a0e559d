"""Association trees become datasets: whole templates together, with the instrument that their headers name.

Loaded by every run, so it loads little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from itertools import repeat
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.datasets.association import Association, AssociationTree, Mode, distinct_files, rename_science
from esorex_bridge.datasets.build import dataset_from_tree, dataset_name
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.datasets.xml import TreeReader
from esorex_bridge.files import DpId
from esorex_bridge.fits.identity import STATING, other_frame
from esorex_bridge.organise.places import DATA_FOLDERS
from esorex_bridge.organise.regroup import merge, merged_name, template_of
from esorex_bridge.workspace.tree_files import read_tree_file

if TYPE_CHECKING:
    from esorex_bridge.plan.plan import Keywords

KEYWORDS = ("INSTRUME", "TPL.START", "TPL.ID", *STATING, "PRO.CATG")
"""The keywords that are looked at."""

_HEADERS_KEPT = 8
_FORMS_KEPT = 500
"""So many trees are kept but for the names of their science files; each takes some ten kilobytes."""
_BETWEEN_NAMES = "\0"
"""No XML holds it."""


class TreeDatasets(Mapping[str, Dataset]):
    """The datasets that association trees mean, by name; each is made when it is asked for.

    All trees are looked at first, because those of one template are one dataset. Only names and numbers are kept of
    them, so that there may be a hundred thousand.

    Parameters
    ----------
    trees : sequence of AssociationTree
        Of several of one dataset the first counts, and its dataset says so.
    paths : mapping of str to Path
        Where the files lie, by dp_id.
    header : callable
        Returns the keywords of a file.
    requested : {'Raw2Raw', 'Raw2Master'}, optional
        The mode that was asked for.
    describe : callable, optional
        Returns a dataset with what else is to be said of it.
    sources : sequence of str, optional
        The files of the trees, to say which of two is not used.
    """

    def __init__(
        self,
        trees: Sequence[AssociationTree],
        paths: Mapping[DpId, Path],
        header: Callable[[Path], Keywords],
        requested: Mode | None = None,
        describe: Callable[[Dataset], Dataset] | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        self._trees, self._paths, self._requested = trees, paths, requested
        self._header = lru_cache(_HEADERS_KEPT)(header)
        self._shared, self._masters = Shared(), cache(_frames_for_masters)
        self._instruments: list[str] = []
        self._unnamed = set(paths)
        self._describe, self._sources = describe, sources
        self._not_used: dict[int, list[int]] = {}
        self._parts = self._put_together()
        self._unnamed &= self._unnamed  # An emptied set keeps its room.

    @property
    def name_all_files(self) -> bool:
        """Whether each of the files that there are stands in a tree, in whatever role."""
        return not self._unnamed

    def __getitem__(self, name: str) -> Dataset:
        dataset = merge([self._with_not_used(number) for number in self._parts[name]])
        return self._describe(dataset) if self._describe else dataset

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def _put_together(self) -> dict[str, tuple[int, ...]]:
        """Return the numbers of the trees that make each dataset; note those that give another of the same name."""
        seen: dict[str, int] = {}
        together: dict[tuple[object, ...], list[tuple[str, int]]] = {}
        for number, tree in enumerate(self._trees):
            self._strike_out(tree.root)
            name = dataset_name(tree)
            instrument, template = self._look_at_first(tree, name)
            self._instruments.append(instrument)
            if (first := seen.setdefault(name, number)) == number:
                together.setdefault(template, []).append((name, number))
            elif self._part(number) != self._part(first):
                self._not_used.setdefault(first, []).append(number)
        return {
            merged_name([name for name, _ in parts]): tuple(number for _, number in parts)
            for parts in together.values()
        }

    def _with_not_used(self, number: int) -> Dataset:
        """Return the dataset that one tree means, with what is said of other trees that give another of its name."""
        dataset, others = self._part(number), self._not_used.get(number)
        if others is None:
            return dataset
        said = f"not used: {', '.join(map(self._source, others))}, which says otherwise than {self._source(number)}"
        message = f"{said}; remove the one that is out of date"
        return replace(dataset, action=replace(dataset.action, messages=(*dataset.action.messages, message)))

    def _source(self, number: int) -> str:
        """Return how a tree is called: by its file and the folder of it, where they are known."""
        path = Path(self._sources[number]) if self._sources else None
        return "another association tree" if path is None else f"{path.parent.name}/{path.name}"

    def _look_at_first(self, tree: AssociationTree, name: str) -> tuple[str, tuple[object, ...]]:
        """Return INSTRUME of a tree, by its first file that is here, and what its template is told by."""
        files = tree.root.files
        first = min(file.name for file in files)
        path = self._paths.get(first)
        placed = ((file.name, path if file.name == first else self._paths.get(file.name)) for file in files)
        named = _first_header(placed, self._header).get("INSTRUME")
        # The dp_id's prefix is not always unique.
        instrument = intern(str(named).strip() if named else files[0].name.split(".")[0])
        kind = instrument, tree.root.category, tree.mode
        return instrument, template_of(name, kind, self._header(path) if path is not None else None)

    def _part(self, number: int) -> Dataset:
        """Return the dataset that one tree means."""
        tree, instrument = self._trees[number], self._instruments[number]
        dataset = dataset_from_tree(tree, self._paths, instrument, self._requested, self._shared)
        return _with_request(dataset, self._masters)

    def _strike_out(self, node: Association) -> None:
        """Strike out the files that a tree names, those of groups that many trees have once."""
        if self._unnamed:
            self._unnamed.difference_update([file.name for file in node.files])
            for child in node.associated:
                self._shared.once(("named", child), partial(self._strike_out, child))


def tree_datasets(
    trees: Sequence[AssociationTree],
    paths: Mapping[DpId, Path],
    header: Callable[[Path], Keywords],
    requested: Mode | None = None,
    sources: Sequence[str] = (),
) -> tuple[Dataset, ...]:
    """Return the datasets that association trees mean, one a name; parameters as `TreeDatasets`."""
    return tuple(TreeDatasets(trees, paths, header, requested, sources=sources).values())


class TreeFiles(Sequence[AssociationTree]):
    """Association trees on disk, each read when it is asked for.

    Trees of one night often differ in their science files alone. So what they have in common is kept once, and of each
    tree the names, for when it is asked for again.

    Parameters
    ----------
    paths : sequence of str
        Of the files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._reader = TreeReader()
        self._forms: dict[AssociationTree, AssociationTree] = {}
        self._known: dict[int, tuple[AssociationTree, str]] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> AssociationTree:  # type: ignore[override]
        if number in self._known:
            form, names = self._known[number]
            return rename_science(form, names.split(_BETWEEN_NAMES))
        tree = read_tree_file(Path(self._paths[number]), self._reader.read)
        form = rename_science(tree, repeat(""))
        if form in self._forms or len(self._forms) < _FORMS_KEPT:
            names = _BETWEEN_NAMES.join([file.name for file in tree.root.files])
            self._known[number] = self._forms.setdefault(form, form), names
        return tree


def files_named(trees: Iterable[AssociationTree]) -> frozenset[str]:
    """Return the names of all files that trees name, in whatever role."""
    return frozenset(file.name for tree in trees for file in distinct_files(tree.root))


def _with_request(dataset: Dataset, masters: Callable[[Path], frozenset[str]]) -> Dataset:
    """Return a dataset with the mode that was asked for.

    A downgraded dataset lies with the raw calibrations, and what was asked for is noted there; earlier versions left it
    in the folder of what was asked for.
    """
    path = next((file.path for file in dataset.action.files if file.path), None)
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
    return _first_header(((file.name, file.path) for file in dataset.action.files), header)


def _first_header(files: Iterable[tuple[DpId, Path | None]], header: Callable[[Path], Keywords]) -> Keywords:
    for name, path in files:
        if path is not None and not other_frame(name, found := header(path)):
            return found
    return {}
