"""Reproducing a reduction: sources brought together, steps run again, products held against the old ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.files import DpId, stem
from esorex_bridge.fits.hdus import read_datasums
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.provenance.again import VersionDifference, plan_again, source_key, unsettable, version_differences
from esorex_bridge.provenance.document import FileEntry, ProvenanceDocument, StepEntry, hex_of
from esorex_bridge.reuse.decide import Policy
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan, Unresolvable
from esorex_bridge.run.engine import Engine
from esorex_bridge.run.reduction import deliver_targets

if TYPE_CHECKING:
    from esorex_bridge.run.reporter import Reporter
    from esorex_bridge.session import Session

Verdict = Literal["identical", "differs", "not deterministic", "not made", "unknown"]
"""Of a product: the same data; other data; other data at each run of the recipe here; none; no sums to compare."""


class ReproducedProduct(Struct, frozen=True):
    """What came of a product: its step and category, the verdict, where the new one lies."""

    step: str
    category: str
    file: str
    verdict: Verdict
    made: str = ""


class Reproduction(Struct, frozen=True):
    """What came of reproducing a reduction.

    Parameters
    ----------
    dataset : str
        Whose it was.
    versions : tuple of VersionDifference
        What is installed otherwise than it was.
    problems : tuple of str
        Sources that cannot be had and steps that failed.
    products : tuple of ReproducedProduct
        Of every step.
    delivered : tuple of str
        Paths of the new end products.
    """

    dataset: str
    versions: tuple[VersionDifference, ...]
    problems: tuple[str, ...]
    products: tuple[ReproducedProduct, ...]
    delivered: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every product was made again with the same data."""
        return not self.problems and all(product.verdict == "identical" for product in self.products)


class GatheredSources(Struct, frozen=True):
    """Where sources lie, by content (or name, where no content is known), and what cannot be had."""

    files: Mapping[str, Path]
    problems: tuple[str, ...]


def gather_sources(
    document: ProvenanceDocument, candidates: Iterable[Path], session: Session, fetch: bool = True
) -> GatheredSources:
    """Bring the sources of a reduction together: from files at hand, from the user's kits, from the archive.

    Parameters
    ----------
    document : ProvenanceDocument
        What was done.
    candidates : iterable of Path
        Files and folders that may hold sources, such as the `raws` of a crate.
    session : Session
        Of the new data root; what is fetched lies there.
    fetch : bool
        Whether to ask the archive.
    """
    wanted = {source_key(source): source for source in document.sources}
    found = _among(candidates, wanted)
    found |= _among(_kit_folders(session), _rest(wanted, found))
    fetched, refused = _fetch(_rest(wanted, found), session) if fetch else ({}, {})
    found |= fetched
    problems = (refused.get(key) or _absent(source, fetch) for key, source in _rest(wanted, found).items())
    return GatheredSources(found, tuple(problems))


def _absent(source: FileEntry, fetch: bool) -> str:
    why = "" if fetch or source.kind == "static" else ", and not fetched"
    return f"{source.file} ({source.kind}) is not at hand{why}"


def _rest(wanted: Mapping[str, FileEntry], found: Mapping[str, Path]) -> dict[str, FileEntry]:
    return {key: source for key, source in wanted.items() if key not in found}


def _among(places: Iterable[Path], wanted: Mapping[str, FileEntry]) -> dict[str, Path]:
    """Return the wanted sources among files: by name first, because reading all of a large folder takes long."""
    names = {stem(source.file): key for key, source in wanted.items()}
    found: dict[str, Path] = {}
    for path in _fits_files(places):
        key = names.get(stem(path.name)) or names.get(DpId(stem(path.name).replace("_", ":")))
        if key is not None and key not in found and _is_content(path, wanted[key]):
            found[key] = path.absolute()
    return found


def _fits_files(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(path for path in place.rglob("*") if path.is_file() and ".fit" in path.name)
        elif place.is_file():
            yield place


def _is_content(path: Path, source: FileEntry) -> bool:
    try:
        return not source.sha256 or hex_of(verify_fits(path, checksums=False).digest) == source.sha256
    except (DataError, OSError):
        return False


def _kit_folders(session: Session) -> tuple[Path, ...]:
    from esorex_bridge.organise.static_folders import static_folders

    return static_folders(session.workspace.root).folders


def _fetch(missing: Mapping[str, FileEntry], session: Session) -> tuple[dict[str, Path], dict[str, str]]:
    """Fetch raws and masters by their names; return where they lie, and what is wrong with those that do not count.

    A file that has another content in the archive today is not taken for the one that was used.
    """
    keys = {stem(source.file): key for key, source in missing.items() if source.kind != "static"}
    if not keys:
        return {}, {}
    report = session.client.fetch(tuple(keys), session.planning.destination.asked)
    session.learn_digests(report)
    found: dict[str, Path] = {}
    problems: dict[str, str] = {}
    for file in report.files:
        key = keys[file.name]
        if file.path is None:
            problems[key] = f"{file.name} cannot be fetched: {file.reason or file.status.value}"
        elif not _is_content(file.path, missing[key]):
            problems[key] = f"{file.name} has another content in the archive today than when it was used"
        else:
            found[key] = file.path
    return found, problems


def reproduce(
    document: ProvenanceDocument, sources: GatheredSources, session: Session, reporter: Reporter, started: datetime
) -> Reproduction:
    """Run the steps of a reduction again, and hold what they make against what it made.

    Nothing runs where a source or a recipe is missing.

    Raises
    ------
    RecipeError
        If EsoRex is not installed.
    ParameterError
        If a recipe does not have a parameter any more.
    """
    engine = session.require_engine()
    versions = version_differences(document, _find_installed(document, engine))
    absent = tuple(f"recipe {each.recipe} ({each.then}) is not installed" for each in versions if each.what == "recipe")
    lost = tuple(f"step {key[:12]} is not described: what it was made of is unknown" for key in document.lost)
    problems = (*sources.problems, *absent, *lost, *unsettable(document))
    name = document.steps[-1].dataset if document.steps else ""
    if problems or not document.steps:
        nothing = () if document.steps else ("the document describes no step",)
        return Reproduction(name, versions, (*problems, *nothing), (), ())
    pair = plan_again(document, sources.files)
    (resolved,) = engine.resolve((pair,))
    if isinstance(resolved, Unresolvable):
        return Reproduction(name, versions, (resolved.reason,), (), ())
    return _run(document, resolved, versions, engine, reporter, started)


def _find_installed(document: ProvenanceDocument, engine: Engine) -> dict[str, Recipe]:
    asked = engine.runner.recipes(dict.fromkeys(step.recipe for step in document.steps))
    return {name: recipe for name, recipe in asked.items() if isinstance(recipe, Recipe)}


def _run(
    document: ProvenanceDocument,
    resolved: ResolvedPlan,
    versions: tuple[VersionDifference, ...],
    engine: Engine,
    reporter: Reporter,
    started: datetime,
) -> Reproduction:
    (decided,) = engine.decide((resolved,))
    executed = engine.execute((decided,), reporter)
    failed = tuple(f"{node.label}: {node.error}" for node in executed.nodes.values() if node.error)
    products: list[ReproducedProduct] = []
    for entry, step in zip(document.steps, resolved.plan.steps, strict=True):
        record = executed.records.get(resolved.keys[step.name])
        held = _hold(entry, record)
        if not versions and any(product.verdict == "differs" for product in held):
            held = _hold_twice(held, record, resolved, step.name, engine, reporter)
        products += held
    delivered = deliver_targets(decided, executed, engine, started)
    paths = tuple(product.file for product in delivered)
    return Reproduction(resolved.plan.dataset, versions, failed, tuple(products), paths)


def _hold(entry: StepEntry, record: Record | None) -> list[ReproducedProduct]:
    """Hold the products of a step against the old ones: those of a category in their order."""
    left: dict[str | None, list[Product]] = {}
    for new in record.products if record is not None else ():
        left.setdefault(new.category, []).append(new)
    held = []
    for product in entry.products:
        made = left[product.category].pop(0) if left.get(product.category) else None
        verdict: Verdict = "not made" if made is None else _verdict(product.datasums, made.path)
        path = made.file if made is not None else ""
        held.append(ReproducedProduct(entry.step, product.category or "", product.file, verdict, path))
    return held


def _verdict(old: tuple[str, ...], made: Path) -> Verdict:
    if not old or not all(old):
        return "unknown"
    return "identical" if read_datasums(made) == old else "differs"


def _hold_twice(
    held: list[ReproducedProduct],
    record: Record | None,
    resolved: ResolvedPlan,
    step: str,
    engine: Engine,
    reporter: Reporter,
) -> list[ReproducedProduct]:
    """Run a step once more whose products differ though nothing else does: a recipe may not be deterministic."""
    if record is None:
        return held
    first = {product.file: read_datasums(product.path) for product in record.products}
    again = Engine(engine.runner, engine.store, engine.workspace, Policy(forced=(step,)))
    try:
        executed = again.execute(again.decide((resolved,)), reporter)
    except RecipeError:
        return held
    other = executed.records.get(record.key)
    if other is None:
        return held
    changing = {
        old.file
        for old, new in zip(record.products, other.products, strict=False)
        if first[old.file] != read_datasums(new.path)
    }
    return [
        ReproducedProduct(each.step, each.category, each.file, "not deterministic", each.made)
        if each.verdict == "differs" and each.made in changing
        else each
        for each in held
    ]
