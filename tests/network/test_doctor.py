"""`doctor`: what is here, and whether the archive behaves as we assume."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.probe import probe
from esorex_bridge.archive.replay import read_trace, replay_session
from esorex_bridge.archive.services import Services
from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night

SECRET = "NACO.2016-03-02T00:30:40.213"


@pytest.fixture
def archive(frames_folder: Path) -> EmbeddedArchive:
    """Return an archive of which one frame is proprietary."""
    return EmbeddedArchive([naco_night(npix=64)], frames_folder, proprietary={SECRET})


@pytest.mark.parametrize("manners", ["", "real_manners"])
def test_the_embedded_archive_behaves_as_we_assume(
    archive: EmbeddedArchive, manners: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    with archive:
        if manners:
            archive.fault(manners)
        code = main(["doctor", "--archive-probe", "--archive", archive.url])
    lines = capsys.readouterr().out.splitlines()
    different = [line for line in lines if line.startswith("different")]
    assert not [line for line in lines if line.startswith("not looked at")]
    assert len(lines) == 17
    assert (code, different) == (0, []), lines
    if manners:
        assert any("by a job" in line for line in lines)
        assert any("came first" in line for line in lines)


@pytest.mark.parametrize(
    ("fault", "kind", "named"),
    [
        ("calhtml", "calselector", "calSelector: one frame"),
        ("moved_token", "token", "login: a wrong password"),
        ("no_column", "tap", ""),
        ("new_semantics", "datalink", "DataLink: a raw frame"),
        ("refusing", "file", "files: one byte of a public frame"),
    ],
)
def test_what_is_different_is_named_and_exits_with_1(
    archive: EmbeddedArchive,
    fault: str,
    kind: str,
    named: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    with archive:
        archive.fault(fault, kind)  # type: ignore[arg-type]
        code = main(["doctor", "--archive-probe", "--archive", archive.url, "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    different = [finding["name"] for finding in findings if finding["result"] == "different"]
    assert (named in different, code) == ((True, 1) if named else (False, 0))


def test_the_trace_of_a_probe_is_a_test(
    archive: EmbeddedArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with archive:
        url = archive.url
        assert main(["doctor", "--archive-probe", "--archive", url, "--trace-http", str(tmp_path)]) == 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"wrong-on-purpose" not in written and b"esorex-bridge-probe" not in written
    client = ArchiveClient(Services.at(url), session=replay_session(tmp_path))
    day = datetime.fromtimestamp(read_trace(tmp_path)[0].began, UTC)
    assert {finding.name: finding.said for finding in probe(client, day) if finding.result != "as expected"} == {}


def test_doctor_says_what_is_here(archive: EmbeddedArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with archive:
        main(["doctor", "--archive", archive.url, "--root", str(tmp_path), "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert list(checks) == [
        "esorex-bridge",
        "EsoRex",
        "pipelines",
        "archive",
        "proxy, certificates",
        "login",
        "settings",
        "disk",
        "browser",
        "Slurm",
    ]
    assert checks["archive"]["result"] == "ok" and "GB free" in checks["disk"]["said"]


def test_doctor_says_what_is_missing_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:word@proxy.example:3128")
    assert main(["doctor", "--archive", "http://127.0.0.1:9", "--root", str(tmp_path), "--json"]) == 1
    out = capsys.readouterr().out
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert {name for name, check in checks.items() if check["result"] == "missing"} >= {
        "EsoRex",
        "archive",
        "proxy, certificates",
    }
    assert "apt-get install esorex" in checks["EsoRex"]["said"]
    assert "Connection refused" in checks["archive"]["said"] and "somebody" not in out and "word" not in out.split()
