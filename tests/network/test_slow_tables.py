"""TAP as it is when it has much to do: slow in many ways, jobs that do not begin or cannot be deleted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import RetryPolicy, ServiceError, TooLongError
from esorex_bridge.archive.query import COLUMNS, Constraints
from esorex_bridge.archive.services import Services
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, text_reply
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.nights.naco import naco_night

NACO = Constraints(instrument="naco")


@pytest.mark.parametrize("form", ["200", "400", "500", "202", "502", "504", "trailing"])
def test_a_query_that_the_service_gives_up_on_becomes_a_job_after_the_first_try(
    client: ArchiveClient, small_archive: EmbeddedArchive, form: str
) -> None:
    small_archive.fault(f"tap_timeout_{form}")
    assert len(client.query(NACO)) == 5
    paths = [request.path for request in small_archive.requests]
    assert paths.count("/tap_obs/sync") == 1
    assert sum(request.method == "DELETE" for request in small_archive.requests) == 1


@pytest.mark.parametrize("fault", [Fault.ASYNC_DELETE_403, Fault.JOB_LIST_REDIRECT, Fault.RUN_LOST])
def test_a_job_gives_its_rows_whatever_becomes_of_its_beginning_and_its_end(
    client: ArchiveClient, small_archive: EmbeddedArchive, fault: Fault
) -> None:
    small_archive.fault(fault)
    assert len(client.query(NACO, job=True)) == 5
    assert not [request for request in small_archive.requests if request.path == "/tap_obs/async/"]


def test_the_list_of_jobs_is_not_asked_for_after_a_deletion(
    client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    client.query(NACO, job=True)
    asked = [(request.method, request.path) for request in small_archive.requests]
    assert ("GET", "/tap_obs/async") not in asked


def test_a_job_that_is_wrong_is_an_error_about_the_query_also_where_it_cannot_be_deleted(
    client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    small_archive.fault(Fault.ASYNC_DELETE_403)
    with pytest.raises(Exception, match="does not understand the query"):
        client.query(Constraints(instrument="naco", where="nonsense = 1"), job=True)


def test_a_column_that_the_archive_lost_is_left_out_with_a_note(
    client: ArchiveClient, small_archive: EmbeddedArchive, caplog: pytest.LogCaptureFixture
) -> None:
    small_archive.fault(Fault.NO_COLUMN)
    rows = client.query(NACO)
    assert len(rows) == 5 and set(rows[0]) == set(COLUMNS)
    assert all(row["access_estsize"] is None for row in rows)
    assert "no column access_estsize" in caplog.text
    assert list(client.unknown_columns) == ["access_estsize"]


def test_an_answer_that_does_not_end_is_not_read_into_memory(
    small_archive: EmbeddedArchive, patience: RetryPolicy
) -> None:
    short = replace(patience, longest_document_bytes=2000)
    with ArchiveClient(Services.at(small_archive.url), patience=short) as client:
        with pytest.raises(TooLongError, match="longer than"):
            client.query(Constraints(instrument="naco", columns=("*",)))
        with pytest.raises(TooLongError):
            client.links("NACO.2016-03-02T00:30:00.076")


def test_a_service_that_trickles_is_given_up(small_archive: EmbeddedArchive) -> None:
    small_archive.fault(Fault.TRICKLE, kind="calselector")
    patience = RetryPolicy(attempts=2, first_wait_s=0.01, slow_window_s=0.3)
    with (
        ArchiveClient(Services.at(small_archive.url), patience=patience) as client,
        pytest.raises(ServiceError, match="does not answer in time"),
    ):
        client.associations(["NACO.2016-03-02T00:30:00.076"], "Raw2Raw")


PAGE = text_reply(200, "<html><head><title>Back soon</title></head></html>", "text/html;charset=utf-8")
NOTHING = text_reply(200, "", "text/xml")


class Interrupted(EmbeddedArchive):
    """An archive that answers some requests for tables with something else."""

    other = PAGE
    turns = range(0)
    asked = 0

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer, also where it is not the turn of something else."""
        if not request.path.startswith("/tap_obs") or request.method == "DELETE":
            return super().answer(request)
        turn, self.asked = self.asked, self.asked + 1
        return self.other if turn in self.turns else super().answer(request)


@pytest.fixture
def interrupted(frames_folder: Path) -> Iterator[Interrupted]:
    """Serve a night, with interruptions."""
    with Interrupted([naco_night(npix=64)], frames_folder) as archive:
        yield archive


@pytest.mark.parametrize("job", [False, True])
@pytest.mark.parametrize("turn", range(8))
def test_a_page_in_the_place_of_a_table_or_a_job_is_waited_out(
    interrupted: Interrupted, patience: RetryPolicy, job: bool, turn: int
) -> None:
    interrupted.turns = range(turn, turn + 1)
    with ArchiveClient(Services.at(interrupted.url), patience=patience) as client:
        assert len(client.query(NACO, job=job)) == 5


@pytest.mark.parametrize("job", [False, True])
@pytest.mark.parametrize("turn", [0, 3])
def test_a_page_that_stays_is_named_at_once_and_not_taken_for_a_job_that_goes_on(
    interrupted: Interrupted, patience: RetryPolicy, job: bool, turn: int
) -> None:
    interrupted.turns = range(turn if job else 0, 1000)
    with (
        ArchiveClient(Services.at(interrupted.url), patience=patience) as client,
        pytest.raises(ServiceError, match=r"a web page \('Back soon'\), after . tries"),
    ):
        client.query(NACO, job=job)


def test_what_is_no_job_is_an_error_of_the_service(interrupted: Interrupted, patience: RetryPolicy) -> None:
    interrupted.other = NOTHING
    interrupted.turns = range(1000)
    with ArchiveClient(Services.at(interrupted.url), patience=patience) as client:
        for job in (False, True):
            with pytest.raises(ServiceError, match="tap_obs"):
                client.query(NACO, job=job)


@pytest.mark.parametrize("form", ["binary", "binary2"])
def test_a_table_in_another_form_is_read_from_one_answer(
    interrupted: Interrupted, patience: RetryPolicy, form: str
) -> None:
    with ArchiveClient(Services.at(interrupted.url), patience=patience) as client:
        expected = client.query(NACO)
        table = client.query_table(NACO)
        document = io.BytesIO()
        table.write(document, format="votable", tabledata_format=form)
        interrupted.other = HttpReply(200, document.getvalue(), (("Content-Type", "application/x-votable+xml"),))
        interrupted.turns = range(1000)
        before = interrupted.asked
        assert client.query(NACO) == expected
        assert interrupted.asked == before + 1
