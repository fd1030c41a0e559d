"""Pages that ask: the frame that they share, in the look of the report."""

from __future__ import annotations

from html import escape

from esorex_bridge.pages.render import read_style

FORM_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'"
"""What a browser may load for such a page: nothing, from nowhere."""

_STYLE = """
.used { background: var(--panel); font-weight: 600 }
.said { border: 1px solid var(--missing); color: var(--missing); padding: .6em; border-radius: .3em }
.stop { border-top: 1px solid var(--line); margin-top: 2em; padding-top: 1em }
.looks { display: flex; flex-wrap: wrap; gap: .8em; font-weight: 400 }
.looks label { display: block; font-size: .85em }
button { font-size: 1em; padding: .5em 1.2em; margin-right: 1em }
input[type=text], input[type=number] { width: 14em }
"""


def render_page(title: str, inside: str) -> str:
    """Return a page with a title; `inside` is HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{read_style()}{_STYLE}</style>'
        f"</head><body><h1>{escape(title)}</h1>{inside}</body></html>"
    )


def render_form(inside: str, problem: str = "") -> str:
    """Return a form, and above it what is wrong with what was filled in; `inside` is HTML."""
    return f'{render_notice(problem)}<form method="post" autocomplete="off">{inside}</form>'


def render_notice(text: str) -> str:
    """Return a text that must be seen; nothing where it is empty."""
    return f'<p class="said">{escape(text)}</p>' if text else ""
