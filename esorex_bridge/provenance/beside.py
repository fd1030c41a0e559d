"""The provenance document beside end products: one a folder, for all products that lie there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.disk.atomic import write_whole
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.provenance.document import FILE_NAME, FileEntry, ProvenanceDocument, StepEntry, document_of, encode
from esorex_bridge.provenance.header import document_of_header
from esorex_bridge.provenance.lineage import Lineage
from esorex_bridge.provenance.side import root_above
from esorex_bridge.provenance.trace import Tracer
from esorex_bridge.provenance.verify_crate import read_document
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product
from esorex_bridge.store.step_store import open_store
from esorex_bridge.workspace.folders import Workspace

if TYPE_CHECKING:
    from esorex_bridge.store.step_store import SqliteStore


class Describer:
    """Says where products come from; what several of them were made from is looked up and described once.

    Parameters
    ----------
    store : SqliteStore or None
        Knows how they were made; None where nothing but their headers is at hand.
    """

    def __init__(self, store: SqliteStore | None) -> None:
        self._store = store
        self._tracer = Tracer(store) if store is not None else None
        self._described: dict[str, StepEntry] = {}

    def look_up(self, keys: Iterable[StepKey]) -> None:
        """Look up together how steps made what is to be described: one by one takes longer."""
        if self._tracer is not None:
            self._tracer.look_up(keys)

    def describe(self, path: Path, digest: Digest) -> ProvenanceDocument:
        """Return where a product comes from, by the store where that made it, else by its header."""
        keys = self._store.keys_by_content(digest)[:1] if self._store is not None else ()
        if self._store is None or self._tracer is None or not keys:
            with suppress(DataError):
                return document_of_header(path)
            return document_of(Lineage((Product(str(path), "", digest, 0),), ()))
        made = next(product for product in self._store.products(keys[0]) if product.digest == digest)
        return document_of(self._tracer.trace((replace(made, file=str(path)),), keys), self._described)


def add_provenance(place: Path, delivered: Mapping[Path, Digest], describer: Describer) -> ProvenanceDocument:
    """Write where the end products in a folder come from, beside those that were told of before.

    Parameters
    ----------
    place : Path
        The folder.
    delivered : mapping of Path to Digest
        New end products, with their content.
    describer : Describer
        Says how they were made.

    Raises
    ------
    WriteError
        If the folder cannot be written.
    """
    told = [describer.describe(path, digest) for path, digest in delivered.items()]
    document = merge((*_read_earlier(place, delivered), *told))
    write_whole(place / FILE_NAME, encode(document).decode())
    return document


def store_above(product: Path) -> AbstractContextManager[SqliteStore | None]:
    """Open the store of the data root that a product lies in; None where it lies in none."""
    root = root_above(product.absolute())
    if root is None:
        return nullcontext()
    return open_store(Workspace(root).store, root)


def merge(documents: Iterable[ProvenanceDocument]) -> ProvenanceDocument:
    """Return one document of several: each product, step and source once, makers before users."""
    listed = tuple(documents)
    products = {product.file: product for document in listed for product in document.products}
    steps = {step.key: step for document in listed for step in document.steps}
    sources = {(source.file, source.sha256): source for document in listed for source in document.sources}
    lost = dict.fromkeys(key for document in listed for key in document.lost)
    return ProvenanceDocument(tuple(products.values()), tuple(steps.values()), _sort(sources.values()), tuple(lost))


def _sort(sources: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    return tuple(sorted(sources, key=lambda source: (source.file, source.sha256)))


def _read_earlier(place: Path, new: Mapping[Path, Digest]) -> Iterator[ProvenanceDocument]:
    """Yield what the folder tells already of products that are still there; what cannot be read is told anew."""
    if not (place / FILE_NAME).is_file():
        return
    names = {path.name for path in new}
    with suppress(DataError):
        document = read_document(place)
        kept = (each for each in document.products if each.file not in names and (place / each.file).exists())
        yield replace(document, products=tuple(kept))
