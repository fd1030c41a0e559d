"""Readers of what the archive sends end with a value or an error of ours, whatever comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esorex_bridge.archive.auth import Credentials, Login
from esorex_bridge.archive.calselector import attachment_name, documents, is_answer, read_replies
from esorex_bridge.archive.exchange import Answer, bare, retry_after_s, speaks_of_time, what_came
from esorex_bridge.archive.nightlog import read_night_log
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.transfer import Begin, Partial, local_name, read_answer, time_of
from esorex_bridge.archive.votable import read_links, read_statement
from esorex_bridge.errors import BridgeError
from esorex_bridge.fits.volatile import stable
from esorex_bridge.values import visible

TELLING = [
    "multipart/form-data; boundary=x",
    "filename*=utf-8''%",
    "boundary*=",
    "\x00",
    "=?utf-8?q?=",
    "bytes 1-2/3",
    "Thu, 01 Jan 99999 00:00:00 GMT",
    "1e999",
    "nan",
    "-inf",
    "http://[::1",
    "https://a:b@c:99999/",
    "--x\r\n",
    'attachment; filename="',
    "name*0*=",
    "Content-Transfer-Encoding: base64\r\n\r\n=",
    "\ud800",
    "<a",
    "]]>",
    "charset=none",
    "Mon, 32 Foo 2020 25:61:61 +9999",
    "9" * 5000,
]
TEXT = st.lists(st.one_of(st.text(max_size=12), st.sampled_from(TELLING)), max_size=6).map("".join)
BYTES = st.one_of(st.binary(max_size=200), TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
CREDENTIALS = Credentials("user", "word")


def login(text: str, body: bytes) -> None:
    Login(
        CREDENTIALS, lambda _: Answer(len(text) % 2 * 200 + 200, {"Content-Type": text, "Location": text}, body)
    ).token()


def answer(text: str, body: bytes) -> None:
    headers = {"Content-Range": text, "Content-Length": text, "ETag": text, "Content-Disposition": text}
    for status in (200, 206):
        begin = read_answer(status, headers, Partial(1, 3, text, text), False)
        if isinstance(begin, Begin):
            local_name("NACO.2016-03-02T00:30:00.076", begin.name, body)


def reply(text: str, body: bytes) -> None:
    read_replies(["NACO.2016-03-02T00:30:00.076"], "Raw2Raw", documents(text, text, body))


TARGETS: dict[str, Callable[[str, bytes], Any]] = {
    "Retry-After": lambda text, _: retry_after_s(text),
    "Content-Disposition": lambda text, _: attachment_name(text),
    "a reply of calSelector": reply,
    "the kind of an answer": lambda text, body: (is_answer(text, body), what_came(text, body), speaks_of_time(text)),
    "an address": lambda text, _: (bare(text), Services().upgrade_address(text), Services().trusts(text)),
    "headers of a file": answer,
    "a table of links": lambda _, body: read_links(body),
    "a statement": lambda text, _: read_statement(text),
    "a night log": lambda _, body: read_night_log(body),
    "a time in a name": lambda text, _: time_of(text, 0.0),
    "an answer of the login service": login,
    "a patched header": lambda _, body: stable(b"COMMENT hotfly" + body),
    "a text to be shown": lambda text, _: visible(text, 20).encode(),
}


def check(target: str, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(TEXT, BYTES)
    def run(text: str, body: bytes) -> None:
        with contextlib.suppress(BridgeError):
            TARGETS[target](text, body)

    run()


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_comes_ends_typed(target: str) -> None:
    check(target, 100)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", TARGETS)
def test_whatever_comes_ends_typed_twenty_thousand_times(target: str) -> None:
    check(target, 20_000)


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    shown = visible("a\x1b[2J\u202eb\x00é\n日本\x7f\x85\u2066\ufeff")
    assert shown == r"a\x1b[2J\u202eb\x00é\x0a日本\x7f\x85\u2066\ufeff"
