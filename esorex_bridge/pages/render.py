"""The report as one page: nothing is loaded from anywhere, every text is escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from esorex_bridge.pages.draw import draw_series, draw_time_line
from esorex_bridge.pages.model import STATE_WORDS, ReportView

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"
"""What a browser may load for the page; `explore` adds that it may ask its own server."""


def render_report(view: ReportView, policy: str = POLICY, live: str = "") -> str:
    """Return the page of a report.

    Parameters
    ----------
    view : ReportView
        What it shows.
    policy : str
        Content security policy, for its head.
    live : str
        Version of a page that asks its server whether there is a newer one; empty for a page that does not.
    """
    template = _environment().get_template("report.html.j2")
    page: str = template.render(
        view=view,
        policy=policy,
        live=live,
        words=STATE_WORDS,
        time_line=draw_time_line(view.bars),
        charts=[(series, draw_series(series)) for series in view.series],
    )
    return page


@cache
def read_style() -> str:
    """Return the style sheet that all pages share."""
    return (files("esorex_bridge.pages") / "templates" / "look.css").read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("esorex_bridge.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["megabytes"] = lambda size: f"{size / 1e6:.1f} MB"
    return environment
