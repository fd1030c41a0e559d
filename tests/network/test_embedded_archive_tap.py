"""The embedded archive's TAP service, seen by pyvo and by plain HTTP."""

from __future__ import annotations

import csv
import gc
from pathlib import Path

import pytest
import pyvo
import requests

from esorex_bridge.demo.archive.adql import AdqlError, translate
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from tests.commands import PATIENCE_S

# pyvo does not read the reply by which a job is made to its end; the socket is closed when the garbage is collected.
PYVO_LEAVES_A_SOCKET = pytest.mark.filterwarnings("ignore::ResourceWarning")
ALL = {"dbo.raw": ("dp_id", "ra", "dec", "det_dit", "object")}


@pytest.fixture
def tap(small_archive: EmbeddedArchive, web: requests.Session) -> pyvo.dal.TAPService:
    """Return pyvo's view of the service."""
    return pyvo.dal.TAPService(f"{small_archive.url}/tap_obs", session=web)


def ask(web: requests.Session, archive: EmbeddedArchive, query: str, **more: str) -> requests.Response:
    form = {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": query, **more}
    return web.post(f"{archive.url}/tap_obs/sync", data=form)


def test_science_frames_are_found_by_programme_and_instrument(
    small_archive: EmbeddedArchive, tap: pyvo.dal.TAPService
) -> None:
    found = tap.search(
        "SELECT dp_id, det_dit, ob_id FROM dbo.raw WHERE prog_id = '60.A-9999(A)' AND instrument = 'NAOS+CONICA' "
        "AND dp_cat = 'SCIENCE' ORDER BY mjd_obs"
    ).to_table()
    assert list(found["dp_id"]) == [file.dp_id for file in small_archive.holdings.nights[0].science]
    assert found["det_dit"].dtype.kind == "f"
    assert found["ob_id"].dtype.kind == "i"


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("dp_type LIKE 'FLAT%'", 9),
        ("dp_type = 'DARK' AND det_dit < 5", 5),
        ("dp_type IN ('DARK', 'FLAT,SKY')", 13),
        ("exp_start BETWEEN '2016-03-02' AND '2016-03-03'", 6),
        ("dp_cat = 'SCIENCE' OR (dp_type = 'DARK' AND NOT det_dit = 2.0)", 8),
        ("CONTAINS(POINT('', ra, dec), CIRCLE('', 150.05, -30.0, 0.1)) = 1", 23),
        ("CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 151.0, -30.0, 0.1)) = 1", 0),
        ("INTERSECTS(s_region, CIRCLE('', 150.0, -30.05, 0.1)) = 1", 23),
        ("gris_path IS NULL AND tpl_id IS NOT NULL", 23),
        ("object = 'it''s'", 0),
        ("mjd_obs >= 57448.0 + 1 AND tpl_nexp <> 1", 5),
    ],
)
def test_conditions_select_what_they_say(tap: pyvo.dal.TAPService, where: str, count: int) -> None:
    assert tap.search(f"SELECT COUNT(*) FROM dbo.raw WHERE {where}").to_table()[0][0] == count


def test_queries_are_read_without_regard_to_case_layout_and_alias(tap: pyvo.dal.TAPService) -> None:
    found = tap.search("select top 2 r.DP_ID as name\nfrom DBO.RAW as r\norder by r.mjd_obs desc").to_table()
    assert found.colnames == ["name"]
    assert len(found) == 2
    assert found["name"][0] > found["name"][1]


def test_rows_have_all_columns_with_their_types(tap: pyvo.dal.TAPService) -> None:
    row = tap.search("SELECT TOP 1 * FROM dbo.raw").to_table()
    assert len(row.colnames) == 62
    assert str(row["det_dit"].unit) == "s"
    assert row["exp_start"][0].endswith("Z")


@pytest.mark.real
def test_the_columns_are_those_of_the_real_table(real: Path, tap: pyvo.dal.TAPService) -> None:
    with (real / "astroquery" / "query_main_sgra.csv").open(newline="") as stream:
        names = next(csv.reader(stream))[1:]
    assert tap.search("SELECT TOP 1 * FROM dbo.raw").to_table().colnames == names


def test_columns_can_be_learnt(tap: pyvo.dal.TAPService) -> None:
    known = tap.search("SELECT column_name, datatype, unit, xtype FROM TAP_SCHEMA.columns WHERE table_name='dbo.raw'")
    assert len(known) == 62
    assert "phase3v2.product_files" in tap.tables
    assert tap.maxrec == 15_000_000


def test_products_and_their_ancillary_files_are_listed(tap: pyvo.dal.TAPService, web: requests.Session) -> None:
    found = tap.search(
        "SELECT p.archive_id, p.eso_category, p.access_url FROM phase3v2.product_files AS p "
        "JOIN ivoa.ObsCore AS o ON p.product_id = o.dp_id WHERE o.obs_collection = 'SYNTHETIC' ORDER BY p.archive_id"
    ).to_table()
    assert list(found["eso_category"]) == ["SCIENCE.IMAGE", "ANCILLARY.WEIGHTMAP", "ANCILLARY.MAGLIM"]
    assert [web.get(address).content[:9] for address in found["access_url"]] == [b"SIMPLE  ="] * 3
    assert len(tap.search("SELECT * FROM ivoa.ObsCore WHERE calib_level = 2")) == 1


def test_a_column_of_two_tables_must_say_whose_it_is(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    joined = "FROM phase3v2.product_files p JOIN ivoa.ObsCore o ON p.product_id = o.dp_id"
    assert "Ambiguous column name" in ask(web, small_archive, f"SELECT access_url {joined}").text
    assert ask(web, small_archive, f"SELECT o.access_url {joined}").status_code == 200


@PYVO_LEAVES_A_SOCKET
def test_a_query_can_run_as_a_job(tap: pyvo.dal.TAPService, web: requests.Session) -> None:
    job = tap.submit_job("SELECT dp_id FROM dbo.raw WHERE dp_cat='SCIENCE'")
    address = job.url
    assert job.phase == "PENDING"
    job.run().wait(timeout=PATIENCE_S)
    assert job.phase == "COMPLETED"
    assert len(job.fetch_result()) == 5
    job.delete()
    assert web.get(address).status_code == 404
    gc.collect()


@PYVO_LEAVES_A_SOCKET
def test_a_job_that_fails_says_so(tap: pyvo.dal.TAPService) -> None:
    job = tap.submit_job("SELECT nothing FROM dbo.raw")
    job.run().wait(phases=["ERROR", "COMPLETED"], timeout=PATIENCE_S)
    assert job.phase == "ERROR"
    with pytest.raises(pyvo.dal.DALQueryError):
        job.raise_if_error()
    gc.collect()


def test_cut_results_say_overflow(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    cut = ask(web, small_archive, "SELECT dp_id FROM dbo.raw", MAXREC="3")
    whole = ask(web, small_archive, "SELECT TOP 3 dp_id FROM dbo.raw")
    assert (cut.text.count("<TR>"), whole.text.count("<TR>")) == (3, 3)
    assert ("OVERFLOW" in cut.text, "OVERFLOW" in whole.text) == (True, False)


def test_formats(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    query = "SELECT TOP 1 dp_type, det_dit, gris_path FROM dbo.raw ORDER BY mjd_obs"
    document = ask(web, small_archive, query, FORMAT="json").json()
    table = ask(web, small_archive, query, FORMAT="csv").text
    assert [column["name"] for column in document["metadata"]] == ["dp_type", "det_dit", "gris_path"]
    assert document["data"] == [["DARK", 10.0, None]]
    assert table == "dp_type,det_dit,gris_path\nDARK,10.0,\n"


@pytest.mark.parametrize(
    "query",
    ["", "SELECT", "SELECT foo FROM dbo.raw", "SELECT * FROM dbo.none", "DROP TABLE dbo.raw", "SELECT 1; DROP TABLE x",
     "SELECT * FROM dbo.raw WHERE night = '2016-03-01' -- x", "SELECT load_extension('x') FROM dbo.raw"],
)  # fmt: skip
def test_mistakes_are_a_votable_under_400(small_archive: EmbeddedArchive, web: requests.Session, query: str) -> None:
    reply = ask(web, small_archive, query)
    assert reply.status_code == 400
    assert 'name="QUERY_STATUS" value="ERROR"' in reply.text


def test_pyvo_tells_mistakes_from_failures(small_archive: EmbeddedArchive, tap: pyvo.dal.TAPService) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="Invalid column name 'foo'"):
        tap.search("SELECT foo FROM dbo.raw")
    small_archive.fault("tap_error", times=1)
    with pytest.raises(pyvo.dal.DALQueryError, match="could not be processed"):
        tap.search("SELECT * FROM dbo.raw")
    small_archive.fault("http_500", kind="tap", times=1)
    with pytest.raises(pyvo.dal.DALServiceError):
        tap.search("SELECT * FROM dbo.raw")


def test_the_overflow_fault_cuts_after_one_row(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    small_archive.fault("tap_overflow", times=1)
    cut = ask(web, small_archive, "SELECT dp_id FROM dbo.raw")
    assert (cut.text.count("<TR>"), "OVERFLOW" in cut.text) == (1, True)


def test_a_query_is_translated_and_not_passed_on() -> None:
    query = translate("SELECT TOP 5 Object FROM dbo.raw r WHERE r.ra > 1e2 GROUP BY object ORDER BY Object DESC", ALL)
    assert (query.tables, query.top) == (("dbo.raw",), 5)
    assert query.sql == (
        'SELECT "r"."object" FROM "dbo.raw" AS "r" WHERE "r"."ra" > 1e2 '
        'GROUP BY "r"."object" ORDER BY "r"."object" DESC'
    )


@pytest.mark.parametrize("text", ["SELECT * FROM dbo.raw UNION SELECT 1", "SELECT * FROM dbo.raw WHERE (ra"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(AdqlError):
        translate(text, ALL)
