"""Why a step runs again: the difference between two statements, change by change, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Literal

from msgspec import Struct

from esorex_bridge.reuse.key import InputStatement, Statement

ChangeCode = Literal[
    "first_run",
    "chosen_by_review",
    "pipeline",
    "pipeline_rebuilt",
    "library",
    "library_unknown",
    "parameter",
    "input_changed",
    "input_replaced",
    "input_added",
    "input_removed",
    "order_of_inputs",
    "forced",
    "reflex",
    "product_gone",
]
"""What makes a step run.

`library_unknown`: the earlier run does not say which libraries it ran with, and one is later. `input_changed`: files of
the same names have another content. `forced`, `reflex`: the user asked for it, or Reflex's own rule finds nothing.
"""

ABSENT = "absent"


class Stated(Struct, frozen=True):
    """A thing that a step depends on: the name of an input, and its content, or the value of a parameter."""

    name: str
    value: str


class Change(Struct, frozen=True):
    """One difference between what a step depends on and what an earlier run of it depended on.

    Parameters
    ----------
    code : str
        What kind of difference.
    name : str
        The parameter, the library, the category of the inputs; empty where there is none.
    before, after : tuple of Stated
        What it was, and what it is; empty where there was or is none.
    by_review : bool
        Whether the user chose it in a review.
    text : str
        The same in words.
    """

    code: ChangeCode
    name: str = ""
    before: tuple[Stated, ...] = ()
    after: tuple[Stated, ...] = ()
    by_review: bool = False
    text: str = ""


def difference(now: Statement, earlier: Statement | None, chosen: Collection[str] = ()) -> str:
    """Say how a step differs from an earlier one of the same recipe: `parameter r 4 → 8; 2 CAL_DARK more`.

    Parameters
    ----------
    now, earlier : Statement
        What both depend on; None where there is no earlier one.
    chosen : collection of str
        Names of files that the user chose in `review` to be inputs, or not to be.
    """
    return "; ".join(change.text for change in changes(now, earlier, chosen) if change.text)


def changes(now: Statement, earlier: Statement | None, chosen: Collection[str] = ()) -> tuple[Change, ...]:
    """Return in what a step differs from an earlier one of the same recipe; parameters as `difference`."""
    if earlier is None:
        return tuple(_without_earlier(now, chosen))
    found = (*_versions(now, earlier), *_parameters(now, earlier), *_inputs(now, earlier, chosen))
    if not found and now.libraries != earlier.libraries:
        said = "a library of the recipe is later than the earlier run, which does not say what it ran with"
        return (Change("library_unknown", text=said),)
    return found or (Change("order_of_inputs", text="the order of the inputs differs"),)


def _without_earlier(now: Statement, chosen: Collection[str]) -> Iterator[Change]:
    if mine := [entry for entry in now.inputs if entry.label in chosen]:
        said = f"chosen by review: {_names(mine)}"
        yield Change("chosen_by_review", after=_state(mine), by_review=True, text=said)
    yield Change("first_run", text="no earlier run of this recipe on these data")


def _versions(now: Statement, earlier: Statement) -> Iterator[Change]:
    if now.pipeline != earlier.pipeline:
        said = f"pipeline {earlier.pipeline} → {now.pipeline}"
        yield _value("pipeline", "", earlier.pipeline, now.pipeline, said)
    elif now.plugin != earlier.plugin:
        said = f"pipeline {now.pipeline} was rebuilt"
        yield _value("pipeline_rebuilt", now.pipeline, earlier.plugin, now.plugin, said)
    elif earlier.libraries and now.libraries != earlier.libraries:
        before, after = dict(earlier.libraries), dict(now.libraries)
        other = sorted({name for name, _ in set(now.libraries) ^ set(earlier.libraries)})
        for number, name in enumerate(other):
            said = f"{', '.join(other)}: another library" if number == 0 else ""
            yield _value("library", name, before.get(name, ABSENT), after.get(name, ABSENT), said)


def _parameters(now: Statement, earlier: Statement) -> Iterator[Change]:
    before = dict(earlier.parameters)
    after = dict(now.parameters)
    for name in sorted(before.keys() | after.keys()):
        was, is_now = before.get(name, ABSENT), after.get(name, ABSENT)
        if was != is_now:
            said = f"parameter {name.rsplit('.', 1)[-1]} {was} → {is_now}"
            yield _value("parameter", name, was, is_now, said)


def _value(code: ChangeCode, name: str, before: str, after: str, text: str) -> Change:
    return Change(code, name, (Stated(name, before),), (Stated(name, after),), text=text)


def _inputs(now: Statement, earlier: Statement, chosen: Collection[str]) -> Iterator[Change]:
    categories = dict.fromkeys(entry.category for entry in (*now.inputs, *earlier.inputs))
    for category in categories:
        after = [entry for entry in now.inputs if entry.category == category]
        before = [entry for entry in earlier.inputs if entry.category == category]
        gained, lost = _only_in(after, before), _only_in(before, after)
        by_review = any(entry.label in chosen for entry in (*gained, *lost))
        yield from _of_category(category, gained, lost, by_review)


def _of_category(
    category: str, gained: list[InputStatement], lost: list[InputStatement], by_review: bool
) -> Iterator[Change]:
    def change(code: ChangeCode, text: str) -> Change:
        before = () if code == "input_added" else _state(lost)
        return Change(code, category, before, () if code == "input_removed" else _state(gained), by_review, text)

    who = " by review" if by_review else ""
    if gained and lost and Counter(e.source for e in gained) == Counter(e.source for e in lost):
        yield change("input_changed", f"{category} changed: {_names(gained)}")
    elif gained and lost and by_review:
        yield change("input_replaced", f"{category} replaced by review: {_names(gained)} for {_names(lost)}")
    else:
        if gained:
            yield change("input_added", f"{len(gained)} {category} more{who}: {_names(gained)}")
        if lost:
            yield change("input_removed", f"{len(lost)} {category} fewer{who}: {_names(lost)}")


def _state(entries: list[InputStatement]) -> tuple[Stated, ...]:
    return tuple(Stated(entry.label, entry.content) for entry in entries)


def _only_in(these: list[InputStatement], others: list[InputStatement]) -> list[InputStatement]:
    elsewhere = {entry.content for entry in others}
    return [entry for entry in these if entry.content not in elsewhere]


def _names(entries: list[InputStatement]) -> str:
    shown = ", ".join(entry.label for entry in entries[:3])
    return shown if len(entries) <= 3 else f"{shown} and {len(entries) - 3} others"
