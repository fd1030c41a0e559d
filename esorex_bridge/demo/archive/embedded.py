"""The embedded archive: calSelector, TAP, DataLink, data portal and login on loopback, with synthetic nights.

Everything hangs under one address: `URL/calselector/v1/associations`, `URL/tap_obs`, `URL/datalink/links`,
`URL/dataPortal/file/<dp_id>`, `URL/hdr`, `URL/sso/oidc/token`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.demo.archive.effects import apply_faults
from esorex_bridge.demo.archive.exchange import Delivery, HttpReply, HttpRequest, html_error
from esorex_bridge.demo.archive.faults import Fault, FaultBoard, Kind, faults_named
from esorex_bridge.demo.archive.holdings import Holdings
from esorex_bridge.demo.archive.jobs import TapJobs
from esorex_bridge.demo.archive.links import ID_PREFIX, answer_links
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER, LoginPages
from esorex_bridge.demo.archive.name_service import POSITIONS, answer_name
from esorex_bridge.demo.archive.portal import NIGHT_LOG_SUFFIX, deliver, header_page
from esorex_bridge.demo.archive.rows import archive_tables
from esorex_bridge.demo.archive.selector import answer_associations, answer_breakpoints
from esorex_bridge.demo.archive.server import LoopbackServer
from esorex_bridge.demo.archive.tap import TapDatabase, answer_sync
from esorex_bridge.demo.archive.tap_description import capabilities, tables_document
from esorex_bridge.demo.nights.night import DemoNight

_KINDS: tuple[tuple[str, Kind], ...] = (
    ("/calselector/", "calselector"),
    ("/tap_obs/", "tap"),
    ("/datalink/", "datalink"),
    ("/dataPortal/", "file"),
    ("/dataportal_new/", "file"),
    ("/hdr", "header"),
    ("/sso/", "token"),
    ("/sesame/", "sesame"),
)


_TURNS: tuple[tuple[Fault, Kind, Callable[[int], bool]], ...] = (
    (Fault.FLAKY401, "file", lambda turn: turn <= 2),
    (Fault.CALHTML_ONCE, "calselector", lambda turn: turn == 1),
    (Fault.CAL500LATE, "calselector", lambda turn: turn > 2),
)
"""Faults that depend on how often they were met: the service, and when."""


class LoggedRequest(Struct, frozen=True):
    """One request that the archive has answered.

    Parameters
    ----------
    method, path : str
        As sent, without the query.
    range : str
        The Range header, or empty.
    status : int
        What was answered.
    kind : Kind or None
        Which service; None for no service.
    """

    method: str
    path: str
    range: str
    status: int
    kind: Kind | None


class EmbeddedArchive:
    """An archive on 127.0.0.1, serving from entry to exit of its context.

    Parameters
    ----------
    nights : iterable of Night
        What it holds.
    folder : Path
        Where frames are kept once they were made; may be shared by many archives.
    port : int
        0 for any free one.
    proprietary : collection of str
        dp_ids that only a user who logged in may have.
    latency_s : float
        Wait before every reply.
    bytes_per_s : float or None
        Speed of each connection.
    """

    def __init__(
        self,
        nights: Iterable[DemoNight],
        folder: Path,
        *,
        port: int = 0,
        proprietary: Collection[str] = (),
        latency_s: float = 0.0,
        bytes_per_s: float | None = None,
    ) -> None:
        self.holdings = Holdings(nights, folder, proprietary)
        self.requests: list[LoggedRequest] = []
        self.positions = dict(POSITIONS)
        self.accounts = {DEMO_USER: DEMO_PASSWORD}
        self._login = LoginPages(time.time, self.accounts)
        self._faults = FaultBoard()
        self._latency_s = latency_s
        self._delivery = Delivery(bytes_per_s=bytes_per_s)
        self._log_lock = Lock()
        self._server = LoopbackServer(port, self.answer)
        self._database = TapDatabase(archive_tables(self.holdings, self.url))
        self._jobs = TapJobs(self._database, f"{self.url}/tap_obs/async")

    @property
    def url(self) -> str:
        """The address under which all services hang, without a slash at the end."""
        return self._server.url

    def __enter__(self) -> Self:
        """Begin to serve, in threads of this process."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and close all connections."""
        self._server.stop()
        self._database.close()

    def fault(
        self, fault: Fault | str, kind: Kind | None = None, file: str | None = None, times: int | None = None
    ) -> None:
        """Switch a fault on: for one service, for requests that name one dp_id, for so many requests, or for all.

        `real_manners` switches on what ESO's services are reported to do on a good day.
        """
        for chosen in (fault,) if isinstance(fault, Fault) else faults_named(fault):
            self._faults.switch_on(chosen, kind, file, times)

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._faults.clear()

    def count(self, kind: Kind) -> int:
        """Return how many requests of a kind were answered."""
        return sum(request.kind == kind for request in self.requests)

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request, with the faults that it meets, and log it."""
        kind = next((kind for prefix, kind in _KINDS if request.path.startswith(prefix)), None)
        time.sleep(self._latency_s)
        if kind is None:
            reply = html_error(404, "Not Found")
        else:
            met = self._with_turns(kind, replace(request, faults=self._faults.take(kind, _find_named(request))))
            reply = apply_faults(self._route(kind, met), met)
        if reply.delivery == Delivery():
            reply = replace(reply, delivery=self._delivery)
        logged = LoggedRequest(request.method, request.path, request.headers.get("range", ""), reply.status, kind)
        with self._log_lock:
            self.requests.append(logged)
        return reply

    def _with_turns(self, kind: Kind, request: HttpRequest) -> HttpRequest:
        """Return a request without the faults whose turn it is not."""
        off = {
            fault
            for fault, service, its_turn in _TURNS
            if fault in request.faults
            and not (kind == service and its_turn(self._faults.turn(fault, request.path if kind == "file" else kind)))
        }
        return replace(request, faults=request.faults - off)

    def _route(self, kind: Kind, request: HttpRequest) -> HttpReply:
        match kind:
            case "calselector" if request.path.endswith("/breakpoints"):
                missing = Fault.NO_BREAKPOINTS in request.faults
                return html_error(404, "Not Found") if missing else answer_breakpoints(self.holdings)
            case "calselector":
                return answer_associations(self.holdings, request)
            case "datalink":
                return answer_links(self.holdings, request)
            case "file":
                return deliver(self.holdings, self._login, request)
            case "header":
                return header_page(self.holdings, request)
            case "sesame":
                return answer_name(self.positions, request)
            case "token":
                return self._login.answer(request)
            case "tap":
                return self._tap(request)

    def _tap(self, request: HttpRequest) -> HttpReply:
        service = request.path.removeprefix("/tap_obs/").split("/")[0]
        if service == "sync":
            return answer_sync(self._database, request)
        if service == "async":
            return self._jobs.answer(request)
        if service == "tables":
            return tables_document(self._database.tables.values())
        if service == "capabilities":
            return capabilities(f"{self.url}/tap_obs")
        return html_error(404, "Not Found")


def serve(
    nights: Iterable[DemoNight],
    folder: Path,
    *,
    port: int = 0,
    faults: Iterable[Fault | str] = (),
    proprietary: Collection[str] = (),
) -> EmbeddedArchive:
    """Return an archive that serves already, with faults switched on for ever; the caller leaves its context."""
    archive = EmbeddedArchive(nights, folder, port=port, proprietary=proprietary)
    for fault in faults:
        archive.fault(fault)
    return archive.__enter__()


def wait_for_interrupt() -> None:
    """Return when the user presses Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _find_named(request: HttpRequest) -> tuple[str, ...]:
    """Return the dp_ids that a request may name: in its path, or as parameters."""
    last = unquote(request.path.rsplit("/", 1)[-1])
    linked = tuple(name.removeprefix(ID_PREFIX) for name in request.all("ID"))
    return (last, last.removesuffix(NIGHT_LOG_SUFFIX), *request.all("dp_id"), *linked)
