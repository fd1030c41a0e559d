"""`esorex-bridge run --grid`: the same datasets with several values of recipe parameters, and what comes of each."""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import product
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.cli import arguments, output
from esorex_bridge.cli.documents.base import disk_part
from esorex_bridge.cli.documents.running import ComparedProductPart, GridDocument, VariantPart, dataset_report
from esorex_bridge.cli.run_view import show
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.disk.room import DiskNeed
from esorex_bridge.errors import DataError, UserError
from esorex_bridge.fits.hdus import read_datasums
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.plan import Plan
from esorex_bridge.progress.steps import Progress
from esorex_bridge.provenance.pixels import difference
from esorex_bridge.reuse.record import Product
from esorex_bridge.run.engine import resolvable
from esorex_bridge.run.report import DatasetReport, count_started
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings

_MOST_QC = 20
_LOOK_S = 0.02


class GridVariant(Struct, frozen=True):
    """What came of one choice of values."""

    settings: tuple[ParameterSetting, ...]
    reports: tuple[DatasetReport, ...]

    @property
    def label(self) -> str:
        """The values in words."""
        return ", ".join(f"{each.recipe}.{each.name}={each.value}" for each in self.settings)

    @property
    def end_products(self) -> Iterator[tuple[tuple[str, str, int], Product]]:
        """The end products with dataset, category, and number among those of that category."""
        for report in self.reports:
            seen: dict[str, int] = {}
            for made in report.end_products:
                seen[made.category] = seen.get(made.category, 0) + 1
                yield (report.dataset, made.category, seen[made.category]), made


def run_grid(args: argparse.Namespace, settings: Settings) -> int:
    """Run every variant, one after the other, and print what differs between them."""
    if args.explain:
        raise UserError("--explain tells of one run, not of a grid; give the value with --set")
    grid = read_grid(args.grid)
    with Session(settings) as session:
        needs = _count_needs(args, session, grid)
        variants: list[GridVariant] = []
        for chosen in grid:
            output.note(f"variant {len(variants) + 1} of {len(grid)}: {GridVariant(chosen, ()).label}")
            pairs = _plan(session, chosen, args.datasets)
            reports = session.run(pairs, Progress(args.recipe_failure_mode), _next_second(), args.dry_run)
            variants.append(GridVariant(chosen, reports))
    comparisons = [tuple(_compare(variants[0], each)) for each in variants]
    if args.json:
        described = tuple(map(_describe, variants, comparisons))
        output.emit_json(GridDocument(variants=described, disk=tuple(map(disk_part, needs))))
    elif args.dry_run:
        for each in variants:
            print(each.label)
            show(each.reports, args)
        output.say("all of them:")
        output.show_needs(needs)
    else:
        _show(variants, comparisons)
    if args.report and not args.dry_run:
        last = replace(settings, parameters=(*settings.parameters, *grid[-1]))
        output.leave_report(last, sum(count_started(each.reports) for each in variants))
    refused = args.dry_run and arguments.lacks_room(settings, needs)
    return 1 if refused or any(report.failed for each in variants for report in each.reports) else 0


def _count_needs(
    args: argparse.Namespace, session: Session, grid: Iterable[tuple[ParameterSetting, ...]]
) -> tuple[DiskNeed, ...]:
    """Return what all variants will make, each step once; nothing begins with a wrong value or without room for all.

    Raises
    ------
    ParameterError
        If a value of any variant is wrong.
    UserError
        If the disks have no room for what the variants make together.
    """
    engine = session.require_engine()
    decided = [
        plan
        for chosen in grid
        for plan in engine.decide(resolvable(engine.resolve(_plan(session, chosen, args.datasets))))
    ]
    room = engine.count_products(decided)
    if not args.dry_run:
        room.refuse()
    return room.needs


def read_grid(words: Iterable[str]) -> tuple[tuple[ParameterSetting, ...], ...]:
    """Return all choices of values, the last parameter running fastest.

    Raises
    ------
    UserError
        If one is not of the form RECIPE.PARAM=VALUE,VALUE,…
    """
    axes = []
    for word in words:
        given = arguments.setting(word, "--grid")
        values = tuple(dict.fromkeys(next(csv.reader([str(given.value)], skipinitialspace=True), ())))
        if len(values) < 2:
            raise UserError(f"--grid {word} names one value; give several, or use --set")
        axes.append([replace(given, value=value) for value in values])
    return tuple(product(*axes))


def _plan(
    session: Session, chosen: tuple[ParameterSetting, ...], names: Sequence[str]
) -> tuple[tuple[Dataset, Plan], ...]:
    given = (*session.settings.parameters, *chosen)
    return session.planning.with_settings(parameters=given).plan_datasets(names)


_latest = datetime.min


def _next_second() -> datetime:
    """Return the time, in another second than the call before: folders of end products are named by it."""
    global _latest
    while (now := datetime.now().replace(microsecond=0)) == _latest:
        time.sleep(_LOOK_S)
    _latest = now
    return now


def _compare(first: GridVariant, other: GridVariant) -> Iterator[ComparedProductPart]:
    before = dict(first.end_products)
    for (dataset, category, number), made in other.end_products:
        one = before.get((dataset, category, number))
        same = _same_data(one, made) if one is not None else None
        found = difference(one.path, made.path) if one is not None and not same else ()
        yield ComparedProductPart(dataset, category, made.file, same, found)


def _same_data(one: Product, other: Product) -> bool | None:
    if one.digest == other.digest:
        return True
    with suppress(DataError, OSError):
        left, right = read_datasums(one.path), read_datasums(other.path)
        return left == right if all(left) and all(right) else None
    return None


def _describe(variant: GridVariant, comparisons: tuple[ComparedProductPart, ...]) -> VariantPart:
    return VariantPart(
        parameters={f"{each.recipe}.{each.name}": each.value for each in variant.settings},
        executed=count_started(variant.reports),
        datasets=tuple(map(dataset_report, variant.reports)),
        against_first=comparisons,
        qc={made.file: _qc(made) for _, made in variant.end_products},
    )


def _show(variants: Sequence[GridVariant], comparisons: Sequence[tuple[ComparedProductPart, ...]]) -> None:
    rows = []
    for number, (variant, compared) in enumerate(zip(variants, comparisons, strict=True)):
        ran = str(count_started(variant.reports))
        failed = [
            f"{report.dataset}: {step.error}" for report in variant.reports for step in report.steps if step.error
        ]
        for each in compared:
            told = "the first" if number == 0 else _words(each)
            rows.append((variant.label, ran, each.dataset, each.category, told))
        rows += [(variant.label, ran, "-", "-", text) for text in failed]
        if not compared and not failed:
            rows.append((variant.label, ran, "-", "-", "nothing was delivered"))
    output.table(("variant", "recipes run", "dataset", "end product", "against the first"), rows)
    _show_qc(variants)
    for compared in comparisons:
        for each in compared:
            print(each.path)


def _words(each: ComparedProductPart) -> str:
    if each.same_data:
        return "same data"
    return "; ".join(hdu.words for hdu in each.difference if hdu.words) or "other data"


def _show_qc(variants: Sequence[GridVariant]) -> None:
    """Print the quality values in which variants differ."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for number, variant in enumerate(variants):
        for (dataset, category, _), made in variant.end_products:
            for keyword, value in _qc(made).items():
                row = found.setdefault((dataset, category, keyword), ["-"] * len(variants))
                row[number] = f"{value:.6g}" if isinstance(value, float) else str(value)
    rows = [(*key, *values) for key, values in found.items() if len(set(values)) > 1]
    if rows:
        heads = [", ".join(str(each.value) for each in variant.settings) for variant in variants]
        output.table(("dataset", "end product", "QC", *heads), rows[:_MOST_QC])


def _qc(made: Product) -> dict[str, Any]:
    with suppress(DataError, OSError):
        header = read_header(made.path)
        return {key: header[key] for key in header if key.startswith("QC.")}
    return {}
