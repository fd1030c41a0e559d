"""Query: what a user wants to find among raw frames, and the ADQL that asks for it.

Facts about `dbo.raw`: ESO's programmatic documentation. Names of objects are stored in upper case; `instrument` is the
FITS keyword INSTRUME, which is often neither the common name nor the prefix of the dp_ids.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from msgspec import Struct

from esorex_bridge.definitions.spelling import instrument_name
from esorex_bridge.errors import UserError
from esorex_bridge.files import DpId

COLUMNS = (
    "dp_id",
    "instrument",
    "object",
    "dp_cat",
    "dp_type",
    "dp_tech",
    "exp_start",
    "exposure",
    "prog_id",
    "ob_id",
    "tpl_start",
    "release_date",
    "access_estsize",
)
"""The columns asked for by default."""

PRODUCT_COLUMNS = (
    "product_id",
    "archive_id",
    "eso_category",
    "extension",
    "original_filename",
    "access_url",
    "size_kb",
)
"""The columns of `phase3v2.product_files` that are asked for."""

SCIENCE_PRODUCT_COLUMNS = (
    "dp_id",
    "obs_collection",
    "instrument_name",
    "dataproduct_type",
    "target_name",
    "s_ra",
    "s_dec",
    "t_min",
    "calib_level",
    "proposal_id",
    "access_estsize",
)
"""The columns of `ivoa.ObsCore` that are asked for."""

_MJD_BEGINS = datetime(1858, 11, 17)
_NIGHT_BEGINS = timedelta(hours=12)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Constraints(Struct, frozen=True):
    """What the wanted frames have in common; None or empty means "any".

    Parameters
    ----------
    program : str or None
        Run, such as `098.C-0739(C)`, or programme with all its runs (`098.C-0739`, `110.23XY`); a `%` stands for any
        text.
    target : str or None
        Name of the object, compared with `target` and `object` in upper case where no name service knows it.
    ra, dec, radius : float or None
        A cone on the sky, degrees (ICRS); all three or none.
    instrument : str or None
        Common name in any of ESO's spellings, prefix of the dp_ids, or INSTRUME.
    night : str or None
        `YYYY-MM-DD`, the date at dusk: from noon UT of that day to noon UT of the next.
    begin, end : str or None
        Dates or times (UT) between which the exposure began; a date as `end` includes that day.
    dp_ids : tuple of str
        Archive names.
    type, tech : str or None
        `dp_type`, `dp_tech`; a `%` stands for any text.
    category : str or None
        `dp_cat`. Science only by default: calSelector behaves erratically when acquisition frames are mixed in.
    where : str or None
        More ADQL, joined by AND.
    columns : tuple of str
        Columns of `dbo.raw`, or `*`.
    limit : int or None
        Greatest number of rows; None for all.
    """

    program: str | None = None
    target: str | None = None
    ra: float | None = None
    dec: float | None = None
    radius: float | None = None
    instrument: str | None = None
    night: str | None = None
    begin: str | None = None
    end: str | None = None
    dp_ids: tuple[DpId, ...] = ()
    type: str | None = None
    tech: str | None = None
    category: str | None = "SCIENCE"
    where: str | None = None
    columns: tuple[str, ...] = COLUMNS
    limit: int | None = None


def adql(constraints: Constraints) -> str:
    """Return the ADQL text for constraints.

    Raises
    ------
    UserError
        If a constraint is malformed, or there is none at all (the whole archive is not a query).
    """
    conditions = [*_names(constraints), *_times(constraints), *_cone(constraints)]
    if constraints.where:
        conditions.append(f"({constraints.where})")
    if not conditions and constraints.limit is None:
        raise UserError("this asks for all frames of the archive; name a programme, target, night or dp_id, or a --max")
    if constraints.category:
        conditions.append(_like("dp_cat", constraints.category.upper()))
    top = f"TOP {_positive(constraints.limit)} " if constraints.limit is not None else ""
    text = f"SELECT {top}{', '.join(map(_column, constraints.columns))}\nFROM dbo.raw"
    if conditions:
        text += "\nWHERE " + "\n  AND ".join(conditions)
    # ADQL 2.0 orders by selected columns only.
    order = next((name for name in ("exp_start", "dp_id") if {name, "*"} & set(constraints.columns)), None)
    return text + (f"\nORDER BY {order}" if order else "")


def products_adql(constraints: Constraints) -> str:
    """Return the ADQL that lists processed products (Phase 3) that meet constraints, from `ivoa.ObsCore`.

    Raises
    ------
    UserError
        If a constraint is malformed or means nothing for products, or there is none.
    """
    if constraints.type or constraints.tech:
        raise UserError("--type and --tech are of raw frames; products have --where \"dataproduct_type = 'image'\"")
    conditions = _place(constraints)
    if constraints.program:
        conditions.append(_program(constraints.program.strip().upper(), "proposal_id"))
    if constraints.instrument:
        names = dict.fromkeys((constraints.instrument.upper(), instrument_name(constraints.instrument)))
        conditions.append(f"instrument_name IN ({', '.join(map(quote_text, names))})")
    if constraints.dp_ids:
        conditions.append(f"dp_id IN ({', '.join(map(quote_text, constraints.dp_ids))})")
    conditions += [f"t_min {comparison} {_mjd(moment):.6f}" for comparison, moment in _interval(constraints)]
    if constraints.where:
        conditions.append(f"({constraints.where})")
    if not conditions and constraints.limit is None:
        raise UserError("this asks for all products of the archive; name a target, position or programme, or a --max")
    columns = SCIENCE_PRODUCT_COLUMNS if constraints.columns == COLUMNS else constraints.columns
    top = f"TOP {_positive(constraints.limit)} " if constraints.limit is not None else ""
    text = f"SELECT {top}{', '.join(map(_column, columns))}\nFROM ivoa.ObsCore"
    if conditions:
        text += "\nWHERE " + "\n  AND ".join(conditions)
    return text + ("\nORDER BY t_min" if {"t_min", "*"} & set(columns) else "")


def product_files_adql(
    product: str | None,
    collection: str | None,
    category: str | None,
    limit: int | None,
    place: Constraints | None = None,
) -> str:
    """Return the ADQL that lists the files of processed products, science and ancillary.

    Source of the tables and of the join: ESO's documentation of ancillary files.

    Parameters
    ----------
    product, collection, category : str or None
        As `ArchiveClient.product_files`.
    limit : int or None
        Greatest number of rows.
    place : Constraints, optional
        Its target or position counts.

    Raises
    ------
    UserError
        If neither a product, a collection nor a place is named.
    """
    there = _place(place) if place is not None else []
    if not product and not collection and not there:
        raise UserError(
            "name a product (ADP.…), a --collection, a --target or a position; all products of the archive are too many"
        )
    top = f"TOP {_positive(limit)} " if limit is not None else ""
    columns = ", ".join(f"p.{name}" for name in PRODUCT_COLUMNS)
    text = f"SELECT {top}{columns}\nFROM phase3v2.product_files AS p"
    conditions = there
    if collection or there:
        text += "\n  JOIN ivoa.ObsCore AS o ON p.product_id = o.dp_id"
    if collection:
        conditions.append(f"o.obs_collection = {quote_text(collection)}")
    if product:
        conditions.append(f"p.product_id = {quote_text(product)}")
    if category:
        conditions.append(_like("p.eso_category", category.upper()))
    return text + "\nWHERE " + "\n  AND ".join(conditions)


def quote_text(value: str) -> str:
    """Return a text as an ADQL string literal.

    Raises
    ------
    UserError
        If it holds control characters, which no name in the archive has.
    """
    if any(ord(character) < 32 for character in value):
        raise UserError(f"{value!r} holds control characters; archive names have none")
    return "'" + value.replace("'", "''") + "'"


def _names(wanted: Constraints) -> list[str]:
    found = []
    if wanted.program:
        found.append(_program(wanted.program.strip().upper()))
    if wanted.target:
        spellings = ", ".join(quote_text(name) for name in _spellings(wanted.target))
        found.append(f"(target IN ({spellings}) OR object IN ({spellings}))")
    if wanted.instrument:
        found.append(f"instrument = {quote_text(instrument_name(wanted.instrument))}")
    if wanted.dp_ids:
        found.append(f"dp_id IN ({', '.join(map(quote_text, wanted.dp_ids))})")
    if wanted.type:
        found.append(_like("dp_type", wanted.type.upper()))
    if wanted.tech:
        found.append(_like("dp_tech", wanted.tech.upper()))
    return found


def _times(wanted: Constraints) -> list[str]:
    return [f"exp_start {comparison} '{_stamp(moment)}'" for comparison, moment in _interval(wanted)]


def _interval(wanted: Constraints) -> list[tuple[str, datetime]]:
    """Return what the beginning of an exposure is compared with, and how."""
    found = []
    if wanted.night:
        dusk = datetime.combine(_date(wanted.night), datetime.min.time()) + _NIGHT_BEGINS
        found += [(">=", dusk), ("<", dusk + timedelta(days=1))]
    if wanted.begin and wanted.end and _time(wanted.begin) > _time(wanted.end):
        raise UserError(f"--from {wanted.begin} is later than --to {wanted.end}; exchange them")
    if wanted.begin:
        found.append((">=", _time(wanted.begin)))
    if wanted.end:
        whole_day = len(wanted.end) == len("YYYY-MM-DD")
        last = _time(wanted.end) + timedelta(days=1 if whole_day else 0)
        found.append(("<" if whole_day else "<=", last))
    return found


def _mjd(moment: datetime) -> float:
    return (moment - _MJD_BEGINS) / timedelta(days=1)


def _place(wanted: Constraints) -> list[str]:
    """Return the conditions on products for a position, or for a name that no name service knows."""
    if wanted.target and wanted.ra is None and wanted.dec is None:
        names = dict.fromkeys((" ".join(wanted.target.split()), *_spellings(wanted.target)))
        return [f"target_name IN ({', '.join(map(quote_text, names))})"]
    return _cone(wanted)


def _cone(wanted: Constraints) -> list[str]:
    given = [value for value in (wanted.ra, wanted.dec, wanted.radius) if value is not None]
    if not given or (wanted.target and wanted.ra is None and wanted.dec is None):
        return []
    if len(given) < 3 or wanted.ra is None or wanted.dec is None or wanted.radius is None:
        raise UserError("a position on the sky needs --ra, --dec and --radius, all in degrees")
    if not (0 <= wanted.ra < 360 and -90 <= wanted.dec <= 90 and 0 < wanted.radius <= 90):
        raise UserError(f"no such cone: ra {wanted.ra}, dec {wanted.dec}, radius {wanted.radius} (degrees)")
    # As ESO's own clients ask: a chain of CONTAINS does not use the index.
    return [f"INTERSECTS(s_region, CIRCLE('ICRS', {wanted.ra!r}, {wanted.dec!r}, {wanted.radius!r})) = 1"]


def _program(name: str, column: str = "prog_id") -> str:
    """Return the condition for a run, or for all runs of a programme: `prog_id` is the run."""
    if "%" in name or "(" in name or re.fullmatch(r"[0-9]+\.[0-9A-Z]+\.[0-9]+", name):
        return _like(column, name)
    return f"({_like(column, name)} OR {_like(column, f'{name}(%')} OR {_like(column, f'{name}.%')})"


def _like(column: str, value: str) -> str:
    return f"{column} {'LIKE' if '%' in value else '='} {quote_text(value)}"


def _spellings(target: str) -> tuple[str, ...]:
    name = " ".join(target.upper().split())
    return tuple(dict.fromkeys((name, name.replace(" ", "_"), name.replace("_", " "), name.replace(" ", ""))))


def _column(name: str) -> str:
    if name != "*" and not _IDENTIFIER.fullmatch(name):
        raise UserError(f"'{name}' is no name of a column; see TAP_SCHEMA.columns for those of dbo.raw")
    return name


def _positive(limit: int) -> int:
    if limit < 1:
        raise UserError(f"--max {limit}: at least one row must be allowed")
    return limit


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"'{text}' is no night; write the date at dusk as YYYY-MM-DD") from error


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError as error:
        raise UserError(f"'{text}' is no date or time; write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss (UT)") from error
    return moment.replace(tzinfo=None)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
