"""The embedded archive's calSelector, seen by plain HTTP."""

from __future__ import annotations

import email
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from esorex_bridge.datasets.xml import UnreadableTreeError, read_tree
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"


def science_of(archive: EmbeddedArchive, number: int = 0) -> str:
    return archive.holdings.nights[0].science[number].dp_id


def ask(web: requests.Session, archive: EmbeddedArchive, **parameters: Any) -> requests.Response:
    return web.get(f"{archive.url}/calselector/v1/associations", params=parameters)


def parts_of(reply: requests.Response) -> list[Message]:
    head = b"Content-Type: " + reply.headers["Content-Type"].encode() + b"\r\n\r\n"
    return email.message_from_bytes(head + reply.content).get_payload()  # type: ignore[return-value]


def rows_of(reply: requests.Response) -> list[dict[str, str | None]]:
    root = etree.fromstring(reply.content)
    names = [field.get("name") for field in root.iter(f"{VOTABLE}FIELD")]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in root.iter(f"{VOTABLE}TR")]


@pytest.mark.parametrize("mode", ["Raw2Raw", "raw2raw", "RAW2RAW"])
def test_one_science_file_gets_the_tree_of_its_template(
    small_archive: EmbeddedArchive, web: requests.Session, mode: str
) -> None:
    dp_id = science_of(small_archive, 2)
    reply = ask(web, small_archive, dp_id=dp_id, mode=mode)
    assert reply.headers["Content-Type"] == "application/xml; content=calselector"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{dp_id}_raw2raw.xml"'
    assert read_tree(reply.content) == small_archive.holdings.tree(dp_id, "Raw2Raw")


def test_raw_and_escaped_ids_are_one(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    dp_id = science_of(small_archive)
    address = f"{small_archive.url}/calselector/v1/associations?mode=Raw2Raw&dp_id="
    assert web.get(address + dp_id).content == web.get(address + dp_id.replace(":", "%3A")).content


def test_the_file_name_tells_the_mode_that_was_executed(
    small_archive: EmbeddedArchive, hawki_archive: EmbeddedArchive, web: requests.Session
) -> None:
    names = [
        ask(web, archive, dp_id=science_of(archive), mode="Raw2Master").headers["Content-Disposition"]
        for archive in (small_archive, hawki_archive)
    ]
    assert [name.rsplit("_", 1)[1] for name in names] == ['raw2raw.xml"', 'raw2master.xml"']


def test_files_of_several_templates_come_as_parts(frames_folder: Path, web: requests.Session) -> None:
    night = naco_night(npix=64, templates=3)
    with EmbeddedArchive([night], frames_folder) as archive:
        form = {"dp_id": [file.dp_id for file in night.science], "mode": "Raw2Raw"}
        reply = web.post(f"{archive.url}/calselector/v1/associations", data=form)
    assert reply.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    parts = parts_of(reply)
    documents = [part.get_payload(decode=True) for part in parts]
    assert [int(part["Content-Length"]) for part in parts] == [len(document) for document in documents]
    assert [read_tree(document) for document in documents] == list(night.trees)
    assert [part.get_filename() for part in parts] == [
        f"{night.science[number].dp_id}_raw2raw.xml" for number in (0, 5, 10)
    ]


def test_the_list_of_files_names_each_once_and_the_tree_last(
    small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    dp_id = science_of(small_archive, 1)
    reply = ask(web, small_archive, dp_id=dp_id, mode="Raw2Master", responseformat="votable")
    rows = rows_of(reply)
    kinds = [str(row["semantics"]).split("#")[1] for row in rows]
    assert kinds == ["this", *["sibling_raw"] * 4, *["calibration"] * 15, "calSelector_raw2raw"]
    assert 'mode="Raw2Raw"' in str(rows[0]["description"])
    assert str(rows[-1]["access_url"]).endswith(f"?dp_id={dp_id}&mode=Raw2Raw")
    files = [str(row["access_url"]).rsplit("/", 1)[1] for row in rows[:-1]]
    assert len(set(files)) == len(files)
    assert web.get(str(rows[-1]["access_url"])).status_code == 200


@pytest.mark.real
def test_the_list_of_files_is_laid_out_as_the_real_one(
    real: Path, small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    document = (real / "calselector" / "HARPS.2022-02-19T00_15_10.071_requested_Raw2Master.votable.xml").read_text()
    reply = ask(web, small_archive, dp_id=science_of(small_archive), mode="Raw2Raw", responseformat="votable")
    assert layout(reply.text) == layout(document)


def layout(document: str) -> list[str]:
    """Return the lines before the first row, and those of the row but for their texts."""
    lines = document.splitlines()
    head = [line for line in lines[: lines.index("          <TR>")] if "QUERY" not in line]
    row = lines[lines.index("          <TR>") : lines.index("          </TR>")]
    return [*head, *(line.split(">")[0] for line in row)]


@pytest.mark.parametrize(
    "parameters",
    [{"mode": "Raw2Raw"}, {"dp_id": "NACO.2016-03-02T00:30:00.076"}, {"dp_id": "NACO.1999-01-01T00:00:00.000"}],
    ids=["no dp_id", "no mode", "unknown dp_id"],
)
def test_requests_that_make_no_sense_are_400(
    small_archive: EmbeddedArchive, web: requests.Session, parameters: dict[str, str]
) -> None:
    assert ask(web, small_archive, **parameters).status_code == 400


def test_a_calibration_is_not_supported(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    dark = small_archive.holdings.nights[0].raws[0].dp_id
    root = read_tree(ask(web, small_archive, dp_id=dark, mode="Raw2Raw").content).root
    assert (root.complete, root.associated) == (False, ())
    assert root.messages == ("No association could be established: this file type is not supported",)


@pytest.mark.parametrize(
    ("fault", "complete", "certified", "groups"),
    [("incomplete", False, True, 4), ("uncertified", True, False, 5), ("unsupported", False, True, 0),
     ("empty_tree", True, True, 0)],
)  # fmt: skip
def test_faults_of_the_tree(
    small_archive: EmbeddedArchive,
    web: requests.Session,
    fault: str,
    complete: bool,
    certified: bool,
    groups: int,
) -> None:
    small_archive.fault(fault, kind="calselector")
    root = read_tree(ask(web, small_archive, dp_id=science_of(small_archive), mode="Raw2Raw").content).root
    assert (root.complete, root.certified, len(root.associated)) == (complete, certified, groups)


def test_a_downgrade_is_told_by_mode_and_name(hawki_archive: EmbeddedArchive, web: requests.Session) -> None:
    hawki_archive.fault("downgrade", times=1)
    replies = [ask(web, hawki_archive, dp_id=science_of(hawki_archive), mode="Raw2Master") for _ in range(2)]
    assert [read_tree(reply.content).mode for reply in replies] == ["Raw2Raw", "Raw2Master"]
    assert "_raw2raw.xml" in replies[0].headers["Content-Disposition"]


def test_no_tree_is_an_empty_200(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    small_archive.fault("no_tree")
    reply = ask(web, small_archive, dp_id=science_of(small_archive), mode="Raw2Raw")
    assert (reply.status_code, reply.content) == (200, b"")


def test_rows_may_be_missing_from_a_valid_table(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    small_archive.fault("missing_rows", times=1)
    tables = [
        ask(web, small_archive, dp_id=science_of(small_archive), mode="Raw2Raw", responseformat="votable")
        for _ in range(2)
    ]
    assert [len(rows_of(table)) > 0 for table in tables] == [False, True]


@pytest.mark.parametrize("fault", ["malformed_xml", "xml_entities"])
def test_hostile_documents_are_not_readable(small_archive: EmbeddedArchive, web: requests.Session, fault: str) -> None:
    small_archive.fault(fault)
    reply = ask(web, small_archive, dp_id=science_of(small_archive), mode="Raw2Raw")
    with pytest.raises(UnreadableTreeError):
        read_tree(reply.content)


def test_entities_do_expand_in_a_careless_reader(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    small_archive.fault("xml_entities")
    reply = ask(web, small_archive, dp_id=science_of(small_archive), mode="Raw2Raw")
    root = etree.fromstring(reply.content, etree.XMLParser(resolve_entities=True))
    assert root.find("messages/message").get("text") == "a" * 1000


def test_parts_can_come_in_reverse_order(frames_folder: Path, web: requests.Session) -> None:
    night = naco_night(npix=64, templates=2)
    asked = [night.science[0].dp_id, night.science[5].dp_id]
    with EmbeddedArchive([night], frames_folder) as archive:
        archive.fault("reversed_parts")
        reply = ask(web, archive, dp_id=asked, mode="Raw2Raw")
    assert [str(part.get_filename()).split("_")[0] for part in parts_of(reply)] == asked[::-1]


def test_acquisitions_among_the_ids_can_make_trees_look_incomplete(
    small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    small_archive.fault("spurious_incomplete")
    acquisition = next(file.dp_id for file in small_archive.holdings.nights[0].raws if file.category == "ACQ_IMAGE")
    science = science_of(small_archive)
    alone = ask(web, small_archive, dp_id=science, mode="Raw2Raw")
    mixed = ask(web, small_archive, dp_id=[science, acquisition], mode="Raw2Raw")
    trees = [read_tree(part.get_payload(decode=True)) for part in parts_of(mixed)]
    assert read_tree(alone.content).root.complete
    assert not trees[0].root.complete


def test_breakpoints_are_dates_per_instrument(small_archive: EmbeddedArchive, web: requests.Session) -> None:
    records = web.get(f"{small_archive.url}/calselector/v1/breakpoints").json()
    assert [(record["instrument"], record["dpInstrument"]) for record in records] == [("NAOS+CONICA", "NACO")]
