"""The embedded archive's data portal and DataLink, seen by plain HTTP."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import ncompress
import pytest
import requests
from lxml import etree

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest
from esorex_bridge.demo.nights.dummies import dummy_night
from esorex_bridge.demo.nights.naco import naco_night
from tests.commands import PATIENCE_S

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"


def science_of(archive: EmbeddedArchive, number: int = 0) -> str:
    return archive.holdings.nights[0].science[number].dp_id


def file_url(archive: EmbeddedArchive, name: str) -> str:
    return f"{archive.url}/dataPortal/file/{name}"


def test_raw_frames_come_compressed_under_their_name(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    dp_id = science_of(small_archive)
    reply = web.get(file_url(small_archive, dp_id))
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{dp_id}.fits.Z"'
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    assert ncompress.decompress(io.BytesIO(reply.content)) == small_archive.holdings.file(dp_id).build()


def test_processed_files_come_as_they_are(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    static = next(file for file in small_archive.holdings.nights[0].files if file.dp_id.startswith("M."))
    reply = web.get(file_url(small_archive, static.dp_id))
    assert reply.headers["Content-Disposition"].endswith('.fits"')
    assert reply.content == static.build()


def test_the_older_alias_serves_the_same(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    dp_id = science_of(small_archive)
    old = web.get(f"{small_archive.url}/dataportal_new/file/{dp_id}")
    assert old.content == web.get(file_url(small_archive, dp_id)).content


def test_a_range_is_a_part_of_the_same_content(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    address = file_url(small_archive, science_of(small_archive))
    whole = web.get(address)
    rest = web.get(address, headers={"Range": "bytes=1000-", "If-Range": whole.headers["ETag"]})
    first = web.get(address, headers={"Range": "bytes=0-0"})
    total = len(whole.content)
    assert (rest.status_code, rest.content) == (206, whole.content[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{total - 1}/{total}"
    assert (first.content, first.headers["Content-Range"]) == (whole.content[:1], f"bytes 0-0/{total}")


def test_a_range_of_a_changed_file_is_the_whole_file(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    headers = {"Range": "bytes=1000-", "If-Range": '"older"'}
    assert web.get(file_url(small_archive, science_of(small_archive)), headers=headers).status_code == 200


def test_a_range_past_the_end_is_416(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    headers = {"Range": "bytes=99999999-"}
    assert web.get(file_url(small_archive, science_of(small_archive)), headers=headers).status_code == 416


def test_a_head_request_has_the_length_and_no_body(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    address = file_url(small_archive, science_of(small_archive))
    head = web.head(address)
    assert head.content == b""
    assert int(head.headers["Content-Length"]) == len(web.get(address).content)


def test_the_night_log_is_text_with_a_grade(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    reply = web.get(file_url(small_archive, f"{science_of(small_archive)}.NL"))
    assert reply.headers["Content-Type"] == "text/plain"
    assert "Grade:       \t \tA\n" in reply.text


def test_the_header_page_has_one_pre(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    page = web.get(f"{small_archive.url}/hdr", params={"DpId": science_of(small_archive)})
    assert page.text.count("<pre>") == 1
    assert "ESO DET DIT" in page.text


def test_an_unknown_file_is_404(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    assert web.get(file_url(small_archive, "NACO.1999-01-01T00:00:00.000")).status_code == 404


def test_links_name_the_file_its_calibrations_and_its_night_log(
    small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    dp_id = science_of(small_archive)
    reply = web.get(f"{small_archive.url}/datalink/links", params={"ID": f"ivo://eso.org/ID?{dp_id}"})
    root = etree.fromstring(reply.content)
    rows = [[cell.text for cell in row] for row in root.iter(f"{VOTABLE}TR")]
    assert next(root.iter(f"{VOTABLE}INFO")).attrib == {"name": "QUERY_STATUS", "value": "OK"}
    assert [str(row[4]).rsplit("#")[1] for row in rows] == [
        "this", "calSelector_raw2raw", "calSelector_raw2master", "night_log",
    ]  # fmt: skip
    assert rows[0][8] == f"{dp_id}.fits.Z"
    assert all(web.get(str(row[1])).status_code == 200 for row in rows)


def test_links_of_an_unknown_file_are_one_row_with_an_error(
    small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    reply = web.get(f"{small_archive.url}/datalink/links", params={"ID": "ivo://eso.org/ID?NACO.1999"})
    rows = [[cell.text for cell in row] for row in etree.fromstring(reply.content).iter(f"{VOTABLE}TR")]
    assert reply.status_code == 200
    assert [(row[1], bool(row[3])) for row in rows] == [(None, True)]


def test_links_of_a_product_name_its_ancillary_files_and_where_it_came_from(
    small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    product = small_archive.holdings.products[0]
    reply = web.get(f"{small_archive.url}/datalink/links", params={"ID": f"ivo://eso.org/ID?{product.product_id}"})
    rows = [[cell.text for cell in row] for row in etree.fromstring(reply.content).iter(f"{VOTABLE}TR")]
    assert [row[4] for row in rows] == ["#this", "#auxiliary", "#auxiliary", "#progenitor"]
    assert str(rows[-1][1]).endswith(science_of(small_archive))


def test_only_raw_frames_have_a_night_log(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    product = small_archive.holdings.products[0].product_id
    assert web.get(file_url(small_archive, f"{product}.NL")).status_code == 404


def test_a_link_can_be_followed_to_the_file(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    dp_id = science_of(small_archive)
    reply = web.get(f"{small_archive.url}/datalink/links?ID=ivo://eso.org/ID?{dp_id}&eso_download=file")
    assert [hop.status_code for hop in reply.history] == [302]
    assert reply.headers["Content-Disposition"].endswith('.fits.Z"')


def test_every_request_is_logged(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    dp_id = science_of(small_archive)
    web.get(file_url(small_archive, dp_id), headers={"Range": "bytes=0-9"})
    web.get(f"{small_archive.url}/nothing")
    logged = [(entry.method, entry.path, entry.range, entry.status, entry.kind) for entry in small_archive.requests]
    assert logged == [
        ("GET", f"/dataPortal/file/{dp_id}", "bytes=0-9", 206, "file"),
        ("GET", "/nothing", "", 404, None),
    ]
    assert small_archive.count("file") == 1


def test_many_connections_are_served_at_once(frames_folder: Path) -> None:
    night, ten = dummy_night(20, 50_000), Barrier(10, timeout=PATIENCE_S)

    class Together(EmbeddedArchive):
        """Answers ten requests at once, or none."""

        def answer(self, request: HttpRequest) -> HttpReply:
            ten.wait()
            return super().answer(request)

    with Together([night], frames_folder) as archive, ThreadPoolExecutor(10) as pool:
        sizes = list(pool.map(lambda file: len(fetched(file_url(archive, file.dp_id))), night.files))
    assert sizes == [50_000 // 2880 * 2880] * 20
    assert not (frames_folder / night.name).exists()


def fetched(address: str) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(address).content


def test_the_speed_of_a_connection_can_be_limited(frames_folder: Path, web: requests.Session) -> None:
    night = dummy_night(1, 60_000)
    with EmbeddedArchive([night], frames_folder, bytes_per_s=200_000) as archive:
        began = time.monotonic()
        web.get(file_url(archive, night.files[0].dp_id))
        assert time.monotonic() - began > 0.25


def test_nights_can_be_served_together(frames_folder: Path, web: requests.Session) -> None:
    nights = (naco_night(npix=64), dummy_night(1, 6000))
    with EmbeddedArchive(nights, frames_folder) as archive:
        statuses = [web.get(file_url(archive, night.files[0].dp_id)).status_code for night in nights]
    assert statuses == [200, 200]


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "../../etc/passwd", "%00"])
def test_names_reach_no_file_of_this_machine(small_archive: EmbeddedArchive, name: str) -> None:
    request = requests.Request("GET", small_archive.url).prepare()
    request.url = file_url(small_archive, name)
    with requests.Session() as session:
        assert session.send(request).status_code == 404


def test_astroquery_finds_and_fetches_what_it_wants(small_archive: EmbeddedArchive, tmp_path: Path) -> None:
    from astroquery.eso import Eso

    client = Eso()
    client.CALSELECTOR_URL = f"{small_archive.url}/calselector/v1/associations"
    client.DOWNLOAD_URL = f"{small_archive.url}/dataPortal/file/"
    names = [file.dp_id for file in small_archive.holdings.nights[0].science]
    calibrations = client.get_associated_files(names, mode="raw")
    fetched_files = client.retrieve_data(calibrations[:1], destination=str(tmp_path), unzip=False)
    assert len(calibrations) == 15
    assert [Path(path).stat().st_size for path in fetched_files] == [
        len(small_archive.holdings.deliver(calibrations[0]).content)
    ]
