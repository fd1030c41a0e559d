"""TAP as it is when it has much to do: slow in many ways, jobs that do not begin or cannot be deleted."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import RetryPolicy, ServiceError, TooLongError
from esorex_bridge.archive.query import COLUMNS, Constraints
from esorex_bridge.archive.services import Services
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault

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
