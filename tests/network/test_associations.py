"""calSelector over loopback: answers for every frame, in few requests, whatever the service does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.archive.associate import CONTENT_TRIES
from esorex_bridge.archive.auth import Credentials
from esorex_bridge.archive.calselector import AssociationReply, Outcome
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.download_list import list_files, remarks
from esorex_bridge.archive.exchange import RetryPolicy, ServiceError
from esorex_bridge.archive.query import Constraints
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.trees import save_trees, saved_trees
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight


@pytest.fixture
def science(small_archive: EmbeddedArchive) -> list[str]:
    """Return the names of the science frames."""
    return [str(file.dp_id) for file in small_archive.holdings.nights[0].science]


def only(replies: tuple[AssociationReply, ...]) -> AssociationReply:
    (reply,) = replies
    return reply


def test_frames_of_one_template_are_answered_together_with_all_that_calibrates_them(
    client: ArchiveClient, science: list[str]
) -> None:
    reply = only(client.associations(science, "Raw2Raw"))
    assert (reply.outcome, reply.executed, reply.certified) == (Outcome.ASSOCIATED, "Raw2Raw", True)
    assert set(science) <= set(reply.covers)
    assert {"CAL_DARK", "CAL_FLAT_TW"} <= {file.category for file in reply.listed}
    assert reply.file_name == f"{reply.asked}_raw2raw.xml"
    assert not remarks(reply)


def test_a_sibling_that_an_answer_covers_is_not_asked_for(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    templates = dict.fromkeys(science, "2016-03-02T00:30:00")
    reply = only(client.associations(science, "Raw2Raw", templates))
    assert reply.asked == science[0]
    assert small_archive.count("calselector") == 1


def test_master_calibrations_come_where_there_are_some(hawki_archive: EmbeddedArchive) -> None:
    name = hawki_archive.holdings.nights[0].science[0].dp_id
    with ArchiveClient(Services.at(hawki_archive.url)) as client:
        reply = only(client.associations([name], "Raw2Master"))
    assert reply.executed == "Raw2Master" and not reply.downgraded
    assert any(file.name.startswith("M.") for file in reply.listed)
    assert reply.file_name is not None and reply.file_name.endswith("_raw2master.xml")


def test_asking_for_masters_and_getting_raws_is_said(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.DOWNGRADE)
    reply = only(client.associations(science, "Raw2Master"))
    assert reply.downgraded and (reply.requested, reply.executed) == ("Raw2Master", "Raw2Raw")
    assert "Raw2Master was asked for, Raw2Raw was carried out" in remarks(reply)[0]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.INCOMPLETE, Outcome.INCOMPLETE),
        (Fault.UNSUPPORTED, Outcome.NOT_SUPPORTED),
        (Fault.EMPTY_TREE, Outcome.EMPTY),
        (Fault.UNCERTIFIED, Outcome.ASSOCIATED),
    ],
)
def test_what_a_tree_amounts_to_is_a_value_and_said_in_words(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], fault: Fault, outcome: Outcome
) -> None:
    small_archive.fault(fault)
    reply = only(client.associations(science, "Raw2Raw"))
    assert reply.outcome is outcome
    assert reply.certified is (fault is not Fault.UNCERTIFIED)
    assert remarks(reply)
    if fault in (Fault.INCOMPLETE, Fault.UNSUPPORTED):
        assert reply.messages[0] in remarks(reply)[0]


def test_an_empty_answer_that_passes_is_not_believed(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.EMPTY_TREE, kind="calselector", times=1)
    assert only(client.associations(science, "Raw2Raw")).outcome is Outcome.ASSOCIATED
    assert small_archive.count("calselector") == 2


@pytest.mark.parametrize("fault", [Fault.NO_TREE, Fault.MALFORMED_XML, Fault.TRUNCATED, Fault.HTTP_500, Fault.RESET])
def test_an_answer_that_cannot_be_read_is_asked_for_again(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], fault: Fault
) -> None:
    small_archive.fault(fault, kind="calselector", times=1)
    assert only(client.associations(science, "Raw2Raw")).outcome is Outcome.ASSOCIATED
    assert small_archive.count("calselector") == 2


def test_without_a_tree_the_table_form_gives_the_files(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.MALFORMED_XML, times=CONTENT_TRIES)
    reply = only(client.associations(science[:1], "Raw2Raw"))
    assert reply.outcome is Outcome.NO_TREE and reply.tree is None
    assert {"CAL_DARK", "CAL_FLAT_TW"} <= {file.category for file in reply.listed}
    assert set(science) <= set(reply.covers)


def test_a_table_without_its_rows_is_asked_for_again(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.NO_TREE, times=CONTENT_TRIES)
    small_archive.fault(Fault.MISSING_ROWS, times=CONTENT_TRIES + 1)
    reply = only(client.associations(science[:1], "Raw2Raw"))
    assert any(file.category == "CAL_DARK" for file in reply.listed)


def test_no_tree_and_no_table_is_no_answer_and_leaves_the_frame_itself(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.NO_TREE)
    reply = only(client.associations(science[:1], "Raw2Raw"))
    assert (reply.outcome, reply.covers) == (Outcome.UNANSWERED, (science[0],))
    assert [file.name for file in reply.listed] == [science[0]]
    assert list_files([science[0]], [reply]).names == (science[0],)


def test_a_tree_with_a_dtd_is_not_read(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.XML_ENTITIES)
    reply = only(client.associations(science[:1], "Raw2Raw"))
    assert reply.tree is None and not reply.document
    assert "root:" not in repr(reply)


def test_a_service_that_keeps_failing_is_an_error_and_never_no_calibrations(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.HTTP_500, kind="calselector")
    with pytest.raises(ServiceError, match=r"HTTP 500 .*, after 3 tries"):
        client.associations(science, "Raw2Raw")


def test_a_busy_service_is_asked_after_the_pause_it_names(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.HTTP_429, kind="calselector", times=1)
    assert only(client.associations(science, "Raw2Raw")).outcome is Outcome.ASSOCIATED


def test_an_unknown_frame_does_not_spoil_the_others_of_its_batch(client: ArchiveClient, science: list[str]) -> None:
    replies = client.associations([science[0], "NACO.1999-01-01T00:00:00.000"], "Raw2Raw")
    assert [reply.outcome for reply in replies] == [Outcome.ASSOCIATED, Outcome.NO_TREE]
    assert "does not know" in replies[1].messages[0]


def test_protected_metadata_are_denied_alone_and_say_how_to_log_in(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str]
) -> None:
    small_archive.fault(Fault.HTTP_401, kind="calselector")
    reply = only(client.associations(science[:1], "Raw2Raw"))
    assert reply.outcome is Outcome.DENIED
    assert "esorex-bridge login" in reply.messages[0]


def test_protected_metadata_come_with_a_login(small_archive: EmbeddedArchive, science: list[str]) -> None:
    small_archive.fault(Fault.HTTP_401, kind="calselector", times=1)
    known = Credentials(DEMO_USER, DEMO_PASSWORD)
    with ArchiveClient(Services.at(small_archive.url), credentials=known) as client:
        assert only(client.associations(science, "Raw2Raw")).outcome is Outcome.ASSOCIATED
    assert small_archive.count("token") == 1


def many_templates(night: DemoNight, templates: int, frames: int) -> DemoNight:
    """Return a night of many science templates that share the calibrations of a small one."""
    (first, *_), tree = night.science, night.trees[0]
    files, trees = [], []
    for template in range(templates):
        start = f"2016-03-{2 + template // 20:02d}T{template % 20:02d}:00:00"
        members = []
        for number in range(frames):
            name = type(first.dp_id)(f"NACO.{start[:-5]}{number:02d}:00.000")
            keywords = tuple((key, start if key == "ESO TPL START" else value) for key, value in first.keywords)
            members.append(replace(first, dp_id=name, keywords=keywords))
        files += members
        root = replace(tree.root, files=tuple(member.associated for member in members))
        trees.append(replace(tree, root=root))
    return replace(night, name="many templates", files=(*night.files, *files), trees=(*night.trees, *trees))


@pytest.fixture(scope="module")
def crowded(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve 1,000 science frames of 50 templates, beside a small night."""
    night = many_templates(naco_night(npix=64), templates=50, frames=20)
    with EmbeddedArchive([night], frames_folder) as archive:
        yield archive


def test_a_thousand_frames_of_fifty_templates_cost_at_most_two_requests(crowded: EmbeddedArchive) -> None:
    crowded.requests.clear()
    with ArchiveClient(Services.at(crowded.url)) as client:
        rows = client.query(Constraints(instrument="naco", begin="2016-03-02", where="dp_id LIKE '%:00.000'"))
        templates = {row["dp_id"]: row["tpl_start"] for row in rows}
        replies = client.associations([row["dp_id"] for row in rows], "Raw2Raw", templates)
    assert (len(rows), len(set(templates.values()))) == (1000, 50)
    assert len(replies) == 50
    assert {name for reply in replies for name in reply.covers} >= set(templates)
    assert crowded.count("calselector") <= 2


def test_frames_that_no_answer_covers_are_asked_for_in_a_second_round(crowded: EmbeddedArchive) -> None:
    names = [file.dp_id for file in crowded.holdings.nights[0].science if file.dp_id.endswith(":00.000")][:60]
    crowded.requests.clear()
    with ArchiveClient(Services.at(crowded.url)) as client:
        # Three templates that pass for one: only the first is covered by the first answer.
        replies = client.associations(names, "Raw2Raw", dict.fromkeys(names, "2016-03-02T00:00:00"))
    assert {name for reply in replies for name in reply.covers} == set(names)
    assert (len(replies), crowded.count("calselector")) == (3, 2)


def test_parts_of_a_reply_may_come_in_any_order(crowded: EmbeddedArchive) -> None:
    names = [file.dp_id for file in crowded.holdings.nights[0].science if file.dp_id.endswith(":00:00.000")][:5]
    crowded.fault(Fault.REVERSED_PARTS, times=1)
    with ArchiveClient(Services.at(crowded.url)) as client:
        replies = client.associations(names, "Raw2Raw")
    assert {reply.asked for reply in replies} == set(names)
    assert all(reply.asked in reply.covers for reply in replies)


def test_trees_lie_beside_the_data_under_the_name_that_eso_gives_them(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    reply = only(client.associations(science, "Raw2Master"))
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    (path,) = save_trees([reply], tmp_path, now)
    assert path == tmp_path / f"{science[0]}_raw2raw.xml"
    assert path.read_bytes() == reply.document
    (saved,) = saved_trees(tmp_path)
    assert (saved.tree, saved.dp_id, saved.mode, saved.asked) == (reply.tree, science[0], "Raw2Master", now)


def test_patience_is_not_needed_for_answers_that_are_right(small_archive: EmbeddedArchive, science: list[str]) -> None:
    with ArchiveClient(Services.at(small_archive.url), patience=RetryPolicy(attempts=1)) as client:
        assert only(client.associations(science, "Raw2Raw")).outcome is Outcome.ASSOCIATED
