"""The page of a review: by purpose, with a look at the raws; what a choice changes is shown before it is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.datasets.choices import Choices
from esorex_bridge.errors import BridgeError
from esorex_bridge.organise.review import Effect
from esorex_bridge.pages.forms import FORM_POLICY, render_form, render_notice, render_page
from esorex_bridge.pages.preview import preview, typical_count
from esorex_bridge.pages.server import NOT_HERE, Asked, PageReply, ServedPage, serve

if TYPE_CHECKING:
    from esorex_bridge.organise.review import Alternative, Review

_SMALL = 96
"""Pixels of a look at a raw."""
_MOST_DRAWN = 240
_MOST_SHOWN = 24
"""How many files of a group are shown; of the others the number is told."""

_HEADS = ("use", "file", "category", "files", "level", "days", "match", "certified")


class ReviewDesk:
    """Where the page and the review meet: choices are tried, kept and taken back.

    Parameters
    ----------
    review : Review
        The dataset.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        self._tried = review.choices
        self._before: list[Choices] = []
        self._looks: dict[Path, str] = {}
        self._lock = threading.Lock()
        self.done = threading.Event()

    def reply(self, asked: Asked) -> PageReply:
        """Return the page; after what was filled in, the page that follows."""
        if asked.name:
            return NOT_HERE
        with self._lock:
            if asked.form is None:
                return PageReply(self._page())
            if asked.form.get("do") == "done":
                return PageReply(self._say_goodbye(), then=self.done.set)
            try:
                self._act(asked.form)
            except BridgeError as error:
                self._tried = self._review.choices
                return PageReply(self._page(str(error)))
            return PageReply(self._page())

    def _act(self, form: Mapping[str, str]) -> None:
        """Do what a button says."""
        review = self._review
        steps: dict[str, Callable[[], Choices]] = {
            "try": lambda: self._read(form),
            "keep": lambda: self._keep(self._tried),
            "discard": lambda: review.choices,
            "undo": self._undo,
            "reset": lambda: self._keep(Choices()),
        }
        tried = steps.get(form.get("do", ""), lambda: self._tried)()
        # What cannot be planned is refused here, and not tried.
        review.effect_of(tried)
        self._tried = tried

    def _keep(self, choices: Choices) -> Choices:
        if choices != self._review.choices:
            self._before.append(self._review.choices)
            self._set(choices)
        return choices

    def _undo(self) -> Choices:
        if self._before:
            self._set(self._before.pop())
        return self._review.choices

    def _set(self, choices: Choices) -> None:
        self._review.keep(choices)
        self._review.choices = choices

    def _read(self, form: Mapping[str, str]) -> Choices:
        """Return the choices that a form means: files picked that were not used, files left out or used again."""
        choices = self._tried
        rows = self._review.alternatives(choices)
        used = {(row.key, row.file) for row in rows if row.used}
        offered = {(row.key, row.file) for row in rows}
        for key, _ in dict.fromkeys(offered):
            picked = form.get(f"use.{key}", "")
            if (key, picked) in offered - used:
                choices = choices.with_use(key, picked)
        for name in choices.drop:
            if f"undrop.{name}" in form:
                choices = choices.without_drop(name)
        for name in dict.fromkeys((*self._review.main_files(), *(name for row in rows for name in row.members))):
            if f"drop.{name}" in form:
                choices = choices.with_drop(name)
        return choices

    # ----- the page

    def _page(self, problem: str = "") -> str:
        review, tried = self._review, self._tried
        rows = review.alternatives(tried)
        self._draw(rows)
        changes = _render_effect(review.effect_of(tried)) if tried != review.choices else ""
        said = "".join(f"<li>{escape(text)}</li>" for text in review.messages(tried))
        purposes = {row.purpose: [each for each in rows if each.purpose == row.purpose] for row in rows}
        parts = "".join(self._render_purpose(*pair) for pair in purposes.items())
        buttons = self._render_buttons()
        above = f"{changes}{f'<ul>{said}</ul>' if said else ''}{buttons}"
        inside = f"{above}{self._render_left_out()}{self._render_main_files()}{parts}{buttons}"
        return render_page(f"Review of {review.name}", render_form(inside, problem))

    def _render_buttons(self) -> str:
        buttons = {"try": "Show what this changes"}
        buttons |= {"undo": "Undo"} if self._before else {}
        buttons |= {"reset": "Take all choices back"} if self._review.choices else {}
        return f"<p>{''.join(_render_button(*pair) for pair in (*buttons.items(), ('done', 'Done')))}</p>"

    def _say_goodbye(self) -> str:
        kept = "Your choices are kept; every later run applies them." if self._review.choices else "Nothing is chosen."
        return render_page(f"Review of {self._review.name}", f"<p>{kept} This window can be closed.</p>")

    def _draw(self, rows: Iterable[Alternative]) -> None:
        """Look at raws, those that are used first, as many as a page has room for."""
        used_first = sorted(rows, key=lambda row: not row.used)
        for name in (*self._review.main_files(), *(name for row in used_first for name in row.members[:_MOST_SHOWN])):
            path = self._review.path_of(name)
            if path is not None and path not in self._looks and len(self._looks) < _MOST_DRAWN:
                self._looks[path] = _look_at(path)

    def _render_left_out(self) -> str:
        boxes = "".join(
            f'<p><label><input type="checkbox" name="{escape(f"undrop.{name}")}"> use {escape(name)} again</label></p>'
            for name in self._tried.drop
        )
        return f"<h2>left out</h2>{boxes}" if boxes else ""

    def _render_main_files(self) -> str:
        return f"<h2>what is reduced</h2>{self._render_files(self._review.main_files(), 'reduced', shown=False)}"

    def _render_purpose(self, purpose: str, rows: list[Alternative]) -> str:
        heading = "".join(f"<th>{head}</th>" for head in _HEADS)
        checked: set[str] = set()
        lines = ""
        for row in rows:
            lines += self._render_row(row, row.used and row.key not in checked)
            checked.update({row.key} if row.used else ())
        table = f'<div class="scroll"><table><tr>{heading}</tr>{lines}</table></div>'
        return f"<h2>for {escape(purpose)}</h2>{table}"

    def _render_row(self, row: Alternative, checked: bool) -> str:
        what = row.input or row.category
        level = "" if row.level is None else str(row.level)
        days = "" if row.days is None else f"{row.days:+.2f}"
        cells = (row.file, f"{what}: {row.category}" if row.input else what, str(row.files), level, days, row.match)
        label = escape(f"use {row.file} as {what} for {row.purpose}")
        radio = (
            f'<input aria-label="{label}" type="radio" name="{escape(f"use.{row.key}")}" value="{escape(row.file)}"'
            f"{' checked' if checked else ''}>"
        )
        shown = "".join(f"<td>{escape(cell)}</td>" for cell in (*cells, row.certified))
        style = ' class="used"' if row.used else ""
        looks = self._render_files(row.members, f"of {row.file}", row.used)
        return f'<tr{style}><td>{radio}</td>{shown}</tr><tr><td></td><td colspan="7">{looks}</td></tr>'

    def _render_files(self, names: Sequence[str], what: str, shown: bool) -> str:
        """Return files, each with a look at it: open where they are to be seen at once."""
        files = "".join(map(self._render_file, names[:_MOST_SHOWN]))
        rest = f"<p>and {len(names) - _MOST_SHOWN} more</p>" if len(names) > _MOST_SHOWN else ""
        count = f"{len(names)} file{'s' * (len(names) != 1)} {escape(what)}"
        opened = " open" if shown else ""
        return f'<details{opened}><summary>{count}</summary><div class="looks">{files}{rest}</div></details>'

    def _render_file(self, name: str) -> str:
        path = self._review.path_of(name)
        look = self._looks.get(path, "") if path is not None else "<p>not on this machine</p>"
        if name in self._tried.drop:
            return f"<div>{look}<p>{escape(name)}: left out</p></div>"
        box = f'<input type="checkbox" name="{escape(f"drop.{name}")}">'
        return f"<div>{look}<label>{box} leave out {escape(name)}</label></div>"


def _look_at(path: Path) -> str:
    """Return a look at a raw, with what a pixel typically counts."""
    drawn, count = preview(path, _SMALL), typical_count(path, _SMALL)
    return drawn if count is None else f'{drawn}<p class="soft">median {count:,.0f}</p>'


def _render_button(do: str, text: str) -> str:
    return f'<button name="do" value="{do}">{text}</button>'


def _render_effect(effect: Effect) -> str:
    """Return what choices that are not kept change, with what can be done."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in effect.lines) or "<li>nothing in the plan</li>"
    problem = render_notice(f"The plan would not do with this: {effect.problem}" if effect.problem else "")
    keep = _render_button("keep", "Keep it all the same" if effect.problem else "Keep")
    return f"<h2>What this changes</h2><ul>{lines}</ul>{problem}<p>{keep}{_render_button('discard', 'Discard')}</p>"


def serve_review(review: Review, port: int = 0) -> tuple[ServedPage, ReviewDesk]:
    """Serve the page of a review; its desk tells when the user is done."""
    desk = ReviewDesk(review)
    return serve(desk.reply, FORM_POLICY, port), desk
