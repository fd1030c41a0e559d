"""The TAP query that would find what a dataset misses, made from the rules that would classify and select it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esorex_bridge.definitions.oca.classify import CATEGORY_KEYWORDS
from esorex_bridge.definitions.oca.evaluate import NOTHING, evaluate
from esorex_bridge.definitions.oca.expressions import (
    All,
    Any,
    Compared,
    Constant,
    Expression,
    Keyword,
    Like,
    keywords_in,
)
from esorex_bridge.definitions.oca.rules import Rules, Selection
from esorex_bridge.fits.card import Value
from esorex_bridge.organise.frames import Frame
from esorex_bridge.organise.grouping import FrameGroup

COLUMNS = {
    "DPR.CATG": "dp_cat",
    "DPR.TYPE": "dp_type",
    "DPR.TECH": "dp_tech",
    "TPL.ID": "tpl_id",
    "INS.MODE": "ins_mode",
    "DET.DIT": "det_dit",
    "DET.NDIT": "det_ndit",
    "DET.CHIP1.ID": "det_chip1id",
}
"""Columns of the archive's table `dbo.raw` that hold a keyword of the header."""

PATHS = (
    (re.compile(r"^INS\d?\.(FILT|OPTI)\w*\.(NAME|ID)$"), "filter_path"),
    (re.compile(r"^INS\d?\.GRAT\w*\.(NAME|ID)$"), "grat_path"),
    (re.compile(r"^INS\d?\.GRIS\w*\.(NAME|ID)$"), "gris_path"),
    (re.compile(r"^INS\d?\.SLIT\w*\.(NAME|ID)$"), "slit_path"),
)
"""Columns that hold the names of all filters, gratings, grisms or slits in the light's way, in one text."""

NOTHING_THERE = frozenset({"", "EMPTY", "OPEN", "FREE", "CLEAR", "NONE", "OUT"})
"""What a wheel says where nothing is in the light's way; such a name is in no path."""

SETTING_COLUMNS = ("filter_path", "grat_path", "gris_path", "slit_path", "det_dit", "det_ndit", "ins_mode")
"""What is asked for of every row, so that one of another setting can be told."""


def query_for(
    category: str, rules: Rules, group: FrameGroup, days: float = 7.0, limit: int = 500, trigger: Frame | None = None
) -> str | None:
    """Return the ADQL query for raw files that would be classified as a category and suit a group.

    Parameters
    ----------
    category : str
        Of raw files, or of a product: then the query is for the raw files that it is made from.
    rules : Rules
        They tell what is classified so, and what must agree.
    group : FrameGroup
        What it is for.
    days : float
        Longest time from the group.
    limit : int
        Most rows.
    trigger : Frame, optional
        Of the group: whose setting must agree; the first by default.

    Returns
    -------
    str or None
        None where the rules know no raw file for the category: it is a static, or comes from elsewhere.
    """
    raws = list(raw_categories(category, rules))
    tests = [test for raw in raws if (test := _find_class(raw, rules)) is not None]
    if not tests:
        return None
    first = trigger or group.trigger
    conditions = [f"instrument = {_quote(_archive_name(first))}", _join(tests, "OR")]
    conditions += _agreeing(category, raws, group, first)
    if first.time < float("inf"):
        time = first.time
        conditions.append(f"mjd_obs BETWEEN {time - days:.5f} AND {time + days:.5f}")
    where = " AND ".join(conditions)
    columns = ", ".join(("dp_id", "mjd_obs", "tpl_start", "dp_type", *SETTING_COLUMNS))
    return f"SELECT TOP {limit} {columns} FROM dbo.raw WHERE {where} ORDER BY mjd_obs"


def wanted_paths(category: str, rules: Rules, group: FrameGroup, trigger: Frame) -> tuple[tuple[str, str], ...]:
    """Return (column, name) for each filter, grating, grism or slit that must agree with the group."""
    raws = list(raw_categories(category, rules))
    selections = [selection for selection in group.action.selections if selection.category in (category, *raws)]
    found: dict[tuple[str, str], None] = {}
    for selection in selections:
        for name in dict.fromkeys(keyword.name for keyword in keywords_in(selection.condition) if keyword.of_input):
            value = str(trigger.keywords.get(name) or "").strip()
            column = next((column for pattern, column in PATHS if pattern.search(name)), None)
            if column is not None and value.upper() not in NOTHING_THERE:
                found[column, value] = None
    return tuple(found)


def is_in_path(path: object, name: str) -> bool:
    """Tell whether a path names something; one that says nothing does not speak against it."""
    text = str(path or "").strip()
    return not text or name.upper() in (word.upper() for word in re.split(r"[,;/|\s]+", text)) or text == name


def _archive_name(frame: Frame) -> str:
    """Return what the archive's column `instrument` holds: INSTRUME (`NAOS+CONICA`), not the prefix of dp_ids."""
    name = frame.instrument or frame.name.split(".")[0]
    return "XSHOOTER" if name == "SHOOT" else name


def raw_categories(category: str, rules: Rules) -> tuple[str, ...]:
    """Return the categories of raw files that are, or become, a category; itself where nothing makes it."""
    return tuple(dict.fromkeys(_raw_categories(category, rules)))


def _raw_categories(category: str, rules: Rules) -> Iterator[str]:
    """Yield the categories of raw files that are, or become, a category."""
    makers = {
        action.name
        for action in rules.actions
        if any(category in (product.name, *_constants(product.assignments, "PRO.CATG")) for product in action.products)
    }
    if not makers:
        yield category
    for execution in rules.executions:
        if execution.action in makers:
            yield from _tested_categories(execution.condition)


def _constants(assignments: tuple[object, ...], name: str) -> Iterator[str]:
    for assigned in assignments:
        value = getattr(assigned, "value", None)
        if getattr(assigned, "name", "") == name and isinstance(value, Constant):
            yield str(value.value)


def _tested_categories(condition: Expression) -> Iterator[str]:
    match condition:
        case All(parts) | Any(parts):
            for part in parts:
                yield from _tested_categories(part)
        case Compared(Keyword(name), "==", Constant(value)) if name.removeprefix("LF.") in CATEGORY_KEYWORDS:
            yield str(value)


def _find_class(category: str, rules: Rules) -> str | None:
    tests = [
        text
        for rule in rules.classifications
        if any(category in _constants(rule.assignments, name) for name in CATEGORY_KEYWORDS)
        and (text := _adql(rule.condition)) is not None
    ]
    return _join(tests, "OR") if tests else None


def _join(parts: list[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else "(" + f" {word} ".join(parts) + ")"


def _adql(condition: Expression) -> str | None:
    """Return a condition as ADQL; None where the archive's table has no column for it."""
    match condition:
        case All(parts):
            known = [text for part in parts if (text := _adql(part)) is not None]
            return _join(known, "AND") if known else None
        case Any(parts):
            texts = [_adql(part) for part in parts]
            return None if None in texts else _join([text for text in texts if text is not None], "OR")
        case Like(Keyword(name, False), pattern) if name in COLUMNS:
            return f"{COLUMNS[name]} LIKE {_quote(pattern)}"
        case Compared(Keyword(name, False), ("==" | "!=" | "<" | ">" | "<=" | ">=") as sign, Constant(value)) if (
            name in COLUMNS
        ):
            return f"{COLUMNS[name]} {_SIGNS.get(sign, sign)} {_literal(value)}"
    return None


_SIGNS = {"==": "=", "!=": "<>"}


def _agreeing(category: str, raws: list[str], group: FrameGroup, trigger: Frame) -> list[str]:
    """Return what must agree with the group, as far as the table has columns for it."""
    selections = [selection for selection in group.action.selections if selection.category in (category, *raws)]
    return list(dict.fromkeys(text for selection in selections for text in _agreements(selection, trigger)))


def _agreements(selection: Selection, trigger: Frame) -> Iterator[str]:
    parts = selection.condition.parts if isinstance(selection.condition, All) else (selection.condition,)
    for part in parts:
        match part:
            case Compared(left, "==" | "?=", right):
                names = {keyword.name for keyword in keywords_in(part)}
                inputs = [side for side in (left, right) if isinstance(side, Keyword) and side.of_input]
                if len(names) != 1 or len(inputs) != 1 or (name := next(iter(names))) not in COLUMNS:
                    continue
                value = evaluate(inputs[0], NOTHING, trigger.keywords)
                if value is not None:
                    yield f"{COLUMNS[name]} = {_literal(value)}"


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else _quote(str(value))


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
