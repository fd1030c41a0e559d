"""Probe: about a dozen small requests that say whether an archive behaves as we assume, one line each.

Nobody who writes this program can reach ESO at all times: with `--trace-http` one user's probe becomes a test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property

from msgspec import Struct

from esorex_bridge.archive.auth import Credentials
from esorex_bridge.archive.breakpoints import fetch_breakpoints
from esorex_bridge.archive.calselector import TreeDocument, documents, is_answer, read_replies
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import AccessDeniedError, Answer, what_came
from esorex_bridge.archive.query import COLUMNS
from esorex_bridge.archive.tap import QueryError, rows
from esorex_bridge.archive.votable import Links, read_links
from esorex_bridge.errors import BridgeError, UserError
from esorex_bridge.files import DpId

NIGHT = ("2016-03-02T00:00:00", "2016-03-03T00:00:00")
"""The frames that are asked about began here (UT): long public, and few."""

_TRIES = 2

UNKNOWN = DpId("NACO.1999-01-01T00:00:00.000")
"""A name that no frame has."""


class ProbeFinding(Struct, frozen=True):
    """What one request showed.

    Parameters
    ----------
    name : str
        What was looked at.
    result : {'as expected', 'different', 'not looked at'}
        Whether the archive does as we assume.
    said : str
        What it did, in words.
    seconds : float
        How long that took.
    """

    name: str
    result: str
    said: str
    seconds: float = 0.0


class DifferentError(BridgeError):
    """The archive does something else than we assume."""


class NotLookedAtError(BridgeError):
    """There is nothing to look at."""


def probe(client: ArchiveClient, now: datetime | None = None) -> Iterator[ProbeFinding]:
    """Yield what each request shows; none of them stops the others.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    now : datetime, optional
        The day of the probe, where it is played again from a trace.
    """
    asking = _Asking(client, now or datetime.now(UTC))
    for name, look in asking.looks.items():
        began = time.monotonic()
        try:
            result, said = "as expected", look()
        except NotLookedAtError as error:
            result, said = "not looked at", str(error)
        except BridgeError as error:
            result, said = "different", str(error)
        yield ProbeFinding(name, result, said, time.monotonic() - began)


class _Asking:
    """The requests, which share the names that the first of them find."""

    def __init__(self, client: ArchiveClient, now: datetime) -> None:
        self._client, self._now = client, now
        self._page_came = False
        self.looks: dict[str, Callable[[], str]] = {
            "TAP: columns of dbo.raw": self._columns,
            "TAP: one row": self._one_row,
            "TAP: a query that is wrong": self._wrong_query,
            "TAP: a query over all frames": self._slow_query,
            "TAP: a job, deleted afterwards": self._job,
            "calSelector: one frame": lambda: self._associations(1),
            "calSelector: three frames": lambda: self._associations(3),
            "calSelector: an unknown frame": self._unknown_association,
            "calSelector: the table form": self._association_table,
            "calSelector: breakpoints": self._breakpoints,
            "DataLink: a raw frame": lambda: self._links(self._frames[0]),
            "DataLink: a processed file": lambda: self._links(self._master),
            "DataLink: an unknown frame": self._unknown_links,
            "files: one byte of a public frame": self._range,
            "files: a proprietary frame, without a login": self._proprietary,
            "login: a wrong password": self._wrong_password,
        }

    @cached_property
    def _frames(self) -> tuple[DpId, ...]:
        begin, end = NIGHT
        text = (
            "SELECT TOP 3 dp_id FROM dbo.raw WHERE dp_cat = 'SCIENCE' "
            f"AND exp_start >= '{begin}' AND exp_start < '{end}'"
        )
        found = tuple(DpId(str(row["dp_id"])) for row in rows(self._client.ask(text, 3)))
        if not found:
            raise NotLookedAtError(f"no science frame began between {begin} and {end}")
        return found

    @cached_property
    def _master(self) -> DpId:
        answer = self._ask(self._frames[:1])
        replies = read_replies(self._frames[:1], "Raw2Raw", _documents(answer))
        name = next((file.name for reply in replies for file in reply.listed if file.name.startswith("M.")), None)
        if name is None:
            raise NotLookedAtError("the association of the frame names no processed file")
        return name

    def _columns(self) -> str:
        text = "SELECT column_name FROM TAP_SCHEMA.columns WHERE table_name = 'dbo.raw'"
        there = {str(row["column_name"]).lower() for row in rows(self._client.ask(text))}
        lacking = [name for name in (*COLUMNS, "s_region", "target") if name not in there]
        if lacking:
            raise DifferentError(f"{len(there)} columns, without {', '.join(lacking)}")
        return f"{len(there)} columns, with all that we ask for"

    def _one_row(self) -> str:
        return f"{len(self._frames)} frames, such as {self._frames[0]}"

    def _wrong_query(self) -> str:
        try:
            self._client.ask("SELECT TOP 1 no_such_column FROM dbo.raw", 1)
        except QueryError as error:
            return f"refused: {error.said[:100]}"
        raise DifferentError("it is answered")

    def _slow_query(self) -> str:
        phases: list[str] = []
        text = "SELECT COUNT(*) AS frames FROM dbo.raw WHERE prog_title LIKE '%quasar%'"
        self._client.ask(text, watch=phases.append)
        return f"answered {'by a job' if phases else 'at once'}"

    def _job(self) -> str:
        phases: list[str] = []
        self._client.ask("SELECT TOP 1 dp_id FROM dbo.raw", 1, job=True, watch=phases.append)
        return " → ".join(phases).lower()

    def _associations(self, number: int) -> str:
        names = self._frames[:number]
        answer = self._ask(names)
        replies = read_replies(names, "Raw2Raw", _documents(answer))
        covered = {name for reply in replies for name in reply.covers}
        if not set(names) <= covered:
            raise DifferentError(f"HTTP {answer.status}, and no tree for {', '.join(sorted(set(names) - covered))}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        first = "; a page or a failure came first" if self._page_came else ""
        return f"{len(replies)} trees for {len(names)} frames ({kind}){first}"

    def _ask(self, names: tuple[str, ...]) -> Answer:
        """Return the answer for frames; the service at times sends a page first."""
        form = [*(("dp_id", name) for name in names), ("mode", "Raw2Raw")]
        for attempt in range(1, _TRIES + 1):
            answer = self._client.connection.post(self._client.services.calselector, form, thinks_long=True, attempts=2)
            kind = answer.headers.get("Content-Type", "")
            if answer.status == 200 and is_answer(kind, answer.body):
                self._page_came = attempt > 1
                return answer
            self._client.connection.rest(attempt)
        raise DifferentError(f"HTTP {answer.status} with {what_came(kind, answer.body)}, after {_TRIES} tries")

    def _unknown_association(self) -> str:
        form = [("dp_id", UNKNOWN), ("mode", "Raw2Raw")]
        answer = self._client.connection.post(self._client.services.calselector, form, thinks_long=True, attempts=2)
        came = what_came(answer.headers.get("Content-Type", ""), answer.body)
        if answer.status != 400:
            raise DifferentError(f"HTTP {answer.status} with {came}, where we expect 400")
        return f"HTTP 400 with {came}"

    def _association_table(self) -> str:
        params = (("dp_id", self._frames[0]), ("mode", "Raw2Raw"), ("responseformat", "votable"))
        answer = self._client.connection.get(self._client.services.calselector, params, thinks_long=True)
        links = read_links(answer.body)
        if not links.rows:
            raise DifferentError("a table without rows")
        kinds = dict.fromkeys(row.semantics for row in links.rows)
        _refuse_unknown(links)
        return f"{len(links.rows)} rows: {', '.join(kinds)}"

    def _breakpoints(self) -> str:
        document = fetch_breakpoints(self._client.connection)
        return "none (HTTP 404)" if document is None else f"{len(json.loads(document))} dates"

    def _links(self, name: DpId) -> str:
        links = self._client.links(name)
        _refuse_unknown(links)
        return f"{len(links.rows)} rows of {name}"

    def _unknown_links(self) -> str:
        try:
            self._client.links(UNKNOWN)
        except AccessDeniedError as error:
            return f"refused: {error}"
        raise DifferentError("it has links")

    def _range(self) -> str:
        url = self._client.services.file_url(self._frames[0])
        headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
        refusals = len(self._client.connection.patience.refusal_waits_s)
        response = self._client.connection.open("GET", url, headers=headers, anonymous=True, refusals=refusals)
        with closing(response):
            said = response.headers.get("Content-Range", "no Content-Range")
            validators = [name for name in ("ETag", "Last-Modified") if name in response.headers]
            status = response.status_code
        if status not in (200, 206):
            raise DifferentError(f"HTTP {status} for a public frame")
        return f"HTTP {status}, {said}, {' and '.join(validators) or 'neither ETag nor Last-Modified'}"

    def _proprietary(self) -> str:
        text = f"SELECT TOP 1 dp_id FROM dbo.raw WHERE dp_cat = 'SCIENCE' AND release_date > '{self._now:%Y-%m-%d}'"
        found = [str(row["dp_id"]) for row in rows(self._client.ask(text, 1))]
        if not found:
            raise NotLookedAtError("the archive lists no proprietary frame")
        url = self._client.services.file_url(found[0])
        headers = {"Range": "bytes=0-0"}
        with closing(self._client.connection.open("GET", url, headers=headers, anonymous=True)) as response:
            status = response.status_code
        if status not in (401, 403):
            raise DifferentError(f"HTTP {status}, where we expect 401 or 403")
        return f"HTTP {status}"

    def _wrong_password(self) -> str:
        wrong = Credentials("esorex-bridge-probe", "wrong-on-purpose", "the probe")
        login = self._client.connection.login_of(wrong)
        try:
            login.token()
        except UserError:
            return "refused with a JSON error"
        raise DifferentError("a token for a wrong password")


def _refuse_unknown(links: Links) -> None:
    if links.unknown:
        raise DifferentError(f"unknown semantics: {', '.join(dict.fromkeys(row.semantics for row in links.unknown))}")


def _documents(answer: Answer) -> tuple[TreeDocument, ...]:
    return documents(answer.headers.get("Content-Type", ""), answer.headers.get("Content-Disposition", ""), answer.body)
