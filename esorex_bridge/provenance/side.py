"""One side of a comparison: a provenance document and the files that it is about."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.errors import BridgeError, DataError
from esorex_bridge.provenance.document import FILE_NAME, ProvenanceDocument, document_of, hex_of
from esorex_bridge.provenance.identify import identify
from esorex_bridge.provenance.lineage import Lineage
from esorex_bridge.provenance.trace import trace
from esorex_bridge.provenance.verify_crate import read_document
from esorex_bridge.store.step_store import open_store
from esorex_bridge.workspace.folders import Workspace


class Side(Struct, frozen=True):
    """A provenance document, and where the products are that it is about, by content (64 hex digits)."""

    document: ProvenanceDocument
    files: dict[str, Path]


def read_side(word: str, root: Path) -> Side:
    """Return what a word of a command line means.

    Parameters
    ----------
    word : str
        A crate or a folder of end products; a product; a dataset, step or recipe.
    root : Path
        The data root whose store knows products.

    Raises
    ------
    BridgeError
        If it is not known, neither to the store nor by a provenance document beside it.
    """
    path = Path(word).absolute()
    if path.is_dir():
        return _of_folder(path, root)
    try:
        return _of_lineage(lineage_in(word, root))
    except BridgeError:
        if path.is_file() and (path.parent / FILE_NAME).is_file():
            return _of_neighbour(path)
        raise


def lineage_in(word: str, root: Path) -> Lineage:
    """Return the lineage of what a word means in a data root.

    Raises
    ------
    BridgeError
        If it is not known there, or there is no data root.
    """
    workspace = Workspace(root.absolute())
    if not workspace.store.is_file():
        raise DataError(f"{workspace.root} is not a data root: it has no {workspace.store.name}; give --root")
    with open_store(workspace.store, workspace.root) as store:
        found = identify(word, store)
        return trace(found.targets, found.keys, store)


def root_above(path: Path) -> Path | None:
    """Return the data root that a file lies in; None where it lies in none."""
    return next((folder for folder in path.parents if Workspace(folder).store.is_file()), None)


def _of_lineage(lineage: Lineage) -> Side:
    files = {hex_of(product.digest): product.path for product in lineage.targets if product.path.is_file()}
    return Side(document_of(lineage), files)


def _of_folder(folder: Path, root: Path) -> Side:
    if (folder / FILE_NAME).is_file():
        document = read_document(folder)
        names = {path.name: path for path in sorted(folder.rglob("*.fits"))}
        return Side(document, {each.sha256: names[each.file] for each in document.products if each.file in names})
    products = sorted(folder.glob("*.fits"))
    if not products:
        raise DataError(f"{folder} holds neither {FILE_NAME} nor products")
    lineages = [lineage_in(str(product), root) for product in products]
    return _of_lineage(_join(lineages))


def _of_neighbour(path: Path) -> Side:
    """Return what the document beside a product says of it alone."""
    document = read_document(path.parent)
    own = tuple(each for each in document.products if each.file == path.name)
    if not own:
        raise DataError(f"{path.parent / FILE_NAME} does not name {path.name}")
    return Side(replace(document, products=own), {own[0].sha256: path})


def _join(lineages: list[Lineage]) -> Lineage:
    activities = {activity.key: activity for lineage in lineages for activity in lineage.activities}
    targets = tuple(target for lineage in lineages for target in lineage.targets)
    return Lineage(targets, tuple(activities.values()), tuple(key for lineage in lineages for key in lineage.lost))
