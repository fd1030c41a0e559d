"""The embedded archive's login, and what it protects."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.exchange import HttpRequest
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER, LoginPages
from esorex_bridge.demo.nights.naco import naco_night

NIGHT = naco_night(npix=64)
PUBLIC, SECRET = NIGHT.science[0].dp_id, NIGHT.science[1].dp_id


@pytest.fixture
def archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve a night of which one frame is proprietary."""
    with EmbeddedArchive([NIGHT], frames_folder, proprietary={SECRET}) as served:
        yield served


def log_in(web: requests.Session, archive: EmbeddedArchive, password: str = DEMO_PASSWORD) -> requests.Response:
    form = {
        "response_type": "id_token token",
        "grant_type": "password",
        "client_id": "clientid",
        "username": DEMO_USER,
        "password": password,
    }
    return web.get(f"{archive.url}/sso/oidc/token", params=form)


def status(web: requests.Session, archive: EmbeddedArchive, dp_id: str, authorization: str | None = None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    return web.get(f"{archive.url}/dataPortal/file/{dp_id}", headers=headers).status_code


@pytest.mark.real
def test_a_token_has_the_fields_of_a_real_one(real: Path, archive: EmbeddedArchive, web: requests.Session) -> None:
    fields = json.loads((real / "astroquery" / "oidc_token.json").read_text())
    assert log_in(web, archive).json().keys() == fields.keys()


def test_a_token_is_a_jwt_that_lasts_eight_hours(archive: EmbeddedArchive, web: requests.Session) -> None:
    document = log_in(web, archive).json()
    header, claims, signature = document["id_token"].split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert said["exp"] - said["iat"] == document["expires_in"] == 28800
    assert abs(said["iat"] - time.time()) < 60
    assert (said["sub"], bool(header), bool(signature)) == (DEMO_USER, True, True)


def test_a_wrong_password_is_401(archive: EmbeddedArchive, web: requests.Session) -> None:
    assert log_in(web, archive, "guess").status_code == 401


def test_proprietary_files_need_a_login(archive: EmbeddedArchive, web: requests.Session) -> None:
    token = log_in(web, archive).json()["id_token"]
    basic = base64.b64encode(f"{DEMO_USER}:{DEMO_PASSWORD}".encode()).decode()
    presented = (None, f"Bearer {token}", f"Basic {basic}", "Bearer x.y.z")
    seen = [status(web, archive, SECRET, value) for value in presented]
    assert seen == [401, 200, 200, 401]


def test_wrong_credentials_fail_even_for_public_files(archive: EmbeddedArchive, web: requests.Session) -> None:
    wrong = base64.b64encode(b"demo:wrong").decode()
    assert [status(web, archive, PUBLIC, value) for value in (None, f"Basic {wrong}")] == [200, 401]


def test_protected_rows_say_when_they_become_public(archive: EmbeddedArchive, web: requests.Session) -> None:
    query = f"SELECT dp_id FROM dbo.raw WHERE release_date > '2050-01-01' AND dp_id LIKE '{SECRET[:8]}%'"
    parameters = {"REQUEST": "doQuery", "LANG": "ADQL", "FORMAT": "json", "QUERY": query}
    assert web.get(f"{archive.url}/tap_obs/sync", params=parameters).json()["data"] == [[SECRET]]


def test_short_tokens_expire() -> None:
    clock = [1000.0]
    login = LoginPages(lambda: clock[0])
    form = (("grant_type", "password"), ("username", DEMO_USER), ("password", DEMO_PASSWORD))
    token = json.loads(login.answer(HttpRequest("GET", "/sso/oidc/token", form, {}, "")).body)["id_token"]
    request = HttpRequest("GET", "/", (), {"authorization": f"Bearer {token}"}, "")
    users = []
    for clock[0] in (1000.0, 1000.0 + 28799, 1000.0 + 28801):
        users.append(login.user(request))
    assert users == [DEMO_USER, DEMO_USER, None]


def test_the_short_token_fault_gives_tokens_of_two_seconds(archive: EmbeddedArchive, web: requests.Session) -> None:
    archive.fault("short_token", times=1)
    assert [log_in(web, archive).json()["expires_in"] for _ in range(2)] == [2, 28800]
