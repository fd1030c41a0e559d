"""Faults of the archive, each with a name: what its services were seen to do, and what any server may do.

A fault is switched on for requests of one kind or for one file, for so many times. Some change the reply (see
`effects`), others what a service decides; those are looked up in the request by the service itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from threading import Lock
from typing import Literal

from msgspec import Struct

from esorex_bridge.errors import UserError

Kind = Literal["tap", "calselector", "datalink", "file", "header", "token", "sesame"]
"""The services, as faults and the request log name them."""


class Fault(Enum):
    """A fault; its value is the name by which it is switched on."""

    description: str

    def __new__(cls, name: str, description: str = "") -> Fault:
        """Make a member whose value is its name."""
        member = object.__new__(cls)
        member._value_ = name
        member.description = description
        return member

    HTTP_500 = "http_500", "500 Internal Server Error with an HTML page"
    HTTP_401 = "http_401", "401 Unauthorized"
    HTTP_403 = "http_403", "403 Forbidden"
    HTTP_404 = "http_404", "404 Not Found"
    HTTP_429 = "http_429", "429 Too Many Requests with Retry-After: 1"
    HTTP_503 = "http_503", "503 Service Unavailable with Retry-After: 1"
    TRUNCATED = "truncated", "the connection closes half-way through the body"
    RESET = "reset", "the connection is reset half-way through the body"
    WRONG_LENGTH = "wrong_length", "Content-Length is 100 bytes more than what follows"
    SLOW = "slow", "the body drips at 20 kB a second"
    LOGIN_PAGE = "login_page", "200 with the HTML page of the login, as after an expired session"
    RANGE_IGNORED = "range_ignored", "a Range request is answered by 200 and the whole file"
    OTHER_ETAG = "other_etag", "a Range request is answered by 206 from a file of another ETag"
    OTHER_TOTAL = "other_total", "a Range request is answered by 206 from a file of another total size"
    DAMAGED = "damaged", "bytes in the middle are flipped; length and headers are right"
    TRUNCATED_LZW = "truncated_lzw", "half a .Z file under a matching Content-Length, which unpacks without complaint"
    MALICIOUS_NAME = "malicious_name", "Content-Disposition names ../../evil.fits"
    DOWNGRADE = "downgrade", "Raw2Master is answered by Raw2Raw"
    INCOMPLETE = "incomplete", "calSelector finds no twilight flat: complete=false, with a message"
    UNCERTIFIED = "uncertified", "the root is certified=false, as in the first days after an observation"
    UNSUPPORTED = "unsupported", "a tree without associations, and the message that the file type is not supported"
    EMPTY_TREE = "empty_tree", "a tree of the science files alone, without a message"
    NO_TREE = "no_tree", "200 with an empty body"
    MISSING_ROWS = "missing_rows", "a valid VOTable without the rows of calSelector"
    MALFORMED_XML = "malformed_xml", "the XML document ends half-way"
    XML_ENTITIES = "xml_entities", "the XML document has a DTD with entities that expand and one that names a file"
    REVERSED_PARTS = "reversed_parts", "parts of a multipart reply come in reverse order of the request"
    SPURIOUS_INCOMPLETE = "spurious_incomplete", "non-science ids in a request make its trees look incomplete"
    TAP_OVERFLOW = "tap_overflow", "the result is cut after one row, and says OVERFLOW"
    TAP_ERROR = "tap_error", "400 with a VOTable that says ERROR"
    SHORT_TOKEN = "short_token", "tokens are valid for two seconds"
    FLAKY401 = "flaky401", "401 for the first two requests of each file, as the portal does for minutes"
    REFUSING = "refusing", "401 for every request, also for what is public"
    BADSUM = "badsum", "the file's own DATASUM is wrong, at every download alike"
    SHORT_PADDING = "short_padding", "the last block of the file is not filled up, at every download alike"
    HOTFLY = (
        "hotfly",
        "the header is patched on the way: a COMMENT with the time, HDRVER; no Range, no ETag",
    )
    OTHER_FRAME = "other_frame", "a sound frame of another name comes under the name asked for"
    MAINTENANCE = "maintenance", "200 with the page of a maintenance"
    CALHTML = "calhtml", "calSelector answers 200 with a web page"
    CALHTML_ONCE = "calhtml_once", "calSelector answers its first request with a web page"
    CAL504 = "cal504", "calSelector answers 504 where more than ten ids are asked"
    CAL500LATE = "cal500late", "calSelector answers 500 from the third request on"
    TAP_TIMEOUT_200 = "tap_timeout_200", "a synchronous query ends in 200 with a VOTable that says ERROR: timed out"
    TAP_TIMEOUT_400 = "tap_timeout_400", "the same with 400"
    TAP_TIMEOUT_500 = "tap_timeout_500", "the same with 500"
    TAP_TIMEOUT_202 = "tap_timeout_202", "a synchronous query ends in 202 with a text that names the asynchronous mode"
    TAP_TIMEOUT_502 = "tap_timeout_502", "a synchronous query ends in 502 of the front end"
    TAP_TIMEOUT_504 = "tap_timeout_504", "a synchronous query ends in 504 of the front end"
    TAP_TIMEOUT_TRAILING = "tap_timeout_trailing", "rows come first, and behind them ERROR: timed out"
    SLOW_SCAN = "slow_scan", "a synchronous query that has to look at all rows (LIKE '%…') is given up after its time"
    NO_COLUMN = "no_column", "dbo.raw has no column access_estsize"
    ASYNC_DELETE_403 = "async_delete_403", "a job cannot be deleted: 403"
    JOB_LIST_REDIRECT = "job_list_redirect", "DELETE of a job answers 303 to the list of jobs, which answers 403"
    RUN_LOST = "run_lost", "the first PHASE=RUN of a job is lost: it stays PENDING"
    MOVED_TOKEN = "moved_token", "the login service answers 302 to another address"
    BLOCKED_TOKEN = "blocked_token", "the login service answers 403 with the page of a firewall"
    CLIENT_SECRET = "client_secret", "the login service wants a client_secret: invalid_client without one"
    FULL_SEMANTICS = "full_semantics", "semantics of links are full addresses, or a fragment where they were addresses"
    NEW_SEMANTICS = "new_semantics", "one link more, of a kind that is in no vocabulary"
    NO_BREAKPOINTS = "no_breakpoints", "404 for the breakpoints"
    TRICKLE = "trickle", "the body comes at one byte a second"


REAL_MANNERS = (
    Fault.FLAKY401,
    Fault.HOTFLY,
    Fault.CALHTML_ONCE,
    Fault.CAL504,
    Fault.SLOW_SCAN,
    Fault.JOB_LIST_REDIRECT,
    Fault.RUN_LOST,
    Fault.FULL_SEMANTICS,
)
"""What ESO's services are reported to do on a good day; what single files have wrong is switched on by file."""


def faults_named(name: str) -> tuple[Fault, ...]:
    """Return the faults of a name; `real_manners` stands for several.

    Raises
    ------
    UserError
        If there is no such fault.
    """
    return REAL_MANNERS if name.lower() == "real_manners" else (fault_named(name),)


def fault_named(name: str) -> Fault:
    """Return a fault by its name.

    Raises
    ------
    UserError
        If there is no such fault.
    """
    try:
        return Fault(name.lower())
    except ValueError:
        known = ", ".join(("real_manners", *(fault.value for fault in Fault)))
        raise UserError(f"the embedded archive has no fault {name!r}; it has: {known}") from None


class SwitchedFault(Struct):
    """A fault that is switched on.

    Parameters
    ----------
    fault : Fault
        Which.
    kind : Kind or None
        Only for requests of this kind; None for all.
    file : str or None
        Only for requests that name this dp_id; None for all.
    left : int or None
        How many requests it will still meet; None for ever.
    """

    fault: Fault
    kind: Kind | None
    file: str | None
    left: int | None

    def meets(self, kind: Kind, named: Iterable[str]) -> bool:
        """Tell whether a request meets this fault."""
        return self.left != 0 and self.kind in (None, kind) and (self.file is None or self.file in named)


class FaultBoard:
    """The faults that are switched on; safe to use from many threads."""

    def __init__(self) -> None:
        self._switched: list[SwitchedFault] = []
        self._turns: Counter[tuple[Fault, str]] = Counter()
        self._lock = Lock()

    def switch_on(
        self, fault: Fault, kind: Kind | None = None, file: str | None = None, times: int | None = None
    ) -> None:
        """Switch a fault on, for so many requests or for ever."""
        with self._lock:
            self._switched.append(SwitchedFault(fault, kind, file, times))

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._switched.clear()
            self._turns.clear()

    def turn(self, fault: Fault, place: str) -> int:
        """Return how often a fault was met at a place, this time included."""
        with self._lock:
            self._turns[fault, place] += 1
            return self._turns[fault, place]

    def take(self, kind: Kind, named: Iterable[str]) -> frozenset[Fault]:
        """Return the faults that a request meets, and count them down."""
        names = tuple(named)
        with self._lock:
            met = [switched for switched in self._switched if switched.meets(kind, names)]
            for switched in met:
                switched.left = None if switched.left is None else switched.left - 1
            return frozenset(switched.fault for switched in met)
