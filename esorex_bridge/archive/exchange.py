"""Exchange: a question to a service, its answer, and how long to bear with it; values without HTTP."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from html import unescape
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.errors import ArchiveError
from esorex_bridge.log import logger
from esorex_bridge.values import visible

Form = Sequence[tuple[str, str]]

_LOOKED_AT = 8192
_TAG = re.compile(r"<[^>]*>")
_TIME_IS_OVER = re.compile(r"time[d\- ]*out|too long|abort|asynchron|execution ?duration|cancel", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)", re.IGNORECASE)


retries = logger("esorex_bridge.archive.retries")
"""Told of every attempt that is made again, as it happens: a user who waits should know what for."""


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
    slow_read_s : float
        The same where a service may think for long before it answers: a synchronous query, an association. The archive
        itself gives up on a query after 120 s.
    refusal_waits_s : tuple of float
        Pauses before a public file that is refused is asked for again: the archive refuses some for minutes.
    least_bytes_per_s : float
        A transfer that is slower than this for `slow_window_s` is given up and tried again.
    slow_window_s : float
        How long a transfer may be that slow.
    longest_document_bytes : int
        Longest answer that is read into memory.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    connect_s: float = 20.0
    read_s: float = 120.0
    slow_read_s: float = 240.0
    refusal_waits_s: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0)
    least_bytes_per_s: float = 100.0
    slow_window_s: float = 60.0
    longest_document_bytes: int = 128 * 1024 * 1024

    def wait_s(self, failures: int) -> float:
        """Return the pause after so many failures (1 for the first)."""
        return float(min(self.first_wait_s * 2.0 ** min(failures - 1, 60), self.longest_wait_s))

    def scale(self, factor: float) -> RetryPolicy:
        """Return the policy with all pauses multiplied: those between tries, not the times allowed for an answer."""
        return replace(
            self,
            first_wait_s=self.first_wait_s * factor,
            longest_wait_s=self.longest_wait_s * factor,
            refusal_waits_s=tuple(wait * factor for wait in self.refusal_waits_s),
        )


class ServiceError(ArchiveError):
    """A service could not be reached, or kept failing.

    Parameters
    ----------
    url : str
        The address, without its query.
    status : int or None
        The last HTTP status; None where there was no answer.
    reason : str
        What happened: with the cause, the title of a page that came instead of an answer, and the number of tries.
    slow : bool
        Whether it took too long.
    """

    def __init__(self, url: str, status: int | None, reason: str, slow: bool = False) -> None:
        self.url, self.status, self.reason, self.slow = bare(url), status, reason, slow
        super().__init__(f"{self.url}: {reason}; try again later, nothing done so far is lost")


class TooLongError(ArchiveError):
    """An answer is longer than is read into memory.

    Parameters
    ----------
    url : str
        The address, without its query.
    limit_bytes : int
        The limit.
    """

    def __init__(self, url: str, limit_bytes: int) -> None:
        self.url, self.limit_bytes = bare(url), limit_bytes
        super().__init__(
            f"{self.url}: the answer is longer than {limit_bytes / 2**20:.0f} MB, which is the most that is read; "
            "ask for less (fewer columns, a shorter time, --max)"
        )


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
    anonymous : bool
        Whether no login is tried: the answer is expected to be public.
    refusals : int
        How often a refusal (401, 403) is waited out.
    attempts : int or None
        Tries, where others than the policy says.
    thinks_long : bool
        Whether the service may take minutes before it answers.
    follows : bool
        Whether redirects are followed.
    no_page : bool
        Whether a web page with status 200 is no answer but a failure that passes.
    """

    method: str
    url: str
    params: Form = ()
    form: Form = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    slow_is_final: bool = False
    anonymous: bool = False
    refusals: int = 0
    attempts: int | None = None
    thinks_long: bool = False
    follows: bool = True
    no_page: bool = False


def follow(question: Question, status: int, target: str) -> Question:
    """Return the question to put to the address that a redirect names.

    A redirect to the same place by another scheme or port keeps method and form.
    """
    before, after = urlsplit(question.url), urlsplit(target)
    same_place = (before.hostname, before.path) == (after.hostname, after.path)
    if status == 303 or (status in (301, 302) and question.method == "POST" and not same_place):
        return replace(question, method="GET", url=target, params=(), form=())
    return replace(question, url=target, params=())


def what_came(content_type: str, body: bytes) -> str:
    """Return in words what a document is that nobody asked for: the title of a page, or the beginning of a text."""
    text = body[:_LOOKED_AT].decode("utf-8", "replace")
    if is_page(content_type, body):
        match = _TITLE.search(text)
        title = visible(" ".join(unescape(match[1]).split()), 120) if match else ""
        return f"a web page ('{title}')" if title else "a web page without a title"
    if text.lstrip().startswith("<"):
        text = _TAG.sub(" ", text)
    said = visible(" ".join(unescape(text).split()), 120)
    kind = visible(content_type.partition(";")[0].strip(), 60) or "no content type"
    return f"'{said}' ({kind})" if said else f"nothing ({kind})"


def speaks_of_time(text: str) -> bool:
    """Return whether a service says, in whatever words, that something took too long."""
    return _TIME_IS_OVER.search(text) is not None


def is_page(content_type: str, body: bytes) -> bool:
    """Tell whether a document is a web page, by its type or by how it begins."""
    return content_type.lower().startswith(("text/html", "application/xhtml")) or _PAGE.match(body) is not None


def keeps_secrets(url: str) -> bool:
    """Tell whether a password may be sent to an address: encrypted, or not leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")


def bare(url: str) -> str:
    """Return an address without query, user and password, fit for a message."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return visible(url.partition("?")[0].rpartition("@")[2], 200)
    return visible(f"{parts.scheme}://{parts.hostname}{port}{parts.path}", 300)


def retry_after_s(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds of a `Retry-After` header, given as seconds or as a date; None where it states none."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now())
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None
