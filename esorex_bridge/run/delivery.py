"""End products: what a dataset is for, under names that people can read, with a README and where they come from.

The one delivery for the command line, batches and the actors. Named as Reflex's ProductRenamer does by default,
`<OBS NAME>_<PRO CATG>`, in `<time of the run>/<dataset>/`. An end product belongs to the content of a product: what was
delivered before and still holds that content is not delivered again; what was edited there is left to whoever did it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.disk.atomic import WriteError, copy_whole
from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import BridgeError, DataError, UserError
from esorex_bridge.files import Digest
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.verify import read_fits, verify_fits
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.run.background import BackgroundCall
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace, safe_name
from esorex_bridge.workspace.locks import locked

if TYPE_CHECKING:
    from esorex_bridge.provenance.beside import Describer

REFLEX_PATTERN = "HIERARCH.ESO.OBS.NAME,'_',HIERARCH.ESO.PRO.CATG"
"""How Reflex names end products: keywords, and texts in quotes, by commas."""

CopyMode = Literal["copy", "link"]
ExistsMode = Literal["append_version", "overwrite", "stop"]


class DeliveryRule(Struct, frozen=True):
    """How end products are named and placed.

    Parameters
    ----------
    pattern : str
        Names them: keywords, and texts in quotes, by commas.
    copy : {'copy', 'link'}
        Whether they are copies or symbolic links.
    exists : {'append_version', 'overwrite', 'stop'}
        What to do where another file has the name.
    """

    pattern: str = REFLEX_PATTERN
    copy: CopyMode = "copy"
    exists: ExistsMode = "append_version"


class Delivered(Struct, frozen=True):
    """A product in its place among the end products, with what was read of it there."""

    source: Path
    target: Path
    reading: Reading


_RULE = DeliveryRule()


def delivery_rule(pattern: str, copy: str, exists: str) -> DeliveryRule:
    """Return a rule from texts, as Reflex's ProductRenamer has them.

    Raises
    ------
    UserError
        If a mode is not known.
    """
    found = next((mode for mode in get_args(CopyMode) if mode == copy), None)
    if found is None:
        raise UserError(f"copy_mode is '{copy}'; it must be copy or link")
    known = next((mode for mode in get_args(ExistsMode) if mode == exists), None)
    if known is None:
        raise UserError(f"exists_mode is '{exists}'; it must be append_version, overwrite or stop")
    return DeliveryRule(pattern, found, known)


class EndProducts(Struct, frozen=True):
    """What a dataset is for: products of a step, and the workflow in whose bookkeeping their delivery is recorded."""

    dataset: str
    workflow: str
    record: Record


def deliver(wanted: EndProducts, store: SqliteStore, workspace: Workspace, started: datetime) -> tuple[Product, ...]:
    """Return the end products of a dataset, brought into place where they are not there yet.

    Parameters
    ----------
    wanted : EndProducts
        Which.
    store : SqliteStore
        Remembers what was delivered.
    workspace : Workspace
        Has the folder of end products.
    started : datetime
        When the run began; names the folder above the dataset's.

    Raises
    ------
    DataError
        If a product is another one than recorded.
    WriteError
        If the folder cannot be written.
    """
    (found,) = deliver_all((wanted,), store, workspace, started)
    if isinstance(found, Exception):
        raise found
    return found


def deliver_all(
    wanted: Sequence[EndProducts], store: SqliteStore, workspace: Workspace, started: datetime
) -> tuple[tuple[Product, ...] | BridgeError | OSError, ...]:
    """Return end products as `deliver`, in the order of what is wanted, or the error where some cannot be delivered.

    They are recorded in one transaction, before any of them is told to be there.
    """
    found: dict[int, tuple[Product, ...] | BridgeError | OSError] = {
        number: earlier for number, earlier in enumerate(find_delivered(wanted, store)) if earlier
    }
    missing = {number: each for number, each in enumerate(wanted) if number not in found}
    if missing:  # Else nothing is to be written, and nobody needs the right to do that.
        with _locked_all({each.record.key for each in missing.values()}, workspace):
            found |= _place_all(missing, store, workspace, started)
    return tuple(found[number] for number in range(len(wanted)))


@contextmanager
def _locked_all(keys: Collection[StepKey], workspace: Workspace) -> Iterator[None]:
    """Hold the locks of the end products of steps; all take them in one order, so that nobody waits in a circle."""
    with ExitStack() as held:
        for key in sorted(keys):
            held.enter_context(locked(workspace.locks / f"end_{key}"))
        yield


def _place_all(
    wanted: Mapping[int, EndProducts], store: SqliteStore, workspace: Workspace, started: datetime
) -> dict[int, tuple[Product, ...] | BridgeError | OSError]:
    """Bring end products into place that no other process delivered meanwhile, and record them."""
    from esorex_bridge.provenance.beside import Describer  # An up-to-date run delivers nothing, and does not load this.

    describer = Describer(store)
    with suppress(BridgeError, OSError):  # It is said of each that this is about.
        describer.look_up({each.record.key for each in wanted.values()})
    unrecorded = _Unrecorded({each.dataset for each in wanted.values()}, store, workspace)
    found: dict[int, tuple[Product, ...] | BridgeError | OSError] = {}
    placed: dict[int, tuple[Delivered, ...]] = {}
    for (number, each), earlier in zip(wanted.items(), find_delivered(tuple(wanted.values()), store), strict=True):
        if earlier:
            found[number] = earlier
            continue
        contents = {product.path: product.digest for product in each.record.products}
        try:
            names = names_apart(list(contents))
            new = workspace.end_products / f"{started:%Y-%m-%dT%H:%M:%S}" / safe_name(each.dataset)
            place = unrecorded.find_begun(each.dataset, contents, names) or new
            placed[number] = place_products(contents, place, each.dataset, describer=describer, names=names)
        except (BridgeError, OSError) as error:
            found[number] = error
    by_workflow: dict[str, dict[str, tuple[Delivered, ...]]] = {}
    for number, delivered in placed.items():
        each = wanted[number]
        ends = by_workflow.setdefault(each.workflow, {})
        ends[each.dataset] = (*ends.get(each.dataset, ()), *delivered)
        pairs = zip(each.record.products, delivered, strict=True)
        found[number] = tuple(replace(product, file=str(end.target), stamp="") for product, end in pairs)
    noting = BackgroundCall(lambda: _note_all(by_workflow, workspace, started))  # both wait for the disk
    store.record_end_products(
        (wanted[number].dataset, wanted[number].record.key, {each.target: each.reading for each in delivered})
        for number, delivered in placed.items()
    )
    noting.result()
    return found


class _Unrecorded:
    """End products of which nothing is recorded: somebody's own, or of a delivery that was cut off."""

    def __init__(self, datasets: Collection[str], store: SqliteStore, workspace: Workspace) -> None:
        self._recorded = {path for paths in store.end_products(datasets).values() for path in paths}
        self._runs = sorted(workspace.end_products.glob("*/"), reverse=True)

    def find_begun(self, dataset: str, contents: Mapping[Path, Digest], names: Mapping[Path, str]) -> Path | None:
        """Return the folder to which one of the products was brought already; the latest of them."""
        for run in self._runs:
            targets = {source: run / safe_name(dataset) / f"{names[source]}.fits" for source in contents}
            for source, target in targets.items():
                if str(target) not in self._recorded and _holds(target, source, contents[source]):
                    return target.parent
        return None


def _note_all(
    by_workflow: Mapping[str, Mapping[str, tuple[Delivered, ...]]], workspace: Workspace, started: datetime
) -> None:
    for workflow, ends in by_workflow.items():
        record_for_reflex(workspace.reflex_database(workflow), ends, started)


def place_products(
    contents: Mapping[Path, Digest | None],
    place: Path,
    dataset: str,
    rule: DeliveryRule = _RULE,
    describer: Describer | None = None,
    names: Mapping[Path, str] | None = None,
) -> tuple[Delivered, ...]:
    """Bring products into a dataset's folder of end products, with README and provenance beside them.

    Parameters
    ----------
    contents : mapping of Path to Digest or None
        Products, and what they must hold; None where that is not known beforehand.
    place : Path
        The dataset's folder; made where it is missing.
    dataset : str
        Its name, for the README.
    rule : DeliveryRule
        Names and places them.
    describer : Describer, optional
        Says how they were made; without it their headers tell, as far as they do.
    names : mapping of Path to str, optional
        What each is called, without ending; by the rule's pattern where that is not given.

    Raises
    ------
    DataError
        If a product is damaged or another one than stated, or its name is taken and the rule says `stop`.
    WriteError
        If the folder cannot be written.
    """
    called = names or {}
    delivered = tuple(
        place_product(source, digest, place, rule, called.get(source)) for source, digest in contents.items()
    )
    from esorex_bridge.provenance.beside import Describer, add_provenance

    add_provenance(place, {each.target: each.reading.digest for each in delivered}, describer or Describer(None))
    _add_to_readme(place, dataset, (each.target for each in delivered))
    return delivered


def readme_entry(place: Path, dataset: str, names: Iterable[str]) -> str:
    """Return what the README says of a dataset, in Reflex's words."""
    listed = "".join(f"    {name}\n" for name in names)
    return f"{dataset}\n  Dataset has been reduced and saved in {place} with files:\n{listed}"


def record_for_reflex(database: Path, delivered: Mapping[str, Sequence[Delivered]], now: datetime) -> None:
    """Record end products in Reflex's bookkeeping, by dataset, where there is one; they do not depend on it."""
    from esorex_bridge.reflex.bookkeeping_db import add_final_products

    if database.exists():
        renamed = {dataset: {each.target: each.source for each in ends} for dataset, ends in delivered.items()}
        with suppress(DataError):
            add_final_products(database, renamed, now.astimezone())


def end_name(product: Path, pattern: str = REFLEX_PATTERN) -> str:
    """Return the name of an end product without ending, as Reflex's ProductRenamer gives it."""
    header = read_header(product)
    words = []
    for part in pattern.split(","):
        text = part.strip()
        if text[:1] == text[-1:] == "'" and len(text) > 1:
            words.append(text[1:-1])
        elif text:
            value = header.get(text.partition("[")[0].removeprefix("HIERARCH.ESO."))
            words.append(safe_name(str(value)) if value not in (None, "") else "_UNKNOWN_")
    return safe_name("".join(words) or product.stem)


def find_delivered(wanted: Sequence[EndProducts], store: SqliteStore) -> tuple[tuple[Product, ...], ...]:
    """Return what was delivered before of each, where all of it still lies there with the content of its products."""
    known = store.end_products(each.dataset for each in wanted)
    listed = [known.get((each.dataset, each.record.key), []) for each in wanted]
    contents = store.digests(filter(os.path.exists, chain.from_iterable(listed)))
    return tuple(
        tuple(replace(product, file=path, stamp="") for product, path in zip(products, paths, strict=True))
        if [contents.get(path) for path in paths] == [product.digest for product in products]
        else ()
        for products, paths in zip((each.record.products for each in wanted), listed, strict=True)
    )


def names_apart(products: Sequence[Path], pattern: str = REFLEX_PATTERN) -> dict[Path, str]:
    """Return the names of products without ending, with what tells apart those of one kind."""
    from esorex_bridge.run.end_names import distinct_names

    bases = [end_name(product, pattern) for product in products]
    if len(set(bases)) == len(bases):
        return dict(zip(products, bases, strict=True))
    headers = [read_header(product) for product in products]
    return dict(zip(products, distinct_names(bases, headers), strict=True))


def place_product(
    source: Path, digest: Digest | None, place: Path, rule: DeliveryRule = _RULE, name: str | None = None
) -> Delivered:
    """Bring one product into a folder under the name of its contents; parameters and errors as `place_products`.

    A product that is there already, with the same content, is left as it is.
    """
    content = digest if digest is not None else verify_fits(source, checksums=False).digest
    target = _free_place(place, name or end_name(source, rule.pattern), source, content, rule)
    if rule.copy == "link":
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    elif not _holds(target, source, content):
        copy_whole(source, target)
        status = source.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    found, stamp = read_fits(target, checksums=False)
    if found.digest != content:
        raise DataError(f"{source} is another file than recorded; run again")
    return Delivered(source, target, Reading(found.digest, stamp))


def _free_place(place: Path, stem: str, source: Path, content: Digest, rule: DeliveryRule) -> Path:
    path = place / f"{stem}.fits"
    if not os.path.lexists(path) or rule.exists == "overwrite":
        return path
    if rule.exists == "stop":
        raise DataError(f"{path} exists; set exists_mode to append_version or overwrite, or remove it")
    versions = (place / f"{stem}{f'_{number}' if number else ''}.fits" for number in count())
    return next(path for path in versions if not os.path.lexists(path) or _holds(path, source, content))


def _holds(target: Path, source: Path, content: Digest) -> bool:
    """Tell whether a file among the end products already holds the content of a product."""
    if target.is_symlink():
        return target.resolve() == source.resolve()
    if not target.exists():
        return False
    with suppress(DataError):
        return verify_fits(target, checksums=False).digest == content
    return False


def _add_to_readme(place: Path, dataset: str, targets: Iterable[Path]) -> None:
    readme = place.parent / "README"
    try:
        with readme.open("a", encoding="utf-8") as stream:
            stream.write(readme_entry(place, dataset, (path.name for path in targets)))
    except OSError as error:
        raise WriteError(f"{readme} cannot be written: {error.strerror or error}; make room and run again") from error
