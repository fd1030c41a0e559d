"""Login over loopback: anonymous until a service asks, and nothing secret where it can be seen."""

from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from esorex_bridge.archive.auth import Credentials, Login, LoginError, find_credentials
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import AccessDeniedError, Answer, RetryPolicy, ServiceError
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.transfer import FileStatus
from esorex_bridge.demo.archive import login as login_pages
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER
from esorex_bridge.demo.nights.naco import naco_night
from tests.commands import PATIENCE_S

NIGHT = naco_night(npix=64)
PUBLIC, SECRET = str(NIGHT.science[0].dp_id), str(NIGHT.science[1].dp_id)
KNOWN = Credentials(DEMO_USER, DEMO_PASSWORD, "test")


@pytest.fixture
def archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve a night of which two frames are proprietary."""
    with EmbeddedArchive([NIGHT], frames_folder, proprietary={SECRET, NIGHT.science[2].dp_id}) as served:
        yield served


def test_public_files_are_fetched_without_a_login_even_where_there_is_one(
    archive: EmbeddedArchive, tmp_path: Path
) -> None:
    with ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        assert client.fetch([PUBLIC], tmp_path).complete
    assert archive.count("token") == 0


def test_a_proprietary_file_without_a_login_says_how_to_log_in(archive: EmbeddedArchive, tmp_path: Path) -> None:
    with ArchiveClient(Services.at(archive.url)) as client:
        public, secret = client.fetch([PUBLIC, SECRET], tmp_path).files
    assert (public.status, secret.status) == (FileStatus.FETCHED, FileStatus.DENIED)
    assert "esorex-bridge login" in secret.reason and "ESO_USERNAME" in secret.reason


def test_proprietary_files_come_with_one_token(archive: EmbeddedArchive, tmp_path: Path) -> None:
    names = [str(file.dp_id) for file in NIGHT.science]
    with ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        assert client.fetch(names, tmp_path, parallel=1).complete
    assert archive.count("token") == 1
    assert [request.status for request in archive.requests if request.kind == "file"].count(401) == 1


def test_credentials_are_looked_for_when_they_are_wanted_and_once(archive: EmbeddedArchive, tmp_path: Path) -> None:
    asked = []

    def find() -> Credentials:
        asked.append(1)
        return KNOWN

    with ArchiveClient(Services.at(archive.url), credentials=find) as client:
        client.fetch([PUBLIC], tmp_path)
        assert not asked
        client.fetch([SECRET, str(NIGHT.science[2].dp_id)], tmp_path)
    assert asked == [1]


def test_a_token_is_renewed_before_it_ends(
    archive: EmbeddedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_pages, "SHORT_LIFETIME_S", 1000)
    archive.fault(Fault.SHORT_TOKEN, kind="token")
    with ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        assert client.fetch([SECRET], tmp_path / "one").complete
        monkeypatch.setattr(client.connection.login(), "_clock", lambda: time.time() + 950)
        assert client.fetch([SECRET], tmp_path / "two").complete
    assert archive.count("token") == 2
    assert [request.status for request in archive.requests if request.kind == "file"].count(401) == 1


def test_a_token_is_used_for_nine_tenths_of_a_short_life() -> None:
    now = [1000.0]
    given: list[int] = []

    def answer(_: object) -> Answer:
        given.append(1)
        return Answer(200, {}, b'{"id_token": "no-jwt", "expires_in": 100}')

    login = Login(KNOWN, answer, clock=lambda: now[0])
    assert login.token().expires_at == 1100
    now[0] = 1089
    login.token()
    assert len(given) == 1
    now[0] = 1090
    assert login.token().expires_at == 1190
    login.token(refused="no-jwt")
    assert len(given) == 3


def test_a_wrong_password_is_said_with_its_source_and_never_shown(archive: EmbeddedArchive, tmp_path: Path) -> None:
    wrong = Credentials(DEMO_USER, "not-the-password-4711", "keyring")
    with ArchiveClient(Services.at(archive.url), credentials=wrong) as client:
        (file,) = client.fetch([SECRET], tmp_path).files
        assert file.status is FileStatus.DENIED
        assert "keyring" in file.reason and "4711" not in file.reason
        with pytest.raises(LoginError, match="keyring"):
            client.whoami()
    assert archive.count("token") == 1, "a wrong password that is tried again and again locks the account"


def test_whoami_says_the_user_and_the_end_of_the_token(archive: EmbeddedArchive) -> None:
    with ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        user, ends = client.whoami()
    assert user == DEMO_USER and ends > time.time() + 8 * 3600 - 60
    with ArchiveClient(Services.at(archive.url)) as nobody, pytest.raises(AccessDeniedError, match="bridge login"):
        nobody.whoami()


def test_netrc_never_replaces_a_token_and_is_never_sent(
    archive: EmbeddedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password wrong\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    # What requests does by itself: the wrong user is sent, and even public files are refused.
    assert requests.get(f"{archive.url}/dataPortal/file/{PUBLIC}", timeout=PATIENCE_S).status_code == 401
    with ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        assert client.fetch([PUBLIC, SECRET], tmp_path / "data").complete


def test_nothing_secret_is_logged(archive: EmbeddedArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        assert client.fetch([SECRET], tmp_path).complete
    assert "dataPortal" in caplog.text
    token = client.connection.login().token().value
    assert DEMO_PASSWORD not in caplog.text and token not in caplog.text
    assert DEMO_PASSWORD not in repr(KNOWN) and token not in repr(client.connection.login().token())


def test_an_error_of_the_login_service_does_not_repeat_the_password() -> None:
    services = Services.at("http://127.0.0.1:9")
    connection = Connection(services, credentials=KNOWN, patience=RetryPolicy(attempts=1))
    with pytest.raises(ServiceError) as caught:
        connection.login().token()
    shown = "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__suppress_context__)))
    assert "cannot be reached" in shown and DEMO_PASSWORD not in shown and caught.value.__suppress_context__


def test_a_password_is_not_sent_without_encryption_to_another_machine() -> None:
    connection = Connection(Services.at("http://archive.example"), credentials=KNOWN)
    with pytest.raises(AccessDeniedError, match="https only"):
        connection.login().token()


def test_the_keyring_is_for_eso_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esorex_bridge.archive.auth.stored_password", lambda user: "from the keyring")
    assert find_credentials({}, "somebody", keyring=False) is None
    found = find_credentials({}, "somebody")
    assert found is not None and found.source == "keyring"
    both = find_credentials({"ESO_USERNAME": "a", "ESO_PASSWORD": "b"}, "somebody")
    assert both is not None and (both.user, both.source) == ("a", "environment")
    assert find_credentials({}) is None


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another host that notes what it is sent."""

    seen: list[str | None]

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Redirecting(Elsewhere):
    """A host of the archive that wants a login and sends to another host."""

    target: str

    def do_GET(self) -> None:
        if self.path.startswith("/sso"):
            body = b'{"id_token": "secret-token", "expires_in": 100}'
            self.send_response(200)
        elif self.headers.get("Authorization") is None:
            body = b""
            self.send_response(401)
        else:
            body = b""
            self.seen.append(self.headers.get("Authorization"))
            self.send_response(302)
            self.send_header("Location", f"{self.target}/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def two_hosts() -> Iterator[tuple[type[Redirecting], type[Elsewhere], str]]:
    """Serve a host that sends to another one; yields both and the address of the first."""
    other = type("Other", (Elsewhere,), {"seen": []})
    first = type("First", (Redirecting,), {"seen": []})
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (other, first)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    first.target = f"http://127.0.0.1:{servers[0].server_port}"
    yield first, other, f"http://127.0.0.1:{servers[1].server_port}"
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_redirect_to_another_host_takes_no_token_along(
    two_hosts: tuple[type[Redirecting], type[Elsewhere], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other, url = two_hosts
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password wrong\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with ArchiveClient(Services.at(url), credentials=KNOWN) as client:
        (file,) = client.fetch([SECRET], tmp_path / "data").files
    assert file.status is FileStatus.MISSING
    assert first.seen == ["Bearer secret-token"]
    assert other.seen == [None]


def test_a_session_of_the_caller_is_used_and_stays_open(archive: EmbeddedArchive, tmp_path: Path) -> None:
    with requests.Session() as session:
        session.headers["User-Agent"] = "somebody"
        with ArchiveClient(Services.at(archive.url), session=session) as client:
            assert client.fetch([PUBLIC], tmp_path).complete
        assert session.get(f"{archive.url}/hdr", params={"DpId": PUBLIC}, timeout=PATIENCE_S).status_code == 200


def test_a_session_with_a_token_of_its_own_sends_it_to_the_archive_alone(
    archive: EmbeddedArchive, two_hosts: tuple[type[Redirecting], type[Elsewhere], str], tmp_path: Path
) -> None:
    with ArchiveClient(Services.at(archive.url), credentials=KNOWN) as client:
        token = client.connection.login().token().value
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        assert ArchiveClient(Services.at(archive.url), session=session).fetch([SECRET], tmp_path / "one").complete
        first, other, url = two_hosts
        ArchiveClient(Services.at(url), session=session).fetch([SECRET], tmp_path / "two")
    assert first.seen == [f"Bearer {token}"] and other.seen == [None]
