"""What the archive did, written down and played again; and nothing secret in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from msgspec.structs import replace

from esorex_bridge.archive.auth import Credentials
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import RetryPolicy, ServiceError
from esorex_bridge.archive.query import Constraints
from esorex_bridge.archive.replay import read_trace, replay_session
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.trace import EXCHANGES
from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, redirect
from esorex_bridge.demo.archive.faults import Fault, Kind
from esorex_bridge.demo.archive.login import DEMO_PASSWORD
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.errors import DataError

SCIENCE = "NACO.2016-03-02T00:30:00.076"


def everything_in(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_fetch_is_played_again_without_the_archive(
    frames_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, trace = tmp_path / "first", tmp_path / "again", tmp_path / "trace"
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        url = archive.url
        archive.fault(Fault.CALHTML, "calselector", times=1)
        archive.fault(Fault.TRUNCATED, "file", times=2)
        words = ["fetch", SCIENCE, "--yes", "--archive", url, "--root"]
        monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
        assert main([*words, str(first), "--trace-http", str(trace)]) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    data = first / "reflex_input" / "data_with_raw_calibs"
    monkeypatch.setenv("ESOREX_BRIDGE_REPLAY_HTTP", f"{trace}:{data}")
    assert main([*words, str(again)]) == 0
    other = again / "reflex_input" / "data_with_raw_calibs"
    names = {path.name for path in data.iterdir() if not path.name.startswith(".")}
    assert len(names) == 21
    assert names == {path.name for path in other.iterdir() if not path.name.startswith(".")}
    for name in names:
        assert (data / name).read_bytes() == (other / name).read_bytes()


def test_an_exchange_says_what_was_asked_and_what_came(small_archive: EmbeddedArchive, tmp_path: Path) -> None:
    with ArchiveClient(Services.at(small_archive.url), trace=tmp_path) as client:
        client.fetch([SCIENCE], tmp_path / "data")
        client.associations([SCIENCE], "Raw2Raw")
    file, tree = read_trace(tmp_path)
    assert (file.method, file.status, file.auth, file.kept) == ("GET", 200, "none", "beginning")
    path = tmp_path / "data" / f"{SCIENCE}.fits.Z"
    assert file.length == path.stat().st_size and file.headers["ETag"]
    beginning = next(body.read_bytes() for body in (tmp_path / "bodies").iterdir() if body.stat().st_size == 8192)
    assert path.read_bytes().startswith(beginning)
    assert tree.form == (("dp_id", SCIENCE), ("mode", "Raw2Raw")) and tree.kept == "whole"
    assert tree.request_headers["User-Agent"].startswith("esorex-bridge/")


def test_a_service_that_cannot_be_reached_is_in_the_trace_and_fails_again_alike(tmp_path: Path) -> None:
    services = Services.at("http://127.0.0.1:9")
    patience = RetryPolicy(attempts=2, first_wait_s=0.01)
    with (
        ArchiveClient(services, patience=patience, trace=tmp_path) as client,
        pytest.raises(ServiceError, match=r"Connection refused.*after 2 tries"),
    ):
        client.links(SCIENCE)
    assert [exchange.status for exchange in read_trace(tmp_path)] == [None, None]
    assert any("refused" in text for text in read_trace(tmp_path)[0].errors)
    client = ArchiveClient(services, session=replay_session(tmp_path), patience=patience)
    with pytest.raises(ServiceError, match="cannot be reached"):
        client.links(SCIENCE)


CANARY = Credentials("canary.user", "Canary+4711/é %", "test")


def test_a_trace_of_a_login_holds_no_secret(frames_folder: Path, tmp_path: Path) -> None:
    night = naco_night(npix=64)
    with EmbeddedArchive([night], frames_folder, proprietary={SCIENCE}) as archive:
        archive.accounts[CANARY.user] = CANARY.password
        with ArchiveClient(Services.at(archive.url), credentials=CANARY, trace=tmp_path / "trace") as client:
            token = client.connection.login().token().value
            client.authenticate()
            assert client.fetch([SCIENCE], tmp_path / "data").complete
            assert client.query(Constraints(dp_ids=(SCIENCE,)))
            archive.fault(Fault.MOVED_TOKEN, "token")
            with pytest.raises(Exception, match="has moved"):
                client.connection.login().token(refused=token)
    written = everything_in(tmp_path / "trace")
    for secret in (CANARY.user, CANARY.password, token, "4711", "Canary"):
        assert secret.encode() not in written
    assert b"<user>" in written
    by_auth = {exchange.auth: exchange for exchange in read_trace(tmp_path / "trace")}
    assert by_auth["bearer"].kept == "nothing" and by_auth["bearer"].length


def test_what_holds_a_secret_all_the_same_is_not_kept(frames_folder: Path, tmp_path: Path) -> None:
    night = naco_night(npix=64)
    telling = Credentials(str(night.science[0].keyword("PI-COI") or "UNKNOWN"), DEMO_PASSWORD, "test")
    with EmbeddedArchive([night], frames_folder) as archive:
        archive.accounts[telling.user] = telling.password
        client = ArchiveClient(Services.at(archive.url), credentials=telling, trace=tmp_path)
        client.whoami()
        client.query(Constraints(instrument="naco", columns=("*",)))
        with pytest.raises(DataError, match="held a password, a token or a user's name; removed"):
            client.connection.close()
    assert telling.user.encode() not in everything_in(tmp_path)


def test_what_is_no_trace_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_trace(tmp_path)
    (tmp_path / EXCHANGES).write_text(json.dumps({"esorex_bridge_trace": 99}))
    with pytest.raises(DataError, match="version 99"):
        read_trace(tmp_path)
    (tmp_path / EXCHANGES).write_text("[]\n")
    with pytest.raises(DataError, match="not a trace"):
        read_trace(tmp_path)


def test_a_question_that_is_not_in_the_trace_is_not_made_up(small_archive: EmbeddedArchive, tmp_path: Path) -> None:
    with ArchiveClient(Services.at(small_archive.url), trace=tmp_path) as client:
        client.links(SCIENCE)
    quick = replace(RetryPolicy(), attempts=1)
    client = ArchiveClient(Services.at(small_archive.url), session=replay_session(tmp_path), patience=quick)
    assert client.links(SCIENCE).rows
    with pytest.raises(ServiceError):
        client.night_log(SCIENCE)


def test_a_session_of_vcrpy_records_and_plays_too(small_archive: EmbeddedArchive, tmp_path: Path) -> None:
    import vcr

    cassette = str(tmp_path / "cassette.yaml")

    def work(into: Path) -> list[object]:
        with requests.Session() as session:
            client = ArchiveClient(Services.at(small_archive.url), session=session)
            found: list[object] = [client.query(Constraints(instrument="naco"))]
            found.append(client.associations([SCIENCE], "Raw2Raw")[0].tree)
            return [*found, client.fetch([SCIENCE], into).files[0].digest]

    with vcr.use_cassette(cassette):
        first = work(tmp_path / "first")
    asked = len(small_archive.requests)
    with vcr.use_cassette(cassette, record_mode="none"):
        assert work(tmp_path / "again") == first
    assert len(small_archive.requests) == asked


def test_no_secret_of_a_redirect_a_proxy_or_a_session_is_in_a_trace_or_a_message(
    small_archive: EmbeddedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets that nobody told us: in addresses that a service names, in the environment, on a caller's session."""
    host = small_archive.url.removeprefix("http://")
    where = f"http://canary:Canary1@{host}/tap_obs/capabilities;jsessionid=Canary2?ticket=Canary3&keep=this#id_token=Canary4"
    said = []
    with ArchiveClient(Services.at(small_archive.url), trace=tmp_path / "redirect") as client:
        monkeypatch.setattr(small_archive, "_route", redirecting(where, small_archive._route))
        said.append(client.connection.get(client.services.datalink).status)
    with requests.Session() as session:
        session.headers["Authorization"] = "Basic Y2FuYXJ5OkNhbmFyeTU="
        client = ArchiveClient(Services.at(small_archive.url), session=session, trace=tmp_path / "session")
        client.query(Constraints(instrument="naco"))
        client.connection.close()
    quick = replace(RetryPolicy(), attempts=1)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://canary:Canary6@127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with (
        ArchiveClient(Services.at(small_archive.url), patience=quick, trace=tmp_path / "proxy") as client,
        pytest.raises(ServiceError, match="proxy") as caught,
    ):
        client.links(SCIENCE)
    written = everything_in(tmp_path)
    assert b"anary" not in written and b"Y2FuYXJ5" not in written
    assert "anary" not in str(caught.value) and "127.0.0.1:9" in str(caught.value)
    assert b"keep=this" in written
    assert {exchange.auth for exchange in read_trace(tmp_path / "session")} == {"other"}


def redirecting(
    where: str, route: Callable[[Kind, HttpRequest], HttpReply]
) -> Callable[[Kind, HttpRequest], HttpReply]:
    """Return a service of links that sends elsewhere."""
    return lambda kind, request: redirect(302, where) if kind == "datalink" else route(kind, request)


def test_who_asks_is_told_to_the_archive_and_not_to_a_trace(
    small_archive: EmbeddedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_CONTACT", "canary@institute.example")
    seen = []
    answer = small_archive.answer
    monkeypatch.setattr(
        small_archive._server._server,
        "answer",
        lambda request: (seen.append(request.headers["user-agent"]), answer(request))[1],
    )
    words = ["query", "--instrument", "naco", "--archive", small_archive.url]
    assert main([*words, "--trace-http", str(tmp_path)]) == 0
    assert all("(canary@institute.example) python-requests/" in name for name in seen) and seen
    assert b"canary" not in everything_in(tmp_path)
    monkeypatch.setenv("ESOREX_BRIDGE_CONTACT", "two words\r\nX-Other: 1")
    assert main(words) == 1
    assert "no e-mail or web address" in capsys.readouterr().err
