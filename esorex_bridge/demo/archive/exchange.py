"""A request and its reply as values: what the services of the embedded archive take and give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.demo.archive.faults import Fault


class HttpRequest(Struct, frozen=True):
    """What a client asked.

    Parameters
    ----------
    method : str
        `GET`, `HEAD`, `POST` or `DELETE`.
    path : str
        Without query, percent-escapes undone by nobody yet.
    parameters : tuple of (str, str)
        Of the query and of a form in the body, in order; names as sent.
    headers : mapping
        Names in lower case.
    base : str
        URL under which the client reached this archive, without a slash at the end.
    faults : frozenset of Fault
        Faults that this request meets.
    query : str
        Of the address, as sent.
    """

    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    base: str
    faults: frozenset[Fault] = frozenset()
    query: str = ""

    def first(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter; names are compared without case, as the services do."""
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a repeated parameter."""
        return tuple(value for key, value in self.parameters if key.lower() == name.lower())


class Delivery(Struct, frozen=True):
    """How the body goes over the wire.

    Parameters
    ----------
    cut_after : int or None
        Close the connection after so many bytes.
    reset : bool
        End with a TCP reset instead of an orderly close.
    bytes_per_s : float or None
        Speed limit.
    """

    cut_after: int | None = None
    reset: bool = False
    bytes_per_s: float | None = None


class HttpReply(Struct, frozen=True):
    """What the archive answers.

    Parameters
    ----------
    status : int
        HTTP status.
    body : bytes
        Whole content.
    headers : tuple of (str, str)
        Without Content-Length, unless it is to differ from the length of the body.
    delivery : Delivery
        How it is sent.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = field(default=Delivery())

    def header(self, name: str) -> str | None:
        """Return a header, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_header(self, name: str, value: str) -> HttpReply:
        """Return the reply with a header set or replaced."""
        kept = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)))


def parse_request(method: str, target: str, headers: Mapping[str, str], body: bytes, base: str) -> HttpRequest:
    """Return a request from the request line, headers and body; a form in the body adds to the query."""
    parts = urlsplit(target)
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    if body and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        parameters += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return HttpRequest(method, parts.path, tuple(parameters), headers, base, query=parts.query)


def text_reply(status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> HttpReply:
    """Return a reply of text."""
    return HttpReply(status, text.encode(), (("Content-Type", content_type),))


def json_reply(status: int, document: Any) -> HttpReply:
    """Return a reply of JSON."""
    return text_reply(status, json.dumps(document), "application/json")


def html_error(status: int, reason: str) -> HttpReply:
    """Return an error page, as the servers in front of the archive's services send them."""
    page = f"<html><head><title>{status} {reason}</title></head><body><h1>{reason}</h1></body></html>\n"
    return text_reply(status, page, "text/html; charset=utf-8")


def redirect(status: int, url: str) -> HttpReply:
    """Return a redirection."""
    return HttpReply(status, b"", (("Location", url),))
