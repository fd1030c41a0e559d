"""Bodies of answers: read piece by piece, and looked at where a page stands in the place of what was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import requests
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from esorex_bridge.archive.exchange import is_page

_EXCERPT = 8192


def leave_unread(response: requests.Response) -> requests.Response:
    """Return a response as it came: the caller reads its body."""
    return response


def pieces_of(response: requests.Response, size_bytes: int, decoded: bool) -> Iterator[bytes]:
    """Yield a body as it comes, so that what is slow can be told from what stands still, and nothing is lost.

    Parameters
    ----------
    response : requests.Response
        Not read yet. That of a session which plays answers again may be of any kind.
    size_bytes : int
        Longest piece.
    decoded : bool
        Whether a Content-Encoding is undone.
    """
    if not isinstance(getattr(response.raw, "inner", response.raw), BaseHTTPResponse):
        yield from response.iter_content(size_bytes)
        return
    while piece := response.raw.read1(size_bytes, decode_content=decoded):
        yield piece


def is_page_answer(response: requests.Response) -> bool:
    """Tell whether a web page came where all is well, as a portal sends one under maintenance."""
    return response.status_code == 200 and is_page(response.headers.get("Content-Type", ""), b"")


def read_excerpt(response: requests.Response) -> bytes:
    """Return the beginning of a body, as far as it comes."""
    try:
        return next(response.iter_content(_EXCERPT), b"")
    except (requests.RequestException, HTTPError):
        return b""
