"""astroquery against the embedded archive, through its class attributes: the archive is faithful."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.services import Services
from esorex_bridge.demo.archive.embedded import EmbeddedArchive

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from astroquery.eso import Eso
    from astroquery.eso.core import EsoClass


@pytest.fixture
def astroquery(small_archive: EmbeddedArchive, tmp_path: Path) -> Iterator[EsoClass]:
    """Point astroquery at the embedded archive."""
    services = Services.at(small_archive.url)
    eso = Eso()
    eso.CALSELECTOR_URL, eso.DOWNLOAD_URL, eso.AUTH_URL = services.calselector, f"{services.files}/", services.token
    eso.cache_location = tmp_path / "cache"
    yield eso
    eso._session.close()


def test_astroquery_gets_the_calibrations_that_we_get(
    astroquery: EsoClass, client: ArchiveClient, small_archive: EmbeddedArchive
) -> None:
    science = [str(file.dp_id) for file in small_archive.holdings.nights[0].science]
    theirs = set(astroquery.get_associated_files(science, mode="raw"))
    ours = {file.name for reply in client.associations(science, "Raw2Raw") for file in reply.listed}
    assert theirs == ours - set(science)


def test_astroquery_downloads_and_we_keep_its_files(
    astroquery: EsoClass, client: ArchiveClient, small_archive: EmbeddedArchive, tmp_path: Path
) -> None:
    science = [str(file.dp_id) for file in small_archive.holdings.nights[0].science]
    folder = tmp_path / "data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = astroquery.retrieve_data(science, destination=str(folder), unzip=False)
    assert len(found) == len(science)
    before = small_archive.count("file")
    report = client.fetch(science, folder)
    assert [file.status.value for file in report.files] == ["kept"] * len(science)
    assert small_archive.count("file") == before


def test_astroquery_logs_in_where_we_do(astroquery: EsoClass, small_archive: EmbeddedArchive) -> None:
    from esorex_bridge.archive.auth import KEYRING_SERVICE
    from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER

    assert astroquery._authenticate(username=DEMO_USER, password=DEMO_PASSWORD)
    assert small_archive.count("token") == 1
    assert KEYRING_SERVICE == "astroquery:www.eso.org"
