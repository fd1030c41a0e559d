"""Documents of `compare` and of `provenance export`, `reproduce` and `verify`; `provenance` itself has its own."""

from __future__ import annotations

from esorex_bridge.cli.documents.base import Document, Part
from esorex_bridge.provenance.again import VersionDifference
from esorex_bridge.provenance.compare import StepComparison
from esorex_bridge.provenance.document import FileEntry
from esorex_bridge.provenance.manifest import CrateFinding
from esorex_bridge.provenance.pixels import HduDifference
from esorex_bridge.reproduce import ReproducedProduct


class ComparedPairPart(Part, frozen=True):
    """Two products of one category, null where a side has none; `difference` is empty where the data are the same."""

    category: str
    a: FileEntry | None
    b: FileEntry | None
    same_data: bool | None
    difference: tuple[HduDifference, ...]


class CompareDocument(Document, frozen=True, kw_only=True):
    """`compare`: whether both were made by the same steps, what differs in each, and by how much the data differ."""

    same: bool
    steps: tuple[StepComparison, ...]
    products: tuple[ComparedPairPart, ...]


class CrateDocument(Document, frozen=True, kw_only=True):
    """`provenance export`: what went into the crate; nothing in `files` with `--dry-run`."""

    crate: str
    steps: int
    products: int
    sources: int
    files: tuple[str, ...]
    size_bytes: int


class ReproduceDocument(Document, frozen=True, kw_only=True):
    """`provenance reproduce`: whether all data are identical, and what came of each product."""

    identical: bool
    dataset: str
    versions: tuple[VersionDifference, ...]
    problems: tuple[str, ...]
    products: tuple[ReproducedProduct, ...]
    delivered: tuple[str, ...]


class VerifyDocument(Document, frozen=True, kw_only=True):
    """`provenance verify`: whether the crate is whole, what is wrong, and who signed it."""

    crate: str
    whole: bool
    files: int
    findings: tuple[CrateFinding, ...]
    signature: str
    signer: str
