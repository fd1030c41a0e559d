"""Exchange: a question to a service, its answer, and how long to bear with it; values without HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.errors import ArchiveError

Form = Sequence[tuple[str, str]]


class RetryPolicy(Struct, frozen=True):
    """How long to bear with a service.

    Parameters
    ----------
    attempts : int
        Tries per request, the first included.
    first_wait_s, longest_wait_s : float
        Pause after the first failure, doubled each time up to the longest; a service's own `Retry-After` counts up to
        the longest too.
    connect_s, read_s : float
        Time allowed for a connection, and between two pieces of an answer.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    connect_s: float = 20.0
    read_s: float = 120.0

    def wait_s(self, failures: int) -> float:
        """Return the pause after so many failures (1 for the first)."""
        return float(min(self.first_wait_s * 2 ** (failures - 1), self.longest_wait_s))


class ServiceError(ArchiveError):
    """A service could not be reached, or kept failing.

    Parameters
    ----------
    url : str
        The address, without its query.
    status : int or None
        The last HTTP status; None where there was no answer.
    reason : str
        What happened.
    slow : bool
        Whether it took too long.
    """

    def __init__(self, url: str, status: int | None, reason: str, slow: bool = False) -> None:
        self.url, self.status, self.reason, self.slow = bare(url), status, reason, slow
        super().__init__(f"{self.url}: {reason}; try again later, nothing done so far is lost")


class AccessDeniedError(ArchiveError):
    """A service wants a login, or this user may not have the data (HTTP 401 or 403)."""


class StoppedError(ArchiveError):
    """The connection was stopped on purpose."""


class Answer(Struct, frozen=True):
    """What a service answered, read to its end.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        Case does not matter.
    body : bytes
        Whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Question(Struct, frozen=True):
    """What is asked of a service.

    Parameters
    ----------
    method, url : str
        HTTP method and address.
    params, form : sequence of (str, str)
        Fields of the address and of the body.
    headers : mapping
        Beside the usual ones.
    slow_is_final : bool
        Whether a service that does not answer in time is not asked again.
    """

    method: str
    url: str
    params: Form = ()
    form: Form = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    slow_is_final: bool = False


def follow(question: Question, status: int, target: str) -> Question:
    """Return the question to put to the address that a redirect names."""
    if status == 303 or (status in (301, 302) and question.method == "POST"):
        return Question("GET", target, headers=question.headers)
    return replace(question, url=target, params=())


def keeps_secrets(url: str) -> bool:
    """Tell whether a password may be sent to an address: encrypted, or not leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")


def bare(url: str) -> str:
    """Return an address without query, user and password, fit for a message."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def retry_after_s(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds of a `Retry-After` header, given as seconds or as a date; None where there is none."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now())
    except ValueError:
        return None
