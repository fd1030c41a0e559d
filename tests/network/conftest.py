"""What tests over loopback share: a plain HTTP client that looks at no environment, and our own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from esorex_bridge.archive.auth import Credentials
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import RetryPolicy
from esorex_bridge.archive.services import Services
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER
from tests.batch_runs import await_that


def await_quiet(archive: EmbeddedArchive) -> None:
    """Wait until an archive has answered and logged all that a process asked which is gone."""
    requests.get(f"{archive.url}/")  # Connections are taken in their order: all earlier ones are open, or were.
    await_that(lambda: not archive._server._server._open)


@pytest.fixture
def web() -> Iterator[requests.Session]:
    """Give a session that takes nothing from .netrc or proxy variables."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def patience() -> RetryPolicy:
    """Give up soon: three tries, and pauses that a test can wait for."""
    return RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=2.0, read_s=10.0)


@pytest.fixture
def client(small_archive: EmbeddedArchive, patience: RetryPolicy) -> Iterator[ArchiveClient]:
    """Give a client of the small archive, without a login."""
    with ArchiveClient(Services.at(small_archive.url), patience=patience) as client:
        yield client


@pytest.fixture
def user(small_archive: EmbeddedArchive, patience: RetryPolicy) -> Iterator[ArchiveClient]:
    """Give a client of the small archive that can log in."""
    known = Credentials(DEMO_USER, DEMO_PASSWORD, "test")
    with ArchiveClient(Services.at(small_archive.url), credentials=known, patience=patience) as client:
        yield client
