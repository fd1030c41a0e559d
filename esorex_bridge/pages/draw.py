"""Drawings of the report as SVG: cascades, the time line, values over time. Colours come from the page's style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from esorex_bridge.pages.layout import place_nodes
from esorex_bridge.pages.model import STATE_WORDS, Bar, Series, StepView

_BOX, _GAP = (208, 46), (44, 16)
_CHARACTERS = 26
_CHART = (520, 120)
_MARGIN = 8


def draw_cascade(steps: Sequence[StepView]) -> str:
    """Return the cascade of a dataset; a click on a box leads to its step."""
    places = place_nodes({step.anchor: step.needs for step in steps})
    columns = max((column for column, _ in places.values()), default=0) + 1
    rows = max((row for _, row in places.values()), default=0) + 1
    width = columns * (_BOX[0] + _GAP[0]) - _GAP[0] + 2 * _MARGIN
    height = rows * (_BOX[1] + _GAP[1]) - _GAP[1] + 2 * _MARGIN
    corners = {
        anchor: (_MARGIN + column * (_BOX[0] + _GAP[0]), _MARGIN + row * (_BOX[1] + _GAP[1]))
        for anchor, (column, row) in places.items()
    }
    pairs = ((need, step.anchor) for step in steps for need in step.needs if need in corners)
    edges = "".join(_edge(corners[maker], corners[user]) for maker, user in pairs)
    boxes = "".join(_box(step, corners[step.anchor]) for step in steps)
    return (
        f'<svg class="cascade" role="group" aria-label="cascade of {len(steps)} steps" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{edges}{boxes}</svg>'
    )


def _box(step: StepView, corner: tuple[int, int]) -> str:
    x, y = corner
    word = STATE_WORDS[step.state]
    label = f"{step.name}: {word}"
    return (
        f'<a href="#{step.anchor}" aria-label="{escape(label)}"><g class="{step.state}">'
        f'<rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 19}">{escape(_shorten(step.name))}</text>'
        f'<text class="small" x="{x + 10}" y="{y + 36}">{escape(word)}{_seconds(step)}</text></g></a>'
    )


def _seconds(step: StepView) -> str:
    return f", {step.seconds:.1f} s" if step.seconds else ""


def _shorten(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"


def _edge(maker: tuple[int, int], user: tuple[int, int]) -> str:
    x1, y1 = maker[0] + _BOX[0], maker[1] + _BOX[1] // 2
    x2, y2 = user[0], user[1] + _BOX[1] // 2
    middle = (x1 + x2) / 2
    return f'<path class="edge" d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"/>'


def draw_time_line(bars: Sequence[Bar]) -> str:
    """Return the steps of a run as bars over time, one row for each that ran beside others."""
    if not bars:
        return ""
    lanes = tuple(_lanes(bars))
    whole = max(bar.start + bar.seconds for bar in bars) or 1.0
    width, row = 900, 22
    height = (max(lane for _, lane in lanes) + 1) * row + 24
    drawn = "".join(
        f'<a href="#{bar.anchor}"><rect class="bar" x="{bar.start / whole * width:.1f}" y="{lane * row + 2}" '
        f'width="{max(bar.seconds / whole * width, 1.5):.1f}" height="{row - 5}"><title>{escape(bar.label)}: '
        f"{bar.seconds:.2f} s</title></rect></a>"
        for bar, lane in lanes
    )
    ticks = "".join(
        f'<text class="small" x="{part * width:.0f}" y="{height - 6}" text-anchor="{place}">{part * whole:.1f} s</text>'
        for part, place in ((0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end"))
    )
    return (
        f'<svg role="img" aria-label="time line of {len(bars)} steps, {whole:.1f} s in all" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">{drawn}{ticks}</svg>'
    )


def _lanes(bars: Sequence[Bar]) -> Iterator[tuple[Bar, int]]:
    free: list[float] = []
    for bar in sorted(bars, key=lambda each: each.start):
        lane = next((number for number, until in enumerate(free) if until <= bar.start), len(free))
        if lane == len(free):
            free.append(0.0)
        free[lane] = bar.start + bar.seconds
        yield bar, lane


def draw_series(series: Series) -> str:
    """Return the values of a series over the time of the observations."""
    times, values = [point[0] for point in series.points], [point[1] for point in series.points]
    low, high = min(values), max(values)
    first, last = min(times), max(times)
    width, height = _CHART

    def at(time: float, value: float) -> tuple[float, float]:
        x = 12 + (time - first) / (last - first) * (width - 24) if last > first else width / 2
        y = height - 12 - (value - low) / (high - low) * (height - 24) if high > low else height / 2
        return x, y

    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(name)}: {value:.6g}</title></circle>'
        for (time, value, name) in series.points
        for x, y in (at(time, value),)
    )
    label = f"{series.keyword} of {series.recipe}: {len(values)} values from {low:.4g} to {high:.4g}"
    return (
        f'<svg class="series" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}"><rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}"/>{dots}</svg>'
    )
