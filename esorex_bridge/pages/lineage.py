"""The lineage of products as a page: the same page as the report, of the steps that a product comes from alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from esorex_bridge.esorex.recipe import describe_cost
from esorex_bridge.fits.header import Header
from esorex_bridge.pages.draw import draw_cascade
from esorex_bridge.pages.files import FileViews, PageLimits, header_of
from esorex_bridge.pages.model import DatasetView, InputView, ReportView, StepView
from esorex_bridge.provenance.lineage import Activity, Input, Lineage
from esorex_bridge.reuse.key import StepKey


def view_lineage(lineage: Lineage, title: str, limits: PageLimits | None = None) -> ReportView:
    """Return what the page of a lineage shows.

    Parameters
    ----------
    lineage : Lineage
        With the places of files, as far as they are known.
    title : str
        What it is about, as the user named it.
    limits : PageLimits, optional
        How much the page holds.
    """
    files = FileViews(limits or PageLimits(steps=len(lineage.activities)))
    anchors = {activity.key: f"d0-s{number}" for number, activity in enumerate(lineage.activities)}
    steps = tuple(_step(activity, anchors, files) for activity in lineage.activities)
    header = header_of(lineage.targets[0].path) if lineage.targets else Header.of({})
    lost = tuple(f"step {key[:12]} is not recorded any more: what it was made of is unknown" for key in lineage.lost)
    dataset = DatasetView(
        anchor="d0",
        name=lineage.activities[-1].dataset if lineage.activities else title,
        target=str(header.get("OBS.TARG.NAME") or header.get("OBJECT") or ""),
        night=str(header.get("DATE-OBS") or "")[:10],
        instrument=str(header.get("INSTRUME") or ""),
        setup="",
        state="missing" if lost else "reused",
        reasons=lost,
        steps=steps,
        end_products=tuple(map(files.view_product, lineage.targets)),
        messages=(),
        drawing=draw_cascade(steps) if steps else "",
    )
    written = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ReportView(f"Provenance of {title}", title, written, (dataset,), (), (), ())


def _step(activity: Activity, anchors: Mapping[StepKey, str], files: FileViews) -> StepView:
    folder = Path(activity.sof).parent
    return StepView(
        anchor=anchors[activity.key],
        name=activity.step,
        recipe=activity.recipe,
        pipeline=activity.pipeline,
        state="reused",
        reason="",
        made=activity.made,
        seconds=activity.seconds,
        parameters=tuple((each.name, each.value, each.origin) for each in activity.chosen),
        inputs=tuple(_inputs(activity, anchors, files)),
        products=tuple(map(files.view_product, activity.products)),
        needs=tuple(dict.fromkeys(anchors[key] for each in activity.inputs if (key := each.key) in anchors and key)),
        log=files.read_log(folder),
        warnings=activity.warnings,
        folder=str(folder) if folder.is_dir() else "",
        took=describe_cost(activity.seconds, activity.usage),
    )


def _inputs(activity: Activity, anchors: Mapping[StepKey, str], files: FileViews) -> Iterator[InputView]:
    for entry in activity.inputs:
        told = entry.association.words if entry.association else ""
        if entry.source is None or entry.key is not None:
            anchor = anchors.get(entry.key, "") if entry.key is not None else ""
            yield InputView(entry.category, _name(entry), "product", anchor, association=told)
        else:
            drawn = files.draw_input(Path(entry.source.file)) if entry.source.file else ""
            yield InputView(entry.category, entry.source.name, entry.source.kind, "", drawn, told)


def _name(entry: Input) -> str:
    return f"{entry.product} ({entry.source.name})" if entry.source is not None else entry.product
