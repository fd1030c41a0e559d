"""Proxies and certificates: what stands on the way is named in the message."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import RetryPolicy, ServiceError
from esorex_bridge.archive.services import Services
from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault

QUICK = RetryPolicy(attempts=2, first_wait_s=0.01, connect_s=5.0, read_s=5.0)
NAME = "NACO.2016-03-02T00:30:00.076"


@pytest.fixture
def own_certificate(tmp_path: Path) -> Iterator[str]:
    """Serve TLS with a certificate that nobody vouches for; yields the address."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                    with connection, context.wrap_socket(connection, server_side=True):
                        pass
                except OSError:
                    continue

        listening.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        thread.join()


def test_a_certificate_that_nobody_vouches_for_says_what_to_set(
    own_certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with ArchiveClient(Services.at(own_certificate), patience=QUICK) as client, pytest.raises(ServiceError) as caught:
        client.links(NAME)
    said = str(caught.value)
    assert "certificate cannot be verified (self-signed certificate)" in said
    assert "REQUESTS_CA_BUNDLE" in said and "after 2 tries" in said


def test_the_certificates_in_use_are_named_with_their_variable(
    own_certificate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "institute.pem"
    other.write_bytes(Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt").read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with ArchiveClient(Services.at(own_certificate), patience=QUICK) as client, pytest.raises(ServiceError) as caught:
        client.links(NAME)
    assert f"certificates from {other} (REQUESTS_CA_BUNDLE)" in str(caught.value)


def test_the_proxy_is_named_with_its_variable_and_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://user:word-4711@127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://user:word-4711@127.0.0.1:9")
    with (
        ArchiveClient(Services.at("http://archive.example"), patience=QUICK) as client,
        pytest.raises(ServiceError) as caught,
    ):
        client.links(NAME)
    said = str(caught.value)
    assert "through the proxy http://127.0.0.1:9 (HTTP_PROXY)" in said and "4711" not in said
    assert "Connection refused" in said


def test_retries_are_told_at_v_and_other_libraries_are_silent(
    small_archive: EmbeddedArchive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    small_archive.fault(Fault.HTTP_503, "calselector", times=1)
    words = ["associations", NAME, "--archive", small_archive.url, "--root", str(tmp_path)]
    assert main([*words, "-vv"]) == 0
    said = capsys.readouterr().err
    assert "HTTP 503 with a web page ('503 Service Unavailable'); try 2 of 5 in" in said
    assert "urllib3" not in said
    logging.getLogger("urllib3").warning("a warning of a library")
    assert "a warning of a library" not in capsys.readouterr().err


def test_we_name_ourselves_and_the_library(small_archive: EmbeddedArchive, tmp_path: Path) -> None:
    with ArchiveClient(Services.at(small_archive.url)) as client:
        agent = str(client.connection.session.headers["User-Agent"])
    assert agent.startswith("esorex-bridge/") and "python-requests/" in agent
