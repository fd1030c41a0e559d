"""TAP over loopback: rows, jobs, and tables that were cut off."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest
import requests
from msgspec.structs import replace
from requests.adapters import HTTPAdapter

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.empty import likely_reason
from esorex_bridge.archive.exchange import AccessDeniedError
from esorex_bridge.archive.query import Constraints
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.tap import TruncatedError
from esorex_bridge.archive.tap import rows as rows_of
from esorex_bridge.archive.votable import CALIBRATION, NIGHT_LOG, THIS
from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.errors import UserError

NACO = Constraints(instrument="naco")


def test_a_query_by_the_common_name_finds_the_science_frames(client: ArchiveClient) -> None:
    rows = client.query(NACO)
    assert len(rows) == 5
    assert {row["instrument"] for row in rows} == {"NAOS+CONICA"}
    assert {row["dp_cat"] for row in rows} == {"SCIENCE"}


def test_rows_hold_plain_values_and_none_where_the_archive_has_none(client: ArchiveClient) -> None:
    (row,) = client.query(
        Constraints(dp_ids=("NACO.2016-03-02T00:30:00.076",), columns=("exposure", "det_chip1id", "ob_id", "object"))
    )
    assert row == {"exposure": 10.0, "det_chip1id": None, "ob_id": 200200001, "object": "SYNTH-FIELD-1"}


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (Constraints(night="2016-03-01"), 5),
        (Constraints(night="2016-03-02"), 0),
        (Constraints(target="synth field-1", begin="2016-03-02T00:31:00"), 0),
        (Constraints(target="synth-field-1", begin="2016-03-02T00:31:00"), 3),
        (Constraints(instrument="NACO", begin="2016-03-02", end="2016-03-02"), 5),
        (Constraints(instrument="NACO", type="OBJ%", tech="image,jitter"), 5),
        (Constraints(program="60.A-9999(A)", category="CALIB", type="DARK", tech="IMAGE"), 8),
        (Constraints(instrument="naco", where="exposure > 100"), 0),
        (Constraints(instrument="naco", limit=2), 2),
    ],
)
def test_constraints_mean_what_they_say(client: ArchiveClient, constraints: Constraints, expected: int) -> None:
    assert len(client.query(constraints)) == expected


def test_a_cone_finds_what_lies_in_it(client: ArchiveClient) -> None:
    ((ra, dec),) = {
        (row["ra"], row["dec"])
        for row in client.query(Constraints(dp_ids=("NACO.2016-03-02T00:30:00.076",), columns=("ra", "dec")))
    }
    assert client.query(Constraints(ra=ra, dec=dec, radius=0.1))
    assert not client.query(Constraints(ra=ra, dec=-dec, radius=0.1))


@pytest.mark.parametrize("program", ["60.A-9999", "60.a-9999(a)", "60.A-9999(A)", "60.A-%"])
def test_a_programme_stands_for_all_its_runs_in_any_case(client: ArchiveClient, program: str) -> None:
    assert len(client.query(Constraints(program=program))) == 5
    assert not client.query(Constraints(program="60.A-999"))


def test_a_target_is_found_by_its_position_where_the_name_service_knows_it(
    client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    frame = small_archive.holdings.nights[0].science[0]
    small_archive.positions["MYSTAR"] = (float(frame.keyword("RA")), float(frame.keyword("DEC")))
    assert len(client.query(Constraints(target="My Star"))) == 5
    assert client.locate(Constraints(target="Sgr A*")).ra == 266.41682
    assert not client.query(Constraints(target="NGC1365"))
    assert len(client.query(Constraints(target="synth-field-1"))) == 5
    assert small_archive.count("sesame") == 4


def test_a_name_service_that_fails_leaves_the_name(
    client: ArchiveClient, small_archive: EmbeddedArchive, caplog: pytest.LogCaptureFixture
) -> None:
    small_archive.fault(Fault.HTTP_503, "sesame")
    assert len(client.query(Constraints(target="synth-field-1", radius=0.1))) == 5
    assert "by its name alone" in caplog.text


@pytest.mark.parametrize(
    ("constraints", "reason"),
    [
        (Constraints(program="60.A-9999(B)", instrument="naco"), "there is one of 60.A-9999(A)"),
        (Constraints(instrument="nacco"), "did you mean NACO?"),
        (Constraints(instrument="naco", night="2016-03-02"), "a night is named by its date at dusk"),
        (Constraints(instrument="naco", type="DARK"), "no frame meets --type DARK"),
        (Constraints(instrument="naco", category="ACQUIRE", type="OBJECT%"), "no frame meets --cat ACQUIRE"),
        (Constraints(instrument="naco", where="exposure > 1e9"), "no frame meets --where"),
        (Constraints(program="60.A-9999(B)"), "--program 60.A-9999 finds all"),
        (Constraints(program="1.A-1(A)"), "programmes look like 098.C-0739"),
        (Constraints(instrument="foo"), "known are AMBER, "),
        (Constraints(target="nothing like this"), "no name service knows 'nothing like this'"),
        (Constraints(ra=10.0, dec=10.0, radius=0.1), "no frame within 0.1 degrees, nor about it"),
        (
            Constraints(where="exposure > 1e9"),
            "'esorex-bridge query --columns exposure --max 20' shows what stands there",
        ),
        (Constraints(night="2016-03-02"), "but of --night 2016-03-01: a night is named by its date at dusk"),
        (Constraints(night="2011-01-01"), "the archive lists no frame of --night 2011-01-01"),
        (Constraints(target="nothing like this", radius=0.1), "no name service knows 'nothing like this'"),
        (Constraints(begin="2001-01-01", end="2001-01-02"), "no frame meets --to 2001-01-02; without it"),
    ],
)
def test_an_empty_result_has_a_likely_reason(client: ArchiveClient, constraints: Constraints, reason: str) -> None:
    assert not client.query(constraints)
    found = likely_reason(client, constraints)
    assert reason in found.said and bool(found.said) is bool(reason)
    if found.changes:
        instead = {"columns": tuple(str(found.changes.get("columns") or "dp_id").split(","))}
        changes = {**found.changes, **instead} | ({"category": None} if "category" in found.changes else {})
        assert not found.changes.get("instrument", "?") or client.query(replace(constraints, **changes))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("exptyme > 3", "no column 'exptyme' (did you mean exposure?)"),
        ("DPR.CATG = 'SCIENCE'", "no column 'DPR.CATG' (did you mean dp_cat?)"),
        ("DET.DIT > 3 AND exposure > 1", "no column 'DET.DIT' (did you mean det_dit?)"),
        ("object LIKE 'xyzzy%' AND zzzzq = 'foo bar'", "no column 'zzzzq'; it holds few keywords"),
        ("exposure >", "does not understand the query"),
    ],
)
def test_a_condition_on_what_is_no_column_is_answered_with_the_nearest(
    small_archive: EmbeddedArchive, where: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["query", "--instrument", "naco", "--where", where, "--archive", small_archive.url]
    assert main(words) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ra", "dec", "degrees"),
    [
        ("05:35:17", "-05:23:28", (83.8208333, -5.3911111)),
        ("5h35m17s", "-5d23m28s", (83.8208333, -5.3911111)),
        ("05 35 17.3", "+05 23 28", (83.8220833, 5.3911111)),
        ("83.82", "-00:30", (83.82, -0.5)),
        ("0", "90", (0.0, 90.0)),
    ],
)
def test_positions_are_read_as_people_write_them(
    ra: str, dec: str, degrees: tuple[float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", "--ra", ra, "--dec", dec, "--radius", "0.1", "--adql"]) == 0
    inner = capsys.readouterr().out.partition("CIRCLE('ICRS', ")[2].partition(")")[0]
    assert [float(word) for word in inner.split(",")] == pytest.approx([*degrees, 0.1])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ra", "24:00:01"),
        ("ra", "05:61:00"),
        ("ra", "x"),
        ("ra", "-1"),
        ("dec", "-90:00:01"),
        ("dec", "95"),
        ("dec", "5:3:60"),
    ],
)
def test_what_is_no_position_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"ra": "1", "dec": "1", option: value}
    assert main(["query", "--ra", words["ra"], "--dec", words["dec"], "--radius", "0.1", "--adql"]) == 1
    assert f"'{value}' is no" in capsys.readouterr().err


def test_dates_that_are_exchanged_are_said(client: ArchiveClient) -> None:
    with pytest.raises(UserError, match="is later than --to"):
        client.query(Constraints(instrument="naco", begin="2016-03-03", end="2016-03-01"))


def test_rows_and_table_are_the_same_values(client: ArchiveClient) -> None:
    wanted = Constraints(instrument="naco", category=None, columns=("*",))
    assert list(client.query(wanted)) == list(rows_of(client.query_table(wanted)))


def test_a_query_needs_neither_astropy_nor_pyvo(small_archive: EmbeddedArchive) -> None:
    words = ["query", "--instrument", "naco", "--archive", small_archive.url]
    heavy = "{'astropy', 'pyvo', 'numpy'}"
    code = f"import sys; from esorex_bridge.cli import main; main({words!r}); print({heavy} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "5 frames" in ended.stdout and ended.stdout.endswith("set()\n")


def test_many_frames_are_asked_for_in_several_queries(client: ArchiveClient, small_archive: EmbeddedArchive) -> None:
    names = [f"NACO.2001-01-01T00:{number // 60:02d}:{number % 60:02d}.000" for number in range(900)]
    rows = client.query(Constraints(dp_ids=(*names, "NACO.2016-03-02T00:30:00.076")))
    assert [row["dp_id"] for row in rows] == ["NACO.2016-03-02T00:30:00.076"]
    assert small_archive.count("tap") == 3


def test_a_table_keeps_its_units(client: ArchiveClient) -> None:
    table = client.query_table(NACO)
    assert str(table["exposure"].unit) == "s" and len(table) == 5


def test_a_table_that_was_cut_off_is_an_error_unless_a_limit_was_given(
    client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    small_archive.fault(Fault.TAP_OVERFLOW, kind="tap")
    with pytest.raises(TruncatedError, match=r"after 1 rows.*--max"):
        client.query(NACO)
    assert len(client.query(Constraints(instrument="naco", limit=3))) == 1


def test_a_job_tells_its_phases_and_is_deleted_at_the_end(
    client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    phases: list[str] = []
    assert len(client.query(NACO, job=True, watch=phases.append)) == 5
    assert phases[-1] == "COMPLETED"
    assert [request.method for request in small_archive.requests if request.kind == "tap"].count("DELETE") == 1
    assert not any("sync" in request.path.split("/") for request in small_archive.requests)


class Gateway(HTTPAdapter):
    """A gateway that has waited for a minute."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url, response.raw = 504, str(request.url), io.BytesIO()
        return response


def test_a_query_that_takes_too_long_becomes_a_job(small_archive: EmbeddedArchive) -> None:
    with requests.Session() as session:
        session.mount(f"{small_archive.url}/tap_obs/sync", Gateway())
        client = ArchiveClient(Services.at(small_archive.url), session=session)
        assert len(client.query(NACO)) == 5
    assert any(request.path.startswith("/tap_obs/async/") for request in small_archive.requests)


def test_a_query_that_is_wrong_says_what_the_archive_said(client: ArchiveClient) -> None:
    with pytest.raises(UserError, match="does not understand the query"):
        client.query(Constraints(instrument="naco", where="nonsense = 1"))
    with pytest.raises(UserError, match="does not understand the query"):
        client.query(Constraints(instrument="naco", where="nonsense = 1"), job=True)


def test_an_error_of_the_service_is_not_an_empty_table(client: ArchiveClient, small_archive: EmbeddedArchive) -> None:
    small_archive.fault(Fault.TAP_ERROR, kind="tap")
    with pytest.raises(UserError, match="does not understand the query"):
        client.query(NACO)


def test_a_service_that_fails_for_a_moment_is_asked_again(
    client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    small_archive.fault(Fault.HTTP_500, kind="tap", times=2)
    assert len(client.query(NACO)) == 5


def test_links_of_a_frame_are_typed(client: ArchiveClient) -> None:
    name = "NACO.2016-03-02T00:30:00.076"
    links = client.links(name)
    (this,), (log,) = links.of(THIS), links.of(NIGHT_LOG)
    assert (this.target, this.file_name, log.target) == (name, f"{name}.fits.Z", f"{name}.NL")
    assert isinstance(this.size_bytes, int) and not links.of(CALIBRATION)


def test_links_of_an_unknown_file_are_an_error_that_names_both_reasons(client: ArchiveClient) -> None:
    with pytest.raises(AccessDeniedError, match="no such file, or you have no access"):
        client.links("NACO.1999-01-01T00:00:00.000")


def test_a_night_log_has_text_and_grade(client: ArchiveClient) -> None:
    log = client.night_log("NACO.2016-03-02T00:30:00.076")
    assert log.grade == "A" and "OB:" in log.text


def test_a_night_log_that_is_not_there_is_said(client: ArchiveClient) -> None:
    with pytest.raises(UserError, match="no night log"):
        client.night_log("NACO.1999-01-01T00:00:00.000")


def test_the_files_of_a_product_are_listed_and_those_of_a_collection_by_category(client: ArchiveClient) -> None:
    products = client.ask("SELECT dp_id FROM ivoa.ObsCore")
    product = str(products["dp_id"][0])
    files = client.product_files(product=product)
    assert sorted(files["eso_category"]) == ["ANCILLARY.MAGLIM", "ANCILLARY.WEIGHTMAP", "SCIENCE.IMAGE"]
    weights = client.product_files(collection="SYNTHETIC", category="ANCILLARY.WEIGHTMAP")
    assert set(weights["product_id"]) == set(products["dp_id"])
    assert len(client.product_files(collection="NOTHING")) == 0


PRODUCTS = {
    "target": ("--target", "synth-field-1", "--radius", "0.1"),
    "position": ("--ra", "83.82", "--dec", "-5.39", "--radius", "10"),
    "programme": ("--program", "60.A-9999"),
    "instrument and time": ("--instrument", "naco", "--from", "2016-03-01", "--to", "2016-03-03"),
}


def position_of_the_product(archive: EmbeddedArchive) -> tuple[str, ...]:
    file = archive.holdings.products[0].source
    return "--ra", str(file.keyword("RA")), "--dec", str(file.keyword("DEC")), "--radius", "0.1"


@pytest.mark.parametrize("by", PRODUCTS)
def test_products_are_found_by_target_position_programme_and_time(
    small_archive: EmbeddedArchive, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = position_of_the_product(small_archive) if by == "position" else PRODUCTS[by]
    there = ("--archive", small_archive.url)
    assert main(["query", "--products", *words, *there, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] and all(row["dp_id"].startswith("ADP.") for row in found["rows"])
    assert "FROM ivoa.ObsCore" in found["adql"]
    assert main(["query", "--products", *words, *there]) == 0
    assert "next: esorex-bridge ancillary ADP." in capsys.readouterr().out
    if by in ("target", "position"):
        assert main(["ancillary", *words, *there, "--json"]) == 0
        files = json.loads(capsys.readouterr().out)["rows"]
        assert {row["product_id"] for row in files} == {row["dp_id"] for row in found["rows"]}
        assert len(files) > len(found["rows"])


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "all products of the archive"), (("--instrument", "naco", "--type", "DARK"), "are of raw frames")],
)
def test_products_are_not_asked_for_by_what_they_do_not_have(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", "--products", *words, "--adql"]) == 1
    assert said in capsys.readouterr().err
