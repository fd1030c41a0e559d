"""Transfer: what to ask for a file, and what the first lines of the answer mean. No effects here."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from esorex_bridge.archive.access import Access
from esorex_bridge.archive.calselector import attachment_name
from esorex_bridge.fits.stream import Packing, packing_of

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d)[:_](\d\d)[:_](\d\d)")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")
_SUFFIX = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,7}){1,2}")
_PACKED_SUFFIX: dict[Packing, str] = {"fits": ".fits", "compress": ".fits.Z", "gzip": ".fits.gz"}


class FileStatus(Enum):
    """What became of a file that was asked for."""

    FETCHED = "fetched"
    KEPT = "kept"
    DENIED = "denied"
    MISSING = "missing"
    FAILED = "failed"


class Partial(Struct, frozen=True):
    """What an earlier try left of a file.

    Parameters
    ----------
    size_bytes : int
        How much there is.
    total_bytes : int
        Length of the whole, as the service stated it then.
    etag, modified : str
        `ETag` and `Last-Modified` of then; empty where not stated.
    """

    size_bytes: int
    total_bytes: int
    etag: str = ""
    modified: str = ""


class Begin(Struct, frozen=True):
    """The bytes come: from where, how many, and what the service calls the file.

    Parameters
    ----------
    offset : int
        Position of the first byte that comes.
    total_bytes : int or None
        Length of the whole file; None where not stated.
    etag, modified, name : str
        As stated; empty where not.
    """

    offset: int
    total_bytes: int | None
    etag: str = ""
    modified: str = ""
    name: str = ""


class Refusal(Struct, frozen=True):
    """No bytes that can be used.

    Parameters
    ----------
    status : FileStatus or None
        What the file ends as; None where another try from the first byte is due.
    reason : str
        What happened and what helps.
    """

    status: FileStatus | None
    reason: str


def request_headers(partial: Partial | None) -> dict[str, str]:
    """Return the headers to ask for a file, or for the rest of it."""
    headers = {"Accept-Encoding": "identity"}
    if partial is not None:
        headers["Range"] = f"bytes={partial.size_bytes}-"
        strong = bool(partial.etag) and not partial.etag.startswith("W/")
        if condition := partial.etag if strong else "" if partial.etag else partial.modified:
            headers["If-Range"] = condition
    return headers


def read_answer(
    status: int,
    headers: Mapping[str, str],
    partial: Partial | None,
    has_login: bool,
    access: Access = "unknown",
    page: str = "a web page",
) -> Begin | Refusal:
    """Decide from status and headers what comes.

    The archive patches the headers of some files while it sends them; those cannot be resumed, and their length varies.
    So a part is only continued when length and ETag are those of the first try.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        Of the answer.
    partial : Partial or None
        What was to be continued.
    has_login : bool
        Whether a login was tried.
    access : {'public', 'protected', 'unknown'}
        Who should be able to have the file.
    page : str
        What a web page that came says, in words.
    """
    if status == 200:
        if headers.get("Content-Type", "").lower().startswith("text/html"):
            return _page_came(access, page)
        return _begin(0, _length(headers.get("Content-Length")), headers)
    if status == 206 and partial is not None:
        return _decide_resume(headers, partial)
    if status in (401, 403):
        return _describe_refusal(status, has_login, access)
    if status in (404, 410):
        return Refusal(FileStatus.MISSING, f"the archive has no file of this name (HTTP {status})")
    if status in (206, 416):
        return Refusal(None, "the archive does not continue the part that is there")
    return Refusal(FileStatus.FAILED, f"the archive refuses (HTTP {status})")


def _page_came(access: Access, page: str) -> Refusal:
    if access == "public":
        return Refusal(None, f"the archive sent {page} instead of the file; run again later")
    return Refusal(
        FileStatus.FAILED,
        f"the archive sent {page} instead of the file, as it does when a login"
        " has run out; try again, with 'esorex-bridge login' if the data are proprietary",
    )


def local_name(name: str, stated: str, head: bytes) -> str:
    """Return the file name for an archive file: its archive name, and an ending that its content agrees with.

    Parameters
    ----------
    name : str
        Archive name: it alone decides where the file goes.
    stated : str
        What the service calls the file; only its ending is used.
    head : bytes
        The first bytes of the content.
    """
    packing = packing_of(head)
    suffix = _stated_suffix(name, stated)
    if packing is None:
        return name + (suffix or (".txt" if name.endswith(".NL") else ""))
    if packing == "fits" and suffix in (".fits", ".fits.fz", ".fit", ".tfits"):
        return name + suffix
    if packing != "fits" and suffix == ".tar.gz":
        return name + suffix
    return name + _PACKED_SUFFIX[packing]


def is_fits_name(name: str) -> bool:
    """Tell whether a file name promises FITS content."""
    return re.search(r"\.(?:fits|fit|tfits|fts)(?:\.(?:Z|gz|fz))?$", name) is not None


def time_of(name: str, modified_s: float) -> int:
    """Return the time that a file gets on disk: whole seconds, the same on every machine and in every run.

    Reflex's checksum of a file depends on its time. An archive name holds the time of the exposure; where it does not,
    the time that the archive states counts.
    """
    match = _TIME.search(name)
    if match is None:
        return int(modified_s)
    year, month, day, hour, minute, second = map(int, match.groups())
    return timegm((year, month, day, hour, minute, min(second, 59)))


def _begin(offset: int, total: int | None, headers: Mapping[str, str]) -> Begin:
    return Begin(
        offset,
        total,
        headers.get("ETag", ""),
        headers.get("Last-Modified", ""),
        attachment_name(headers.get("Content-Disposition", "")),
    )


def _decide_resume(headers: Mapping[str, str], partial: Partial) -> Begin | Refusal:
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    same = match is not None and (int(match[1]), int(match[2])) == (partial.size_bytes, partial.total_bytes)
    stated = [
        (before, headers.get(header, ""))
        for header, before in (("ETag", partial.etag), ("Last-Modified", partial.modified))
        if before and headers.get(header)
    ]
    if not same or not stated or any(before != now for before, now in stated):
        return Refusal(None, "the file has changed in the archive since the first part came")
    return _begin(partial.size_bytes, partial.total_bytes, headers)


def _describe_refusal(status: int, has_login: bool, access: Access) -> Refusal:
    if access == "public":
        return Refusal(FileStatus.FAILED, f"the archive refuses a public file (HTTP {status}); run again later")
    if has_login:
        reason = (
            f"this user has no access to the file (HTTP {status}): it may be proprietary to another programme; "
            "'esorex-bridge whoami' tells who this is, 'esorex-bridge login' makes it another"
        )
    else:
        reason = f"the file needs a login (HTTP {status}): run 'esorex-bridge login', or set ESO_USERNAME and "
        reason += "ESO_PASSWORD"
    return Refusal(FileStatus.DENIED, reason)


def _length(text: str | None) -> int | None:
    return int(text) if text and len(text) <= 18 and text.isascii() and text.isdigit() else None


def _stated_suffix(name: str, stated: str) -> str:
    for prefix in (name, name.replace(":", "_")):
        if stated.startswith(prefix) and _SUFFIX.fullmatch(stated[len(prefix) :]):
            return stated[len(prefix) :]
    match = re.search(r"(?:\.(?:fits|fit|tfits|tar))?\.[A-Za-z][A-Za-z0-9]{0,4}$", stated)
    return match[0] if match else ""
