"""What the header of a product says of where it comes from: the step that made it, and the names of its inputs.

CPL writes `PRO REC1 ID`, `PIPE ID`, `RAWi NAME/CATG`, `CALi NAME/CATG` and `PARAMi NAME/VALUE`. Names are bare file
names, digests are not to be relied upon, and a recipe may leave inputs out; steps further back are not described. Where
the first input was itself a product, its cards are kept and the new ones are `PRO REC2`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from itertools import count
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.esorex.products import cpl_of, last_run
from esorex_bridge.files import stem
from esorex_bridge.fits.hdus import read_datasums
from esorex_bridge.fits.header import Header, read_header
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.provenance.document import (
    FileEntry,
    InputEntry,
    ParameterEntry,
    ProvenanceDocument,
    StepEntry,
    hex_of,
)
from esorex_bridge.provenance.lineage import kind_of

_NUMBERED = re.compile(r"(PRO\.REC\d+)\.(RAW|CAL|PARAM)(\d+)\.(NAME|CATG|VALUE)")


def document_of_header(product: Path) -> ProvenanceDocument:
    """Return what a product's own header says of where it comes from.

    Raises
    ------
    DataError
        If the file is not FITS, or its header names no recipe.
    """
    header = read_header(product)
    run = f"PRO.REC{last_run(header)}"
    recipe = header.get(f"{run}.ID")
    if not recipe:
        named = ", ".join(_find_by_phase3(header, ()))
        told = f"; by PROVi it was made of {named}" if named else ""
        raise DataError(f"{product} is not a product of a pipeline: its header has no PRO REC1 ID{told}")
    made = FileEntry(
        file=product.name,
        sha256=hex_of(verify_fits(product, checksums=False).digest),
        category=str(header.get("PRO.CATG") or "") or None,
        kind="product",
        datasums=read_datasums(product),
    )
    inputs = tuple(_inputs(header, run))
    step = StepEntry(
        key=f"header:{made.sha256}",
        step=f"{recipe}_1",
        dataset=stem(str(header.get("ARCFILE") or product.name)),
        recipe=str(recipe),
        pipeline=str(header.get(f"{run}.PIPE.ID") or ""),
        plugin_sha256="",
        libraries={},
        made=str(header.get("DATE") or ""),
        seconds=0.0,
        parameters=tuple(_parameters(header, run)),
        inputs=inputs,
        products=(made,),
        warnings=tuple(_warnings(header, inputs)),
        cpl=cpl_of(header),
    )
    sources = {entry.file: FileEntry(entry.file, "", None, kind_of(entry.file)) for entry in inputs}
    return ProvenanceDocument(products=(made,), steps=(step,), sources=tuple(sources.values()))


def _warnings(header: Header, inputs: Iterable[InputEntry]) -> Iterator[str]:
    yield "told from the header alone: inputs that the recipe does not name are not known"
    for number in range(1, last_run(header)):
        earlier = ", ".join(str(header.get(f"PRO.REC{number}.{key}") or "?") for key in ("ID", "PIPE.ID"))
        yield f"its first input is itself a product, by PRO REC{number} of {earlier}"
    more = tuple(_find_by_phase3(header, tuple(entry.file for entry in inputs)))
    if more:
        yield f"PROVi of the header names more files, without saying what for: {', '.join(more)}"


def _find_by_phase3(header: Header, known: Container[str]) -> Iterator[str]:
    """Yield the files that a product of Phase 3 was made of (`PROV1`, `PROV2` …) and that are not known otherwise."""
    for number in count(1):
        name = header.get(f"PROV{number}")
        if not name:
            return
        if stem(str(name)) not in known:
            yield stem(str(name))


def _read_numbered(header: Header, run: str, kinds: tuple[str, ...]) -> Iterator[dict[str, str]]:
    found: dict[tuple[str, int], dict[str, str]] = {}
    for key in header:
        match = _NUMBERED.fullmatch(key)
        if match and match[1] == run and match[2] in kinds:
            found.setdefault((match[2], int(match[3])), {})[match[4]] = _text(header[key])
    order = {kind: number for number, kind in enumerate(kinds)}
    for _, values in sorted(found.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        if "NAME" in values:
            yield values


def _text(value: object) -> str:
    return {True: "TRUE", False: "FALSE"}[value] if isinstance(value, bool) else str(value)


def _inputs(header: Header, run: str) -> Iterator[InputEntry]:
    for values in _read_numbered(header, run, ("RAW", "CAL")):
        yield InputEntry(values.get("CATG", ""), stem(Path(values["NAME"]).name))


def _parameters(header: Header, run: str) -> Iterator[ParameterEntry]:
    for values in _read_numbered(header, run, ("PARAM",)):
        yield ParameterEntry(values["NAME"], values.get("VALUE", ""), "")
