"""Rows of the archive's tables: what TAP answers from.

Column names and types of `dbo.raw` are those of ESO's table as of 2025; the other tables have the columns that clients
use to find processed and ancillary data.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from esorex_bridge.demo.archive.holdings import Holdings
from esorex_bridge.demo.archive.links import datalink_url, file_url
from esorex_bridge.demo.archive.products import SIZE_KB, ServedProduct
from esorex_bridge.demo.nights.frames import PROGRAMME
from esorex_bridge.demo.nights.night import ArchiveFile

Datatype = Literal["char", "double", "int", "long"]
Value = str | int | float | None


class TapColumn(Struct, frozen=True):
    """A column of a table.

    Parameters
    ----------
    name : str
        Lower case.
    datatype : {'char', 'double', 'int', 'long'}
        As VOTable calls it.
    unit, xtype : str
        Empty where there is none.
    """

    name: str
    datatype: Datatype
    unit: str = ""
    xtype: str = ""


class Table(Struct, frozen=True):
    """A table with its rows.

    Parameters
    ----------
    name : str
        With its schema: `dbo.raw`.
    columns : tuple of TapColumn
        In order.
    rows : tuple of tuple
        Values in the order of the columns.
    """

    name: str
    columns: tuple[TapColumn, ...]
    rows: tuple[tuple[Value, ...], ...]


_TEXT = """access_url datalink_url date_obs det_chip1id det_expid dp_cat dp_id dp_tech dp_type filter_path grat_path
    gris_path ins_mode instrument ob_name object obs_mode origfile pi_coi prog_id prog_title slit_path target telescope
    tpl_id tpl_name tpl_start"""
_MOMENTS = "exp_start release_date last_mod_date"
_INTEGERS = "det_chop_ncycles det_ndit ob_id period prog_type tpl_expno tpl_nexp tpl_seqno"
_ANGLES = "dec dec_pnt ecl_lat ecl_lon gal_lat gal_lon ra ra_pnt tel_alt tel_az"
_SECONDS = "det_dit exposure"
_NUMBERS = """lambda_max lambda_min mjd_obs tel_airm_end tel_airm_start tel_ambi_fwhm_end tel_ambi_fwhm_start
    tel_ambi_pres_end tel_ambi_pres_start tel_ambi_rhum"""

RAW_COLUMNS = tuple(
    sorted(
        (
            TapColumn("access_estsize", "long", "kbyte"),
            TapColumn("s_region", "char", xtype="adql:REGION"),
            *(TapColumn(name, "char") for name in _TEXT.split()),
            *(TapColumn(name, "char", xtype="timestamp") for name in _MOMENTS.split()),
            *(TapColumn(name, "int") for name in _INTEGERS.split()),
            *(TapColumn(name, "double", "deg") for name in _ANGLES.split()),
            *(TapColumn(name, "double", "s") for name in _SECONDS.split()),
            *(TapColumn(name, "double") for name in _NUMBERS.split()),
        ),
        key=lambda column: column.name,
    )
)

PRODUCT_COLUMNS = (
    TapColumn("product_id", "char"),
    TapColumn("archive_id", "char"),
    TapColumn("eso_category", "char"),
    TapColumn("extension", "char"),
    TapColumn("original_filename", "char"),
    TapColumn("access_url", "char"),
    TapColumn("size_kb", "long", "kbyte"),
    TapColumn("internal_file_id", "long"),
)

OBSCORE_COLUMNS = (
    TapColumn("dp_id", "char"),
    TapColumn("obs_id", "char"),
    TapColumn("obs_collection", "char"),
    TapColumn("proposal_id", "char"),
    TapColumn("instrument_name", "char"),
    TapColumn("dataproduct_type", "char"),
    TapColumn("calib_level", "int"),
    TapColumn("target_name", "char"),
    TapColumn("s_ra", "double", "deg"),
    TapColumn("s_dec", "double", "deg"),
    TapColumn("s_region", "char", xtype="adql:REGION"),
    TapColumn("t_min", "double", "d"),
    TapColumn("t_max", "double", "d"),
    TapColumn("access_url", "char"),
    TapColumn("access_format", "char"),
    TapColumn("access_estsize", "long", "kbyte"),
)

_FROM_HEADER = {
    "dec": "DEC", "dec_pnt": "DEC", "ra": "RA", "ra_pnt": "RA", "date_obs": "DATE-OBS", "det_dit": "ESO DET DIT",
    "det_ndit": "ESO DET NDIT", "dp_cat": "ESO DPR CATG", "dp_tech": "ESO DPR TECH", "dp_type": "ESO DPR TYPE",
    "exposure": "EXPTIME", "ins_mode": "ESO INS MODE", "instrument": "INSTRUME", "mjd_obs": "MJD-OBS",
    "ob_id": "ESO OBS ID", "ob_name": "ESO OBS NAME", "object": "OBJECT", "origfile": "ORIGFILE",
    "pi_coi": "PI-COI", "prog_id": "ESO OBS PROG ID", "target": "ESO OBS TARG NAME", "telescope": "TELESCOP",
    "tel_airm_end": "ESO TEL AIRM END", "tel_airm_start": "ESO TEL AIRM START", "tel_alt": "ESO TEL ALT",
    "tel_az": "ESO TEL AZ", "tel_ambi_fwhm_end": "ESO TEL AMBI FWHM END",
    "tel_ambi_fwhm_start": "ESO TEL AMBI FWHM START", "tel_ambi_pres_end": "ESO TEL AMBI PRES END",
    "tel_ambi_pres_start": "ESO TEL AMBI PRES START", "tel_ambi_rhum": "ESO TEL AMBI RHUM",
    "tpl_expno": "ESO TPL EXPNO", "tpl_id": "ESO TPL ID", "tpl_name": "ESO TPL NAME", "tpl_nexp": "ESO TPL NEXP",
    "tpl_seqno": "ESO OBS TPLNO", "tpl_start": "ESO TPL START",
}  # fmt: skip
_FILTERS = ("ESO INS OPTI6 NAME", "ESO INS FILT1 NAME")
COLLECTION = "SYNTHETIC"
RELEASED, PROTECTED = "2017-03-02T00:00:00.000Z", "2099-01-01T00:00:00.000Z"


def archive_tables(holdings: Holdings, base: str) -> tuple[Table, ...]:
    """Return all tables; `base` is the address of the archive, for the columns that hold links."""
    files = [file for night in holdings.nights for file in night.raws]
    raws = tuple(_raw_row(holdings, file, base) for file in files)
    observed = tuple(_obscore_row(product, base) for product in holdings.products if product.is_science)
    products = tuple(_product_row(number, product, base) for number, product in enumerate(holdings.products))
    tables = (
        Table("dbo.raw", RAW_COLUMNS, raws),
        Table("ivoa.ObsCore", OBSCORE_COLUMNS, observed),
        Table("phase3v2.product_files", PRODUCT_COLUMNS, products),
    )
    return (*tables, *_schema_tables(tables))


def _raw_row(holdings: Holdings, file: ArchiveFile, base: str) -> tuple[Value, ...]:
    values: dict[str, Value] = {column: dict(file.keywords).get(key) for column, key in _FROM_HEADER.items()}
    values |= {
        "access_estsize": file.estimated_bytes // 1024,
        "access_url": file_url(base, file.dp_id),
        "datalink_url": datalink_url(base, file.dp_id),
        "dp_id": file.dp_id,
        "exp_start": f"{file.dp_id.split('.', 1)[1]}Z",
        "filter_path": next((str(file.keyword(name)) for name in _FILTERS if file.keyword(name)), None),
        "last_mod_date": f"{file.dp_id.split('.', 1)[1]}Z",
        "object": str(file.keyword("OBJECT")).upper(),
        "obs_mode": "s",
        "period": 60,
        "prog_title": "SYNTHETIC FRAMES",
        "prog_type": 3,
        "release_date": PROTECTED if file.dp_id in holdings.proprietary else RELEASED,
        "s_region": f"POSITION J2000 {file.keyword('RA')} {file.keyword('DEC')}",
        "target": str(file.keyword("ESO OBS TARG NAME")).upper(),
    }
    return tuple(values.get(column.name) for column in RAW_COLUMNS)


def _obscore_row(product: ServedProduct, base: str) -> tuple[Value, ...]:
    file, dp_id = product.source, product.product_id
    ra, dec, start = float(file.keyword("RA")), float(file.keyword("DEC")), float(file.keyword("MJD-OBS"))
    region = f"POSITION J2000 {ra} {dec}"
    instrument, target = str(file.keyword("INSTRUME")), str(file.keyword("OBJECT"))
    return (
        dp_id, PROGRAMME, COLLECTION, PROGRAMME, instrument, "image", 2, target, ra, dec, region, start, start + 0.01,
        datalink_url(base, dp_id), "application/x-votable+xml;content=datalink", SIZE_KB,
    )  # fmt: skip


def _product_row(number: int, product: ServedProduct, base: str) -> tuple[Value, ...]:
    file = product.file
    address = file_url(base, file.dp_id)
    return (product.product_id, file.dp_id, file.category, "FITS", product.original_name, address, SIZE_KB, number)


def _schema_tables(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """Return TAP_SCHEMA's own tables, by which clients learn what there is."""
    listed = tuple((table.name.split(".")[0], table.name, "table", "") for table in tables)
    columns = tuple(
        (table.name, column.name, column.datatype, column.unit or None, column.xtype or None)
        for table in tables
        for column in table.columns
    )
    return (
        Table("TAP_SCHEMA.tables", _text_columns("schema_name table_name table_type description"), listed),
        Table("TAP_SCHEMA.columns", _text_columns("table_name column_name datatype unit xtype"), columns),
    )


def _text_columns(names: str) -> tuple[TapColumn, ...]:
    return tuple(TapColumn(name, "char") for name in names.split())
